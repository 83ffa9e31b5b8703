import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { bounceEffect } from "./bounce.ts";
import { plainAddress, readTime } from "./event-details.ts";
import { parseSesMessage, type SesFact } from "./events.ts";

const CORPUS = path.join(import.meta.dirname, "../../../test/corpus");

const read = (file: string) => readFileSync(path.join(CORPUS, file), "utf8");
type Expected = {
  type: string;
  messageId: string;
  recipients: string[];
  tags: Record<string, string[]> | null;
  timestamp?: string;
  action: string;
  bounceType?: string;
  diagnosticCodes?: (string | null)[];
  statuses?: (string | null)[];
  feedbackId?: string;
  smtpResponse?: string;
  userAgent?: string;
  ipAddress?: string;
  link?: string;
};
const index: { cases: { file: string; expected: Expected }[] } = JSON.parse(read("INDEX.json"));
const cases = index.cases
  .filter(({ file }) => /^ses-(events|notifications)\//.test(file) && !file.includes("succeeded"))
  .map(({ file, expected }) => [file, expected] as const);

function factsOf(text: string): SesFact[] {
  const parsed = parseSesMessage(text);
  if (parsed.kind !== "facts") throw new Error(`no facts: ${JSON.stringify(parsed)}`);
  return parsed.facts;
}

const TYPES: Record<string, string> = {
  Bounce: "message_bounced",
  Complaint: "message_complained",
  Delivery: "message_delivered",
  DeliveryDelay: "message_delayed",
  Reject: "message_rejected",
  "Rendering Failure": "message_rejected",
  Send: "provider_sent",
  Open: "provider_opened",
  Click: "provider_clicked",
  Subscription: "provider_preferences_changed",
};

describe("the corpus", () => {
  test.each(cases)("%s yields what it says", (file, expected) => {
    const parsed = parseSesMessage(read(file));
    if (parsed.kind !== "facts") throw new Error("no facts");
    expect(parsed.mail.sesMessageId).toBe(expected.messageId);
    const tags = Object.entries(expected.tags ?? {}).map(([name, [value]]) => [name, value]);
    expect(parsed.mail.tags).toEqual(Object.fromEntries(tags));
    expect(parsed.facts.map(({ recipient }) => recipient)).toEqual(expected.recipients);
    for (const fact of parsed.facts) expect<string | undefined>(fact.type).toBe(TYPES[expected.type]);
    const [fact] = parsed.facts;
    if (fact === undefined) throw new Error("no facts");
    const { data, userAgent, ip } = fact;
    const at = expected.timestamp === undefined ? null : new Date(expected.timestamp);
    expect(parsed.facts[0]?.at ?? null).toEqual(at);
    if (expected.feedbackId !== undefined) expect(data.feedbackId).toBe(expected.feedbackId);
    if (expected.bounceType !== undefined) expect(data.bounceType).toBe(expected.bounceType);
    if (expected.smtpResponse) expect(data.smtpResponse).toBe(expected.smtpResponse);
    if (expected.userAgent !== undefined)
      expect([userAgent, ip]).toEqual([expected.userAgent, expected.ipAddress ?? null]);
    if (expected.link !== undefined) expect(data.clickedUrl).toBe(expected.link);
    for (const [name, values] of Object.entries({
      diagnosticCode: expected.diagnosticCodes,
      status: expected.statuses,
    }))
      if (values !== undefined) expect(parsed.facts.map((fact) => fact.data[name] ?? null)).toEqual(values);
    const effect = parsed.facts[0]?.effect.kind;
    if (/^suppress|^unsubscribe/.test(expected.action)) expect(effect).toBe("suppress");
    else if (expected.action === "soft-bounce") expect(effect).toBe("soft");
    else expect(effect).toBe("none");
  });

  test("of two recipients in one bounce, the one who is still being tried is not suppressed", () => {
    const facts = factsOf(read("ses-notifications/bounce-multi-mixed-actions.json"));
    expect(facts.map(({ effect }) => effect.kind)).toEqual(["suppress", "none"]);
  });

  test("SES's own word about the subscription, texts and other people's JSON are nothing to do", () => {
    const kinds = [
      read("ses-notifications/amazonsnssubscriptionsucceeded.json"),
      "Successfully validated SNS topic for Amazon SES event publishing.",
      JSON.parse(read("sns/cloudwatch-alarm.json")).Message,
      "[1]",
      "null",
    ].map((message) => parseSesMessage(message).kind);
    expect(kinds).toEqual(["other", "other", "other", "other", "other"]);
  });
});

describe("the same fact", () => {
  const bounce = (more: object, dialect = "eventType") =>
    JSON.stringify({
      [dialect]: "Bounce",
      mail: {
        messageId: "m1",
        destination: ["ann@example.com"],
        ...(dialect === "eventType" ? { tags: {} } : { sourceIp: "192.0.2.1" }),
      },
      bounce: {
        bounceType: "Permanent",
        bounceSubType: "General",
        bouncedRecipients: [{ emailAddress: "Ann <ANN@example.com>" }],
        timestamp: "2026-11-25T00:00:00.000Z",
        feedbackId: "f1",
        ...more,
      },
    });
  const key = (message: string) => factsOf(message)[0]?.key;

  test("has the same key in both dialects, and however its time is written", () => {
    const other = bounce({ timestamp: "2026-11-25T01:00:00.000+01:00" }, "notificationType");
    expect(key(other)).toBe(key(bounce({})));
  });

  test("has another key with another feedback id, recipient or mail", () => {
    const keys = [
      bounce({}),
      bounce({ feedbackId: "f2" }),
      bounce({ bouncedRecipients: [{ emailAddress: "bob@example.com" }] }),
      bounce({}).replace('"m1"', '"m2"'),
      bounce({ feedbackId: undefined }),
      bounce({ feedbackId: undefined, timestamp: "2026-11-26T00:00:00.000Z" }),
    ].map(key);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe("what is not as documented", () => {
  test.each([
    [{ eventType: "Bounce", bounce: {} }, "a Bounce event without its mail"],
    [{ eventType: "Bounce", mail: {} }, "a Bounce event without what it is about"],
    [
      { eventType: "Bounce", mail: {}, bounce: { bounceType: "Permanent" } },
      "a Bounce event without what it is about",
    ],
    [{ eventType: "Teleport", mail: {} }, 'an event of a kind that is not known: "Teleport"'],
    [{ eventType: "constructor", mail: {} }, 'an event of a kind that is not known: "constructor"'],
    [{ eventType: { toString: 0 } }, 'an event of a kind that is not known: {"toString":0}'],
    [{ notificationType: 7 }, "an event of a kind that is not known: 7"],
  ])("%j is kept as odd: %s", (message, reason) => {
    expect(parseSesMessage(JSON.stringify(message))).toEqual({ kind: "odd", reason });
  });

  test("fields of the wrong kind, NUL characters and half characters lose no fact", () => {
    const facts = factsOf(
      JSON.stringify({
        eventType: "Bounce",
        mail: { messageId: 7, destination: "x", headers: {}, tags: [] },
        bounce: {
          bounceType: "Permanent",
          bouncedRecipients: [{ emailAddress: "a@example.com", status: 5, diagnosticCode: "a\0b\ud800" }],
        },
      }),
    );
    expect(facts).toMatchObject([{ recipient: "a@example.com", data: { diagnosticCode: "ab\ufffd" } }]);
  });

  test("no JSON makes it throw", () => {
    fc.assert(
      fc.property(fc.constantFrom(...cases), fc.json(), fc.nat(), ([file], json, at) => {
        const body: Record<string, unknown> = JSON.parse(read(file));
        const keys = Object.keys(body);
        parseSesMessage(JSON.stringify({ ...body, [keys[at % keys.length] ?? ""]: JSON.parse(json) }));
      }),
    );
  });
});

test.each([
  ["Permanent", "General", {}, "suppress"],
  ["Permanent", "NoEmail", { status: "5.1.1" }, "suppress"],
  ["Permanent", "OnAccountSuppressionList", {}, "suppress"],
  ["Permanent", "SomethingNew", {}, "suppress"],
  ["Permanent", "General", { status: "4.4.7" }, "none"],
  ["Permanent", "General", { action: "delayed" }, "none"],
  ["Transient", "General", { status: "4.4.7" }, "soft"],
  ["Transient", "MailboxFull", {}, "soft"],
  ["Transient", "MessageTooLarge", {}, "none"],
  ["Transient", "ContentRejected", {}, "none"],
  ["Transient", "AttachmentRejected", {}, "none"],
  ["Transient", "CustomTimeoutExceeded", {}, "none"],
  ["Transient", "General", { status: "5.4.4", diagnosticCode: "smtp; 550 5.4.4 Invalid domain" }, "suppress"],
  ["Transient", "General", { status: "5.4.4", diagnosticCode: "relay refused" }, "soft"],
  ["Undetermined", "Undetermined", {}, "none"],
  ["SomethingNew", "General", {}, "none"],
])("a bounce %s / %s %j has the effect %s", (type, subType, recipient, effect) => {
  const nothing = { action: null, status: null, diagnosticCode: null };
  expect(bounceEffect(type, subType, { ...nothing, ...recipient }).kind).toBe(effect as "none");
});

test("an unsubscribed recipient is unsubscribed, not bounced", () => {
  const nothing = { action: null, status: null, diagnosticCode: null };
  expect(bounceEffect("Permanent", "UnsubscribedRecipient", nothing)).toEqual({
    kind: "suppress",
    reason: "unsubscribe",
  });
});

test("addresses are taken out of their names, times out of their spellings", () => {
  expect(plainAddress("Ann <Ann@Example.com>")).toBe("ann@example.com");
  expect(plainAddress(" <ann@example.com> ")).toBe("ann@example.com");
  expect(readTime("2018-10-08T14:05:45 +0000")?.toISOString()).toBe("2018-10-08T14:05:45.000Z");
  expect(readTime("2012-05-25T14:59:38.605-07:00")?.toISOString()).toBe("2012-05-25T21:59:38.605Z");
  for (const text of ["yesterday", "", "2018", null]) expect(readTime(text)).toBeNull();
});
