import { expect, test } from "bun:test";
import { readConfig } from "../config.ts";
import { firstScreen } from "./first-screen.ts";

type Server = Parameters<typeof firstScreen>[1];

const server: Server = { url: "http://127.0.0.1:3000", publicUrl: "http://localhost:3000", hasApiKey: false };

function screen(env: Record<string, string>, changes: Partial<Server> = {}): string {
  return firstScreen(readConfig(env, "/srv/edgr"), { ...server, ...changes });
}

test("a first start says where EDGR is, how to get a key and where the data is", () => {
  const text = screen({});

  expect(text).toContain("Address   http://127.0.0.1:3000\n");
  expect(text).toContain("http://127.0.0.1:3000/docs");
  expect(text).toContain("none yet: npx edgr api-key create");
  expect(text).toContain("/srv/edgr/data\n");
  expect(text).toContain("this machine only");
});

test("a server open to others does not say it is this machine's only", () => {
  expect(screen({ HOST: "0.0.0.0" })).not.toContain("this machine only");
});

test("with a key already there another one is offered", () => {
  expect(screen({}, { hasApiKey: true })).toContain("npx edgr api-key create makes another");
});

test("without its database it says that hits are kept, and nothing about keys that nobody can look up", () => {
  const text = screen({ DATABASE_URL: "postgres://db.example.com/edgr" }, { hasApiKey: null });

  expect(text).toContain("the database does not answer: hits are kept on disk until it does");
  expect(text).toContain("known when the database answers");
});

test("no secret of the configuration is on it", () => {
  const text = screen({
    EDGR_API_KEY: "edgr_very_secret_key",
    DATABASE_URL: "postgres://someone:hunter2@db.example.com:5433/edgr",
  });

  expect(text).toContain("db.example.com:5433/edgr");
  expect(text).not.toContain("edgr_very_secret_key");
  expect(text).not.toContain("hunter2");
});
