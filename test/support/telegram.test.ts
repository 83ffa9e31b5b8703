import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { startTelegram, type TelegramStandIn } from "./telegram.ts";

let telegram: TelegramStandIn;
let token: string;
let nextId = 100;
let taken: string[] = [];
/** How often a text is refused before it is taken. */
let refusals = new Map<string, number>();
/** What is answered to what is no message, one after the other. */
let answers: object[] = [];

beforeAll(async () => {
  telegram = await startTelegram({
    async deliver(_, { body }) {
      const { message } = JSON.parse(String(body));
      if (message === undefined) return Response.json(answers.shift() ?? {});
      const left = refusals.get(message.text) ?? 0;
      refusals.set(message.text, left - 1);
      if (left > 0) return new Response("{}", { status: 503 });
      taken.push(message.text);
      return new Response("{}");
    },
  });
});
afterAll(() => telegram.close());
beforeEach(() => {
  nextId += 1;
  token = telegram.addBot({ id: nextId, username: "example_bot", name: "Example" });
  taken = [];
  refusals = new Map();
});

async function call(method: string, params: object) {
  const response = await fetch(`${telegram.apiRoot}/bot${token}/${method}`, {
    method: "POST",
    body: JSON.stringify(params),
  });
  return response.json();
}

const say = (chatId: number, text: string) =>
  telegram.push(token, { message: { message_id: 1, chat: { id: chatId, type: "private" }, text } });
const url = "https://edgr.example.com/hook";

test.each([
  [{ url: "http://edgr.example.com/" }, "An HTTPS URL must be provided"],
  [{ url: "https://edgr.example.com:3000/" }, "only on ports 80, 88, 443 or 8443"],
  [{ url, secret_token: "x".repeat(257) }, "secret token is too long"],
  [{ url, secret_token: "a b" }, "secret token contains unallowed characters"],
])("a webhook such as %p is refused as Telegram does", async (params, description) => {
  expect(await call("setWebhook", params)).toMatchObject({
    ok: false,
    error_code: 400,
    description: expect.stringContaining(description),
  });
});

test("an update that is not taken is tried again, and holds up its chat and no other", async () => {
  await call("setWebhook", { url });
  refusals.set("first", 3);
  const ids = [say(1, "first"), say(1, "second"), say(2, "other")];
  expect(ids).toEqual([...ids].sort());
  await telegram.idle();
  expect(taken).toEqual(["other", "first", "second"]);
  expect(await call("getWebhookInfo", {})).toMatchObject({
    result: { pending_update_count: 0, last_error_message: expect.stringContaining("503") },
  });
});

test("what comes without a webhook waits for one", async () => {
  say(1, "early");
  expect(await call("getWebhookInfo", {})).toMatchObject({ result: { url: "", pending_update_count: 1 } });
  await call("setWebhook", { url });
  await telegram.idle();
  expect(taken).toEqual(["early"]);
});

test("a message is sent, or refused as it is told to be", async () => {
  expect(await call("sendMessage", { chat_id: 5, text: "hi" })).toMatchObject({
    result: { chat: { id: 5 }, text: "hi" },
  });
  expect(await call("sendMessage", { chat_id: 5, text: "x".repeat(4097) })).toMatchObject({
    error_code: 400,
  });
  telegram.answerChat(5, { code: 403, description: "Forbidden: bot was blocked by the user" });
  expect(await call("sendMessage", { chat_id: 5, text: "hi" })).toMatchObject({ error_code: 403 });
});

test("a revoked token is unauthorized, and the new one has no webhook", async () => {
  await call("setWebhook", { url });
  const fresh = telegram.revoke(token);
  expect(await call("getMe", {})).toMatchObject({ error_code: 401 });
  expect(telegram.webhookOf(fresh)).toBeNull();
});

test("a pressed button waits until it is answered, by a call or by what the webhook answers with, and once", async () => {
  await call("setWebhook", { url });
  const answer = (id: string) => ({
    method: "answerCallbackQuery",
    callback_query_id: id,
    text: `no. ${id}`,
  });
  answers = [answer("1"), { method: "deleteWebhook" }];
  for (const id of ["1", "2"]) telegram.push(token, { callback_query: { id, from: { id: 5 }, data: "x" } });
  await telegram.idle();
  expect(telegram.buttonAnswers).toEqual([{ queryId: "1", text: "no. 1" }]);
  expect(telegram.webhookOf(token)).not.toBeNull();
  const { method: _, ...second } = answer("2");
  expect(await call("answerCallbackQuery", second)).toMatchObject({ ok: true, result: true });
  expect(await call("answerCallbackQuery", second)).toMatchObject({
    error_code: 400,
    description: expect.stringContaining("query is too old"),
  });
  expect(telegram.buttonAnswers.map(({ queryId }) => queryId)).toEqual(["1", "2"]);
});

test("a file is found by its id and read by its path, with the bot's token and no other's", async () => {
  const bytes = Buffer.from("a picture");
  telegram.setFile(token, "abc", { path: "photos/file_1.jpg", bytes });
  const result = { file_id: "abc", file_size: bytes.length, file_path: "photos/file_1.jpg" };
  expect(await call("getFile", { file_id: "abc" })).toMatchObject({ ok: true, result });
  const read = (by: string) => fetch(`${telegram.apiRoot}/file/bot${by}/photos/file_1.jpg`);
  expect(await (await read(token)).text()).toBe("a picture");
  const other = telegram.addBot({ id: nextId + 500, username: "other_bot", name: "Other" });
  expect([(await read(other)).status, (await read("1:x")).status]).toEqual([404, 401]);
  telegram.setFile(token, "abc", { path: "photos/file_1.jpg", bytes, sizeBytes: 21 * 1024 * 1024 });
  expect(await call("getFile", { file_id: "abc" })).toMatchObject({
    description: "Bad Request: file is too big",
  });
  telegram.setFile(token, "abc", null);
  expect(await call("getFile", { file_id: "abc" })).toMatchObject({ error_code: 400 });
});
