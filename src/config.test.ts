import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import path from "node:path";
import { ConfigError, readConfig } from "./config.ts";

const read = (env: Record<string, string | undefined>) => readConfig(env, "/srv/edgr");

function complaint(env: Record<string, string>): string {
  try {
    read(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "nothing is wrong";
}

describe("an empty environment", () => {
  test("gives an embedded database in ./data, on loopback, port 3000", () => {
    expect(read({})).toEqual({
      publicUrl: "http://localhost:3000",
      apiKey: null,
      dataDir: "/srv/edgr/data",
      databaseUrl: null,
      spoolMaxBytes: 1024 ** 3,
      port: 3000,
      host: "127.0.0.1",
      logLevel: "info",
      trustedProxies: [],
      egressAllow: [],
      snsTrustedHosts: [],
      telegramApiRoot: "https://api.telegram.org",
    });
  });

  test("is what variables set to nothing are, as a compose file leaves them", () => {
    expect(read({ DATABASE_URL: "", EDGR_API_KEY: "", PORT: "" })).toEqual(read({}));
  });
});

describe("a variable", () => {
  test("that is wrong is named with the reason, and so is every other", () => {
    const message = complaint({ PORT: "http", EDGR_PUBLIC_URL: "edgr.example.com", LOG_LEVEL: "loud" });
    expect(message).toMatch(/PORT must be a port number/);
    expect(message).toMatch(/EDGR_PUBLIC_URL must be an http or https address/);
    expect(message).toMatch(/LOG_LEVEL must be one of fatal, error/);
  });

  test.each([
    [{ PORT: "70000" }, "PORT"],
    [{ PORT: "-1" }, "PORT"],
    [{ EDGR_PUBLIC_URL: "ftp://edgr.example.com" }, "EDGR_PUBLIC_URL"],
    [{ EDGR_PUBLIC_URL: "https://edgr.example.com/?a=1" }, "EDGR_PUBLIC_URL"],
    [{ EDGR_API_KEY: "short" }, "EDGR_API_KEY"],
    [{ EDGR_API_KEY: "sixteen characters" }, "EDGR_API_KEY"],
    [{ DATABASE_URL: "mysql://localhost/edgr" }, "DATABASE_URL"],
    [{ EDGR_TRUSTED_PROXIES: "10.0.0.0/8, everybody" }, "EDGR_TRUSTED_PROXIES"],
    [{ EDGR_TRUSTED_PROXIES: "10.0.0.0/80" }, "EDGR_TRUSTED_PROXIES"],
    [{ EDGR_EGRESS_ALLOW: "localhost" }, "EDGR_EGRESS_ALLOW"],
    [{ EDGR_SNS_TRUSTED_HOSTS: "http://localhost:4566" }, "EDGR_SNS_TRUSTED_HOSTS"],
    [{ EDGR_TELEGRAM_API_ROOT: "localhost:8081" }, "EDGR_TELEGRAM_API_ROOT"],
  ])("such as %p is refused", (env, name) => {
    expect(complaint(env)).toContain(`  ${name} `);
  });

  test("never shows its value in a complaint, which may be a password", () => {
    expect(complaint({ DATABASE_URL: "mysql://user:hunter2@localhost" })).not.toContain("hunter2");
  });
});

test("a public address loses its trailing slashes, because paths are appended to it", () => {
  expect(read({ EDGR_PUBLIC_URL: "https://example.com/edgr//" }).publicUrl).toBe("https://example.com/edgr");
});

test("trusted proxies may be addresses and ranges of both families", () => {
  const list = ["10.0.0.0/8", "127.0.0.1", "fd00::/8"];
  expect(read({ EDGR_TRUSTED_PROXIES: list.join(" , ") }).trustedProxies).toEqual(list);
});

test("the README lists every variable", () => {
  const root = path.join(import.meta.dirname, "..");
  const readme = readFileSync(path.join(root, "README.md"), "utf8");
  const source = readFileSync(path.join(root, "src/config.ts"), "utf8");
  const names = [...source.matchAll(/^ {2}([A-Z_]{4,}): /gm)].map((match) => match[1]);
  expect(names.length).toBe(12);
  expect(names.filter((name) => !readme.includes(`| \`${name}\` |`))).toEqual([]);
});
