import { describe, expect, test } from "bun:test";
import { type Answer, outcomeOf, standardBody } from "./webhook-call.ts";

const NOW = Date.parse("2026-11-25T12:00:00Z");
const HALF = 0.5;

const answered = (status: number, body = "", headers: Record<string, string> = {}): Answer => ({
  ok: true,
  status,
  headers,
  body: Buffer.from(body),
  isTruncated: false,
});

const outcome = (answer: Answer, mapping = {}, attempts = 1) =>
  outcomeOf(answer, mapping, attempts, HALF, NOW);

describe("an answer of 2xx", () => {
  test("completes the run, whatever it says, when nothing of it is asked for", () => {
    expect(outcome(answered(204))).toEqual({ kind: "completed", status: 204, output: {} });
    expect(outcome(answered(200, "<html>"))).toEqual({ kind: "completed", status: 200, output: {} });
  });

  test("gives what is asked for, from wherever it is in the JSON", () => {
    const body = JSON.stringify({ data: { score: 7, list: ["a", { deep: true }] }, none: null });
    const mapping = { score: "data.score", second: "data.list.1.deep", nothing: "none", missing: "data.x.y" };
    expect(outcome(answered(200, body), mapping)).toMatchObject({
      output: { score: 7, second: true, nothing: null },
    });
  });

  test("can't reach what every object inherits", () => {
    const mapping = { a: "constructor", b: "data.__proto__", c: "list.length", d: "list.0" };
    expect(outcome(answered(200, `{"data":{},"list":[1]}`), mapping)).toEqual({
      kind: "completed",
      status: 200,
      output: { d: 1 },
    });
  });

  test("loses the characters that a database can't keep", () => {
    const body = `{"data":{"a\\u0000b":["x\\u0000y","\\ud800"]}}`;
    expect(outcome(answered(200, body), { data: "data" })).toMatchObject({
      output: { data: { ab: ["xy", "\ufffd"] } },
    });
  });

  test.each(["<html>", "", `{"a":`])("fails when something is asked for and it is no JSON: %p", (body) => {
    expect(outcome(answered(200, body), { score: "score" })).toEqual({
      kind: "failed",
      status: 200,
      reason: "The server answered 200 with something that is not JSON.",
    });
  });

  test("fails when something is asked for and the answer was cut off", () => {
    const answer = { ...answered(200, "{}"), isTruncated: true } as const;
    expect(outcome(answer, { score: "score" })).toMatchObject({
      kind: "failed",
      reason: "The server answered 200 with more than is read of an answer.",
    });
  });
});

describe("an answer that is no 2xx", () => {
  test.each([301, 302, 307, 400, 401, 404, 410, 422])("%d fails the run at once", (status) => {
    expect(outcome(answered(status))).toEqual({
      kind: "failed",
      status,
      reason: `The server answered ${status}.`,
    });
  });

  test.each([408, 425, 429, 500, 502, 503, 504])("%d is tried again", (status) => {
    expect(outcome(answered(status))).toMatchObject({ kind: "again", delayMs: 10_000 });
  });

  test("is tried again when it asked to be, and within a day however long it asks for", () => {
    const after = (value: string) => outcome(answered(429, "", { "retry-after": value }));
    expect(after("3600")).toMatchObject({ delayMs: 3_600_000 });
    expect(after("Wed, 25 Nov 2026 12:30:00 GMT")).toMatchObject({ delayMs: 1_800_000 });
    expect(after("1")).toMatchObject({ delayMs: 10_000 });
    expect(after("soon")).toMatchObject({ delayMs: 10_000 });
    expect(after("99999999")).toMatchObject({ delayMs: 86_400_000 });
  });

  test("is tried six times in all, over about three hours", () => {
    const delays = [1, 2, 3, 4, 5, 6].map((attempts) => outcome(answered(500), {}, attempts));
    expect(delays.map((made) => (made.kind === "again" ? made.delayMs / 60_000 : made.kind))).toEqual([
      1 / 6,
      1,
      5,
      30,
      120,
      "failed",
    ]);
    expect(delays[5]).toMatchObject({
      status: 500,
      reason: "The server answered 500. It was tried 6 times.",
    });
  });
});

test("no answer is tried again, unless trying is of no use", () => {
  const reason = "Nobody answers at the address.";
  expect(outcome({ ok: false, reason, isFinal: false })).toMatchObject({ kind: "again", reason });
  expect(outcome({ ok: false, reason, isFinal: true })).toEqual({ kind: "failed", status: null, reason });
});

test("a delay is spread by 20 % both ways", () => {
  const at = (random: number) => outcomeOf(answered(500), {}, 2, random, NOW);
  expect([at(0), at(1)]).toMatchObject([{ delayMs: 48_000 }, { delayMs: 72_000 }]);
});

test("the standard body says who, where and which run", () => {
  const body = standardBody({
    customerId: "c",
    runId: "r",
    enrollmentId: "e",
    campaignId: "k",
    campaignName: "Welcome",
    version: 3,
    nodeId: "hook",
    settings: {},
    contactId: "p",
    contact: { email: "ann@example.com", timeZone: null, attributes: { plan: "pro" }, tags: ["vip"] },
    attempts: 1,
  });
  expect(JSON.parse(body)).toEqual({
    campaign: { id: "k", name: "Welcome", version: 3 },
    nodeId: "hook",
    enrollmentId: "e",
    runId: "r",
    contact: {
      id: "p",
      email: "ann@example.com",
      timeZone: null,
      attributes: { plan: "pro" },
      tags: ["vip"],
    },
  });
});
