import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { findPort, type HttpServer, listen } from "../http/server.ts";
import { type Bubble, type Journal, openJournal, type Setup } from "./journal.ts";
import { BOT, startDemoTelegram, type Telegram } from "./telegram.ts";
import { chatOf } from "./telegram-people.ts";

const LOCAL = { host: "127.0.0.1", port: 0 };
const CONTACTS = 20;

let edgr: HttpServer;
let edgrUrl: string;
let setup: Setup;
let status = 200;
/** The updates that EDGR was told, as often as it was. */
let told: { update_id: number; secret: string | null }[] = [];

let dir: string;
let journal: Journal;
let telegram: Telegram;

beforeAll(async () => {
  const port = await findPort(LOCAL);
  edgrUrl = `http://127.0.0.1:${port}/hook`;
  const take = async (request: Request) => {
    const { update_id } = await request.json();
    told.push({ update_id, secret: request.headers.get("X-Telegram-Bot-Api-Secret-Token") });
    return new Response("{}", { status });
  };
  edgr = listen({ fetch: take }, { ...LOCAL, port });
  setup = {
    kind: "setup",
    httpPort: port,
    smtpPort: 0,
    snsPort: 0,
    telegramPort: await findPort(LOCAL),
    botToken: `${BOT.id}:secret`,
    apiKey: "",
  };
});
afterAll(() => edgr.stop(0));
beforeEach(async () => {
  dir = mkdtempSync(path.join(os.tmpdir(), "edgr-demo-"));
  status = 200;
  told = [];
  await open();
});
afterEach(async () => {
  await close();
  rmSync(dir, { recursive: true });
});

async function open(): Promise<void> {
  journal = openJournal(path.join(dir, "journal.jsonl"));
  telegram = await startDemoTelegram(setup, journal, CONTACTS);
}

async function close(): Promise<void> {
  await telegram.close();
  journal.close();
}

async function call(method: string, params: object) {
  const url = `${telegram.apiRoot}/bot${setup.botToken}/${method}`;
  return (await fetch(url, { method: "POST", body: JSON.stringify(params) })).json();
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

function bubbles(): Bubble[] {
  return journal.entries.filter((entry) => entry.kind === "bubble");
}

const connect = () =>
  call("setWebhook", { url: edgrUrl, secret_token: "s", allowed_updates: ["message", "message_reaction"] });
const write = (number: number) => call("sendMessage", { chat_id: chatOf(number), text: "Hi" });

test("after an interruption the webhook, the numbers and what was taken are as before, and the rest is told again", async () => {
  await connect();
  await telegram.start(new Map([[0, "payload"]]));
  expect(await write(1)).toMatchObject({ ok: true, result: { message_id: 10 } });
  status = 503;
  for (const bubble of bubbles()) telegram.react(bubble);
  await until(() => told.length > 1);
  const [start, refused] = told;
  await close();

  await open();
  expect(telegram.starters(2)).toEqual({ all: [0, 1], missing: [1] });
  expect(await write(1)).toMatchObject({ result: { message_id: 20 } });
  [status, told] = [200, []];
  const [first] = bubbles();
  if (first === undefined) throw new Error("the message is in the journal");
  telegram.react(first);
  await until(telegram.isIdle);
  expect(told.map(({ update_id }) => update_id)).toEqual([
    refused?.update_id ?? 0,
    (refused?.update_id ?? 0) + 1,
  ]);
  expect(told.map(({ secret }) => secret)).toEqual(["s", "s"]);

  // Neither what was taken before nor what was taken now comes once more.
  telegram.react(first);
  await telegram.start(new Map([[0, "payload"]]));
  expect(told.map(({ update_id }) => update_id)).not.toContain(start?.update_id);
  expect(told).toHaveLength(2);
});

test("a bot that somebody has blocked is refused, and nothing is kept", async () => {
  expect(await write(19)).toMatchObject({ error_code: 403, description: expect.stringContaining("blocked") });
  expect(bubbles()).toEqual([]);
});
