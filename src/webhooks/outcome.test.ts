import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Failure, failed, type Result } from "../egress/result.ts";
import { judge, type Verdict } from "./outcome.ts";
import { MAX_AGE_S } from "./retry.ts";
import { ENDPOINT_TYPES, type EndpointType } from "./told.ts";

const NOW = Date.parse("2026-11-25T10:00:00Z");
const TIMINGS = { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: 1, totalMs: 1 };

function answered(status: number, body = "", headers: { [name: string]: string } = {}): Result {
  const bytes = Buffer.from(body);
  return { ok: true, status, headers, body: bytes, isTruncated: false, address: null, timings: TIMINGS };
}

const of =
  (type: EndpointType) =>
  (status: number, body = "", headers: { [name: string]: string } = {}): Verdict =>
    judge(type, answered(status, body, headers), NOW);

const custom = of("custom");
const slack = of("slack");
const discord = (status: number, body: object, headers: { [name: string]: string } = {}) =>
  of("discord")(status, JSON.stringify(body), headers);

const DELIVERED = {
  outcome: "delivered",
  isFinal: true,
  disables: null,
  failure: null,
  reason: null,
} as const;
/** By the schedule, and the endpoint is to blame. */
const AGAIN = { outcome: "failed", isFinal: false, disables: null, countsAgainst: true } as const;
/** Never again, and the endpoint is not to blame. */
const NEVER = { outcome: "failed", isFinal: true, disables: null, countsAgainst: false } as const;
const ENDS = { outcome: "failed", isFinal: false, disables: expect.any(String) } as const;

const FAILURES: Failure[] = ["refused", "dns", "connect", "tls", "timeout", "lost", "protocol"];

describe("of any endpoint", () => {
  test.each(FAILURES)("no answer (%s) is tried again, and its class and reason are kept", (failure) => {
    for (const type of ENDPOINT_TYPES) {
      const verdict = judge(type, failed(failure, "Nobody was there."), NOW);
      expect(verdict).toMatchObject({ ...AGAIN, failure, slowsForS: null, retryAfterS: null });
      expect(verdict.reason).toStartWith("Nobody was there.");
    }
  });

  test("a server that takes no connection in time is to be looked for, one that answers too late to be quicker", () => {
    const timeout = failed("timeout", "Too late.");
    expect(judge("custom", timeout, NOW).reason).toContain("Check the endpoint's URL");
    const connected = { ...timeout, address: "203.0.113.9" };
    expect(judge("custom", connected, NOW).reason).toContain("Let the server answer first");
  });

  test.each(ENDPOINT_TYPES)("5xx of %s is tried again by the schedule", (type) => {
    expect(of(type)(500)).toMatchObject({
      ...AGAIN,
      failure: "http_500",
      slowsForS: null,
      retryAfterS: null,
    });
    expect(of(type)(503)).toMatchObject({ ...AGAIN, slowsForS: null });
  });

  test.each(ENDPOINT_TYPES)("429 of %s slows it by what it asks for, and is no failure of it", (type) => {
    const again = { ...AGAIN, countsAgainst: false, failure: "http_429" };
    expect(of(type)(429, "{}")).toMatchObject({ ...again, slowsForS: 60, retryAfterS: null });
    const seconds = of(type)(429, "{}", { "retry-after": "3600" });
    expect(seconds).toMatchObject({ ...again, slowsForS: 3_600, retryAfterS: 3_600 });
    const date = of(type)(429, "{}", { "retry-after": "Wed, 25 Nov 2026 10:05:00 GMT" });
    expect(date).toMatchObject({ ...again, slowsForS: 300, retryAfterS: 300 });
  });

  test.each([502, 504])("%d slows it, and 503 does when it says for how long", (status) => {
    for (const type of ENDPOINT_TYPES) {
      expect(of(type)(status)).toMatchObject({ ...AGAIN, slowsForS: 60 });
      expect(of(type)(503, "", { "retry-after": "7" })).toMatchObject({
        ...AGAIN,
        slowsForS: 7,
        retryAfterS: 7,
      });
    }
  });

  test("a pause is asked for in full, but slows nobody for longer than a delivery lives", () => {
    const verdict = custom(429, "", { "retry-after": "999999999" });
    expect(verdict).toMatchObject({ retryAfterS: 999_999_999, slowsForS: MAX_AGE_S });
  });
});

describe("of a custom endpoint", () => {
  test.each([200, 201, 202, 204, 299])("%d is delivered, whatever the body says", (status) => {
    expect(custom(status, "no_service")).toMatchObject({ ...DELIVERED, countsAgainst: false });
  });

  test.each([301, 302, 307, 400, 401, 403, 404, 405, 413, 415, 422, 418, 500, 599])(
    "%d is tried again, with a sentence of what to do",
    (status) => {
      const verdict = custom(status);
      expect(verdict).toMatchObject({ ...AGAIN, failure: `http_${status}` });
      expect(verdict.reason).toMatch(new RegExp(`^The server answered ${status}[:,] .+\\.$`));
    },
  );

  test("Retry-After is honoured with any status", () => {
    expect(custom(404, "", { "retry-after": "90" })).toMatchObject({
      ...AGAIN,
      retryAfterS: 90,
      slowsForS: null,
    });
  });

  test("410 disables it, and the delivery waits for somebody to mend it", () => {
    expect(custom(410)).toMatchObject({ ...ENDS, failure: "http_410" });
  });

  test.each([["disable"], [" Disable "], ["something-new, disable"], ["abort-message, disable"]])(
    "webhook-delivery: %p disables it, and a 2xx is delivered all the same",
    (wish) => {
      expect(custom(500, "", { "webhook-delivery": wish })).toMatchObject(ENDS);
      const verdict = custom(200, "", { "webhook-delivery": wish });
      expect(verdict).toMatchObject({ outcome: "delivered", disables: expect.any(String), failure: null });
    },
  );

  test("webhook-delivery: abort-message ends this delivery and nothing else", () => {
    expect(custom(500, "", { "webhook-delivery": "abort-message" })).toMatchObject({
      ...NEVER,
      failure: "http_500",
      slowsForS: null,
    });
    expect(custom(200, "", { "webhook-delivery": "abort-message" })).toMatchObject(DELIVERED);
    expect(custom(500, "", { "webhook-delivery": "whatever" })).toMatchObject(AGAIN);
  });
});

describe("of Slack", () => {
  test("only 200 and the body ok is delivered", () => {
    expect(slack(200, "ok")).toMatchObject(DELIVERED);
    expect(slack(200, "ok\n")).toMatchObject(DELIVERED);
    expect(slack(200, "<html>")).toMatchObject({ ...AGAIN, failure: "not_ok" });
    expect(slack(200)).toMatchObject({ ...AGAIN, failure: "not_ok" });
    expect(slack(201, "ok")).toMatchObject(AGAIN);
    expect(slack(302)).toMatchObject({ ...AGAIN, failure: "http_302" });
  });

  test.each([
    [404, "no_service"],
    [404, "channel_not_found"],
    [404, "<html>"],
    [410, "channel_is_archived"],
    [410, ""],
    [403, "invalid_token"],
    [403, "team_disabled"],
    [403, "action_prohibited"],
    [403, "posting_to_general_channel_denied"],
    [400, "no_service"],
  ])("%d %s disables it and says what to do", (status, body) => {
    const verdict = slack(status, body);
    expect(verdict.disables).toStartWith(`Slack answered ${status}`);
    expect(verdict).toMatchObject({ ...ENDS, failure: `http_${status}` });
  });

  test.each([
    [400, "invalid_payload"],
    [400, "no_text"],
    [400, "msg_blocks_too_long"],
    [400, "too_many_attachments"],
    [400, "something_new"],
    [413, ""],
    [403, "invalid_blocks"],
  ])("%d %s is our own mistake and never sent again", (status, body) => {
    expect(slack(status, body)).toMatchObject(NEVER);
  });

  test.each([
    [403, "<html>a proxy</html>"],
    [403, "constructor"],
    [408, ""],
    [500, "no_service"],
    [500, "rollup_error"],
  ])("%d %s is tried again", (status, body) => {
    expect(slack(status, body)).toMatchObject({ ...AGAIN, failure: `http_${status}` });
  });

  test("the header webhook-delivery means nothing", () => {
    expect(slack(500, "", { "webhook-delivery": "disable" })).toMatchObject(AGAIN);
  });
});

describe("of Discord", () => {
  test.each([200, 204])("%d is delivered", (status) => {
    expect(of("discord")(status)).toMatchObject({ ...DELIVERED, slowsForS: null });
  });

  test("the last message for now slows it until there are more, before it has to refuse one", () => {
    const left = (remaining: string) => ({
      "x-ratelimit-remaining": remaining,
      "x-ratelimit-reset-after": "1.25",
    });
    expect(discord(200, {}, left("0"))).toMatchObject({ ...DELIVERED, slowsForS: 1.25 });
    expect(discord(200, {}, left("1"))).toMatchObject({ ...DELIVERED, slowsForS: null });
  });

  test.each([
    [404, {}],
    [404, { code: 10015, message: "Unknown Webhook" }],
    [400, { code: 10015, message: "Unknown Webhook" }],
    [401, { code: 50027, message: "Invalid Webhook Token" }],
    [401, {}],
    [403, { code: 50013, message: "Missing Permissions" }],
  ])("%d %p disables it", (status, body) => {
    expect(discord(status, body)).toMatchObject({ ...ENDS, failure: `http_${status}`, isGlobal: false });
  });

  test("400 is our own mistake, never sent again, with what Discord says", () => {
    const verdict = discord(400, { code: 50035, message: "Invalid Form Body" });
    expect(verdict).toMatchObject({ ...NEVER, failure: "http_400" });
    expect(verdict.reason).toStartWith("Discord answered 400 (50035: Invalid Form Body).");
  });

  test("429 waits for what the body says to the fraction, before the header's whole seconds", () => {
    const verdict = discord(429, { retry_after: 0.65, global: false }, { "retry-after": "1" });
    expect(verdict).toMatchObject({
      retryAfterS: 0.65,
      slowsForS: 0.65,
      isGlobal: false,
      countsAgainst: false,
    });
  });

  test("a global limit slows them all, however it is told", () => {
    const globals = [
      discord(429, { retry_after: 2, global: true }),
      discord(429, { retry_after: 2 }, { "x-ratelimit-global": "true" }),
      discord(429, { retry_after: 2 }, { "x-ratelimit-scope": "global" }),
      of("discord")(429, "<html>error code: 1015</html>", { "retry-after": "2" }),
    ];
    for (const verdict of globals) expect(verdict).toMatchObject({ isGlobal: true, slowsForS: 2 });
  });

  test.each([
    [""],
    ["[]"],
    ["null"],
    ['{"retry_after": -1}'],
    ['{"retry_after": "2"}'],
    ['{"retry_after": 1e999}'],
  ])("429 with the body %p is waited for as the header says", (body) => {
    expect(of("discord")(429, body, { "retry-after": "3" })).toMatchObject({ retryAfterS: 3, slowsForS: 3 });
  });

  test.each([["<html>Access denied</html>"], ['{"message": "internal network error", "code": 40333}']])(
    "403 of its front, which blocks our address, disables nobody: %s",
    (body) => {
      const verdict = of("discord")(403, body);
      expect(verdict).toMatchObject({ isFinal: false, disables: null, isGlobal: true, countsAgainst: false });
      expect(verdict.slowsForS).toBeGreaterThan(0);
    },
  );
});

test("whatever comes back, the verdict is sound and can be stored", () => {
  const bodies = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.json(),
    fc.constantFrom("ok", "no_service", '{"message": "\\u0000\\ud800"}'),
  );
  const names = fc.constantFrom(
    "retry-after",
    "webhook-delivery",
    "x-ratelimit-remaining",
    "x-ratelimit-reset-after",
  );
  const headers = fc.dictionary(names, fc.oneof(fc.string(), fc.constantFrom("0", "disable", "1e9", "12")));
  const statuses = fc.integer({ min: 100, max: 599 });
  fc.assert(
    fc.property(fc.constantFrom(...ENDPOINT_TYPES), statuses, bodies, headers, (type, status, body, sent) => {
      const verdict = of(type)(status, body, sent);
      const isDelivered = verdict.outcome === "delivered";
      expect(verdict.reason === null).toBe(isDelivered);
      expect(verdict.failure === null).toBe(isDelivered);
      if (isDelivered) expect(verdict).toMatchObject({ isFinal: true, countsAgainst: false });
      for (const seconds of [verdict.retryAfterS, verdict.slowsForS]) {
        if (seconds !== null) expect(seconds >= 0 && Number.isFinite(seconds)).toBe(true);
      }
      const said = `${verdict.reason ?? ""}${verdict.disables ?? ""}`;
      expect(said).not.toContain("\0");
      expect(said.isWellFormed()).toBe(true);
    }),
    { numRuns: 500 },
  );
});
