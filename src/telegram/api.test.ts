import { expect, test } from "bun:test";
import type { Request } from "../egress/client.ts";
import { type Failure, failed, type Result } from "../egress/result.ts";
import { createBotApi } from "./api.ts";
import { failureOf } from "./failure.ts";

const TOKEN = "123456789:AAH-a_token_of_35_characters_or_so";
const ME = { id: 123456789, is_bot: true, first_name: "Example", username: "example_bot" };

/** A client whose network answers so, one after the other, and whose clock moves only while it waits. */
function clientOf(...answers: Result[]) {
  let clock = 0;
  const sent: Request[] = [];
  const api = createBotApi({
    apiRoot: "https://api.telegram.org",
    egress: {
      send: async (request) => {
        sent.push(request);
        return answers.shift() ?? failed("connect", "Nobody answers there.");
      },
    },
    withinMs: 5_000,
    now: () => clock,
    pause: async (ms) => {
      clock += ms;
    },
  });
  return { api, sent };
}

function answered(status: number, body: object | string): Result {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const { timings } = failed("lost", "");
  return {
    ok: true,
    status,
    headers: {},
    body: Buffer.from(text),
    isTruncated: false,
    address: null,
    timings,
  };
}

const done = (result: unknown) => answered(200, { ok: true, result });
const tooMany = (retryAfter: number) =>
  answered(429, {
    ok: false,
    error_code: 429,
    description: "Too Many Requests",
    parameters: { retry_after: retryAfter },
  });

test("a method is called below the root, with the token in the path and the rest as JSON", async () => {
  const { api, sent } = clientOf(done(true));
  const wanted = {
    url: "https://edgr.example.com/hook",
    secretToken: "s",
    maxConnections: 7,
    allowedUpdates: ["message"],
  };
  expect(await api.setWebhook(TOKEN, wanted)).toEqual({ ok: true, value: true });
  expect(sent[0]).toMatchObject({
    url: `https://api.telegram.org/bot${TOKEN}/setWebhook`,
    method: "POST",
    deadlineMs: 5_000,
  });
  expect(JSON.parse(sent[0]?.body ?? "")).toEqual({
    url: "https://edgr.example.com/hook",
    secret_token: "s",
    max_connections: 7,
    allowed_updates: ["message"],
  });
});

test("what is no token is asked nothing, so that it leads nowhere else", async () => {
  const { api, sent } = clientOf(done(ME));
  expect(await api.getMe("1:../../deleteEverything")).toMatchObject({ ok: false, failure: "token" });
  expect(sent).toEqual([]);
});

test("too many requests are waited for as long as that fits into the call's time", async () => {
  const { api, sent } = clientOf(tooMany(2), tooMany(2), done(ME));
  expect(await api.getMe(TOKEN)).toEqual({
    ok: true,
    value: { id: 123456789, is_bot: true, first_name: "Example", username: "example_bot" },
  });
  expect(sent.map(({ deadlineMs }) => deadlineMs)).toEqual([5_000, 3_000, 1_000]);
  expect(await clientOf(tooMany(3), tooMany(3), done(ME)).api.getMe(TOKEN)).toMatchObject({
    failure: "rate_limited",
    retryAfterMs: 3_000,
  });
});

test.each([
  ["timeout", "uncertain"],
  ["lost", "uncertain"],
  ["connect", "unavailable"],
  ["dns", "unavailable"],
] as [Failure, string][])("a network that fails by %s is %s", async (failure, as) => {
  const { api } = clientOf(failed(failure, "No."));
  expect(await api.getMe(TOKEN)).toMatchObject({ ok: false, failure: as, description: "No." });
});

test("an answer that is none is not taken for one", async () => {
  const html = answered(502, "<html>Bad Gateway</html>");
  expect(await clientOf(html).api.getMe(TOKEN)).toMatchObject({ failure: "unavailable" });
  expect(await clientOf(done({ id: "7" })).api.getMe(TOKEN)).toMatchObject({ failure: "unavailable" });
});

test("the token is in no description", async () => {
  const body = { ok: false, error_code: 400, description: `Bad Request: /bot${TOKEN}/getMe` };
  const answer = await clientOf(answered(400, body)).api.getMe(TOKEN);
  expect(JSON.stringify(answer)).not.toContain(TOKEN);
});

test.each([
  [403, "Forbidden: bot was blocked by the user", undefined, "blocked"],
  [403, "Forbidden: user is deactivated", undefined, "blocked"],
  [400, "Bad Request: chat not found", undefined, "chat_not_found"],
  [400, "Bad Request: group chat was upgraded to a supergroup chat", -1001987654321, "migrated"],
  [400, "Bad Request: can't parse entities: unclosed tag", undefined, "content"],
  [400, "Bad Request: message is too long", undefined, "content"],
  [400, "Bad Request: message text is empty", undefined, "content"],
  [400, "Bad Request: bad webhook", undefined, "refused"],
  [401, "Unauthorized", undefined, "token"],
  [404, "Not Found", undefined, "token"],
  [409, "Conflict", undefined, "conflict"],
  [429, "Too Many Requests: retry after 5", undefined, "rate_limited"],
  [500, "Internal Server Error", undefined, "unavailable"],
])("%i %p is told by its code first, and its text second", (code, description, migratedTo, failure) => {
  expect(failureOf({ code, description, migratedTo })).toMatchObject({
    failure,
    migratedTo: migratedTo ?? null,
    retryAfterMs: code === 429 ? 1_000 : null,
  });
});
