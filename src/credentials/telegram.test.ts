import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { sql } from "kysely";
import { type CampaignApi, createCampaignApi, smtpCredential } from "../../test/support/campaign-api.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import {
  type StandInBot,
  startTelegram,
  type TelegramStandIn,
  testBots,
} from "../../test/support/telegram.ts";
import { createEgress, type Egress } from "../egress/client.ts";
import { resolveBySystem } from "../egress/resolve.ts";
import { findSmtpCredential } from "./queries.ts";

const ELSEWHERE = "https://elsewhere.example.com/hook";

let telegram: TelegramStandIn;
let egress: Egress;
let api: CampaignApi;
const warnings: object[] = [];
let bot: StandInBot;
let token: string;
let nextBotId = 7_000_000_000;

/** What the webhook was answered to, by the app under test: none takes updates here. */
let delivered: { url: string; secret: string | null }[] = [];
let takes = true;

beforeAll(async () => {
  telegram = await startTelegram({
    deliver: async (url, init) => {
      if (!takes) return new Response("{}", { status: 500 });
      delivered.push({ url, secret: new Headers(init.headers).get("X-Telegram-Bot-Api-Secret-Token") });
      return new Response("{}");
    },
  });
  egress = createEgress({ allow: ["127.0.0.1"], resolve: resolveBySystem });
  api = await createCampaignApi({ bots: testBots({ apiRoot: telegram.apiRoot, egress, warnings }) });
});
afterAll(async () => {
  await api.close();
  await telegram.close();
  egress.close();
});
beforeEach(() => {
  nextBotId += 1;
  bot = { id: nextBotId, username: `bot_${nextBotId}`, name: "Example" };
  token = telegram.addBot(bot);
  delivered = [];
  warnings.length = 0;
  takes = true;
});

const connect = (more: object = {}) =>
  api.ok("POST", "/credentials", { type: "telegram", name: "Bot", botToken: token, ...more });
const refused = async (method: string, path: string, body?: unknown, headers = {}) => {
  const answer = await api.call(method, `/api/v1${path}`, { body, headers });
  return { status: answer.status, detail: String(answer.body.detail), errors: answer.body.errors };
};
const tryToConnect = (more: object = {}) =>
  refused("POST", "/credentials", { type: "telegram", name: "Bot", botToken: token, ...more });
const webhookFor = (id: string) => `https://edgr.example.com/api/telegram/webhook/${id}`;
const takeOver = (url: string, by = token) =>
  fetch(`${telegram.apiRoot}/bot${by}/setWebhook`, { method: "POST", body: JSON.stringify({ url }) });
const count = async () => (await api.ok("GET", "/credentials")).items.length;

test("a bot is connected: its token checked, its updates led here with a secret of their own", async () => {
  const created = await connect({ maxConnections: 10 });
  expect(created).toMatchObject({
    type: "telegram",
    name: "Bot",
    botId: bot.id,
    botUsername: bot.username,
    botName: "Example",
    webhookUrl: webhookFor(created.id),
    maxConnections: 10,
    rateLimitPerSecond: 30,
    status: "active",
  });
  expect(telegram.webhookOf(token)).toEqual({
    url: webhookFor(created.id),
    secret: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
    maxConnections: 10,
    allowedUpdates: expect.arrayContaining(["message", "message_reaction", "my_chat_member"]),
  });
  expect(await api.ok("GET", `/credentials/${created.id}`)).toEqual(created);
});

test("of a webhook's secret the hash is kept, and neither secret is readable in a row or an answer", async () => {
  const { id } = await connect();
  const secret = telegram.webhookOf(token)?.secret ?? "";
  const { rows } = await sql<{ row: string; hash: Buffer }>`
    select encode(secret, 'escape') || encode(webhook_secret, 'escape') || settings::text as row,
      webhook_secret_hash as hash
    from credential where id = ${id}`.execute(api.database.db);
  expect(rows[0]?.hash).toEqual(createHash("sha256").update(secret).digest());
  const answers = [
    await api.call("GET", `/api/v1/credentials/${id}`),
    await api.call("GET", "/api/v1/credentials"),
    await api.call("GET", `/api/v1/credentials/${id}/telegram/webhook`),
    await api.call("PATCH", `/api/v1/credentials/${id}`, { body: { botToken: token } }),
    await api.call("POST", "/api/v1/credentials", {
      body: { type: "telegram", name: "Again", botToken: token },
    }),
  ];
  for (const text of [rows[0]?.row ?? "", ...answers.map((answer) => answer.text)]) {
    expect(text).not.toContain(token);
    expect(text).not.toContain(secret);
  }
});

test("a token that Telegram does not know is refused by name, and nothing is kept", async () => {
  const before = await count();
  telegram.revoke(token);
  expect(await tryToConnect()).toEqual({
    status: 422,
    detail: "botToken: is refused by Telegram: Unauthorized",
    errors: [{ field: "botToken", reason: "is refused by Telegram: Unauthorized" }],
  });
  telegram.failNext("getMe", { code: 404, description: "Not Found" });
  token = telegram.addBot(bot);
  expect((await tryToConnect()).errors[0]?.field).toBe("botToken");
  expect(await count()).toBe(before);
});

test("what is no token is refused before Telegram is asked", async () => {
  const asked = telegram.calls.length;
  for (const botToken of ["1", "", `${bot.id}:../../x`, `${bot.id}:a b`])
    expect(await tryToConnect({ botToken })).toMatchObject({ status: 400, errors: [{ field: "botToken" }] });
  expect(telegram.calls.length).toBe(asked);
});

test("when the webhook is refused nothing is kept, and the reason is told", async () => {
  const before = await count();
  telegram.failNext("setWebhook", { code: 400, description: "Bad Request: bad webhook: no such host" });
  expect(await tryToConnect()).toMatchObject({
    status: 422,
    detail: "Telegram refuses it: Bad Request: bad webhook: no such host",
  });
  expect(await count()).toBe(before);
  await connect();
});

test("what passes at Telegram is a 503, and a short wait that it asks for is waited", async () => {
  telegram.failNext("getMe", "html");
  expect((await tryToConnect()).status).toBe(503);
  telegram.failNext("getMe", {
    code: 429,
    description: "Too Many Requests",
    parameters: { retry_after: 60 },
  });
  expect((await tryToConnect()).status).toBe(503);
  telegram.failNext("getMe", { code: 429, description: "Too Many Requests", parameters: { retry_after: 0 } });
  await connect();
});

test("a request that is repeated with its Idempotency-Key connects once", async () => {
  const body = { type: "telegram", name: "Bot", botToken: token };
  const headers = { "Idempotency-Key": `connect-${bot.id}` };
  const answers = [
    await api.call("POST", "/api/v1/credentials", { body, headers }),
    await api.call("POST", "/api/v1/credentials", { body, headers }),
  ];
  expect(answers.map(({ status, body }) => [status, body.id])).toEqual([
    [201, answers[0]?.body.id ?? ""],
    [201, answers[0]?.body.id ?? ""],
  ]);
  const installs = telegram.calls.filter((call) => call.token === token && call.method === "setWebhook");
  expect(installs).toHaveLength(1);
});

test("a bot is connected once by a customer", async () => {
  const { id } = await connect();
  const again = await tryToConnect({ name: "Again" });
  expect(again.status).toBe(409);
  expect(again.detail).toContain(id);
  expect(telegram.webhookOf(token)?.url).toBe(webhookFor(id));
});

test.each(["http://edgr.example.com", "https://edgr.example.com:3000"])(
  "Telegram itself can't deliver to %s, which is said before it is asked",
  async (publicUrl) => {
    const send: Egress["send"] = () => Promise.reject(new Error("nobody is to be asked"));
    const bots = testBots({ apiRoot: "https://api.telegram.org", egress: { send }, publicUrl });
    const given = { name: "Bot", botToken: token, maxConnections: 40, rateLimitPerSecond: 30 };
    const error = await bots.connect(api.database.db, api.customer.id, given).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "unprocessable", fields: [{ field: "EDGR_PUBLIC_URL" }] });
  },
);

test("the webhook's state shows what waits and what failed last", async () => {
  const { id } = await connect();
  const chat = { id: 42, type: "private" };
  telegram.push(token, { message: { message_id: 1, chat, text: "hi" } });
  await telegram.idle();
  expect(delivered).toEqual([{ url: webhookFor(id), secret: telegram.webhookOf(token)?.secret ?? "" }]);
  expect(await api.ok("GET", `/credentials/${id}/telegram/webhook`)).toMatchObject({
    credentialId: id,
    url: webhookFor(id),
    isInstalled: true,
    warning: null,
    pendingUpdates: 0,
    lastError: null,
    lastErrorAt: null,
  });
  await takeOver("");
  takes = false;
  telegram.push(token, { message: { message_id: 2, chat, text: "there?" } });
  expect(await api.ok("GET", `/credentials/${id}/telegram/webhook`)).toMatchObject({
    url: null,
    isInstalled: false,
    warning: expect.stringContaining("nowhere"),
    pendingUpdates: 1,
  });
});

test("a webhook that another installation took is warned of, and taken back with what waits", async () => {
  const { id } = await connect();
  const secret = telegram.webhookOf(token)?.secret ?? "";
  await takeOver(ELSEWHERE);
  expect(await api.ok("GET", `/credentials/${id}/telegram/webhook`)).toMatchObject({
    url: ELSEWHERE,
    isInstalled: false,
    warning: expect.stringContaining("Another installation"),
  });
  expect(await api.ok("POST", `/credentials/${id}/telegram/webhook`)).toMatchObject({
    url: webhookFor(id),
    isInstalled: true,
    warning: null,
  });
  expect(telegram.webhookOf(token)?.secret).toBe(secret);
});

test("when the public address changes, the webhook is told to be where it was, and follows", async () => {
  const { id } = await connect();
  const moved = testBots({ apiRoot: telegram.apiRoot, egress, publicUrl: "https://new.example.com" });
  const { db } = api.database;
  expect((await moved.webhook(db, api.customer.id, id)).warning).toContain("was before");
  expect(await moved.reinstall(db, api.customer.id, id)).toMatchObject({ warning: null });
  expect(telegram.webhookOf(token)?.url).toBe(`https://new.example.com/api/telegram/webhook/${id}`);
  await api.ok("PATCH", `/credentials/${id}`, { maxConnections: 3 });
  expect(telegram.webhookOf(token)).toMatchObject({ url: webhookFor(id), maxConnections: 3 });
});

test("a new token of the same bot takes over, and what came meanwhile arrives", async () => {
  const { id } = await connect();
  const secret = telegram.webhookOf(token)?.secret ?? "";
  const fresh = telegram.revoke(token);
  telegram.push(fresh, { message: { message_id: 1, chat: { id: 42, type: "private" }, text: "hi" } });
  expect((await refused("GET", `/credentials/${id}/telegram/webhook`)).errors[0]?.field).toBe("botToken");
  await api.ok("PATCH", `/credentials/${id}`, { botToken: fresh, name: "Renamed" });
  await telegram.idle();
  expect(delivered).toEqual([{ url: webhookFor(id), secret }]);
  expect(await api.ok("GET", `/credentials/${id}`)).toMatchObject({ name: "Renamed", botId: bot.id });
  expect((await api.ok("GET", `/credentials/${id}/telegram/webhook`)).isInstalled).toBe(true);
});

test("another bot's token is refused, and the bot goes on with its own", async () => {
  const { id } = await connect();
  const other = telegram.addBot({ id: bot.id + 500_000, username: "other_bot", name: "Other" });
  const answer = await refused("PATCH", `/credentials/${id}`, { botToken: other });
  expect([answer.status, answer.errors[0]?.field]).toEqual([422, "botToken"]);
  expect(answer.detail).toContain("@other_bot");
  expect(telegram.webhookOf(other)).toBeNull();
  expect((await api.ok("GET", `/credentials/${id}/telegram/webhook`)).isInstalled).toBe(true);
});

test("a name is changed without a call, and what a bot has not is refused, as is a token for a mail server", async () => {
  const { id } = await connect();
  const asked = telegram.calls.length;
  expect(await api.ok("PATCH", `/credentials/${id}`, { name: "New" })).toMatchObject({ name: "New" });
  expect(telegram.calls.length).toBe(asked);
  expect(await refused("PATCH", `/credentials/${id}`, { host: "smtp.example.com" })).toMatchObject({
    status: 400,
    errors: [{ field: "host", reason: "is not a field of a Telegram bot" }],
  });
  const server = await api.ok("POST", "/credentials", smtpCredential());
  expect(await refused("PATCH", `/credentials/${server.id}`, { botToken: token })).toMatchObject({
    status: 400,
    errors: [{ field: "botToken", reason: "is not a field of a mail server" }],
  });
});

test("a bot that is deleted gets no more updates; one that was taken over is left alone", async () => {
  const { id } = await connect();
  expect((await api.call("DELETE", `/api/v1/credentials/${id}`)).status).toBe(204);
  expect(telegram.webhookOf(token)).toBeNull();
  const again = await connect();
  await takeOver(ELSEWHERE);
  expect((await api.call("DELETE", `/api/v1/credentials/${again.id}`)).status).toBe(204);
  expect(telegram.webhookOf(token)?.url).toBe(ELSEWHERE);
  expect(warnings).toEqual([]);
});

test("a bot is deleted also when Telegram does not do its part, which the log says", async () => {
  const { id } = await connect();
  telegram.failNext("deleteWebhook", "html");
  expect((await api.call("DELETE", `/api/v1/credentials/${id}`)).status).toBe(204);
  expect((await api.call("GET", `/api/v1/credentials/${id}`)).status).toBe(404);
  expect(warnings).toEqual([{ credentialId: id, reason: "HTTP 502 without an answer" }]);
});

test("a bot is no mail server: it can't be verified, sent through or set up for SES", async () => {
  const { id } = await connect();
  expect(await findSmtpCredential(api.database.db, TEST_ENCRYPTION_KEY, api.customer.id, id)).toBeNull();
  for (const [method, path] of [
    ["POST", `/credentials/${id}/verify`],
    ["GET", `/credentials/${id}/ses/setup`],
  ] as const)
    expect((await refused(method, path)).status).toBe(404);
  const server = await api.ok("POST", "/credentials", smtpCredential());
  expect((await refused("GET", `/credentials/${server.id}/telegram/webhook`)).status).toBe(404);
});

test("a bot is another customer's to nobody", async () => {
  const { id } = await connect();
  const customer = await api.createCustomer("stranger");
  for (const [method, path, body] of [
    ["GET", "", undefined],
    ["PATCH", "", { name: "stolen" }],
    ["DELETE", "", undefined],
    ["GET", "/telegram/webhook", undefined],
    ["POST", "/telegram/webhook", undefined],
  ] as const) {
    const answer = await api.call(method, `/api/v1/credentials/${id}${path}`, { body, customer });
    expect(answer.status).toBe(404);
  }
  expect(telegram.webhookOf(token)?.url).toBe(webhookFor(id));
});
