import { expect, test } from "bun:test";
import fc from "fast-check";
import { readMessage as readDiscord } from "../../test/support/discord.ts";
import { HOSTILE, hostileText } from "../../test/support/hostile.ts";
import type { Shown } from "../../test/support/shown.ts";
import { readMessage as readSlack } from "../../test/support/slack.ts";
import { EVENT_TYPES, type EventType, type Json } from "../events/event.ts";
import { VOICES } from "./format/voices.ts";
import { renderDigest, renderEvent } from "./render.ts";
import type { ChatType, DigestTold, Told } from "./told.ts";

const PUBLIC_URL = "https://edgr.example.com";
const CONTACT_ID = "0190a000-0000-7000-8000-000000000001";
const CAMPAIGN_ID = "0190a000-0000-7000-8000-000000000002";
const CONTACT_URL = `${PUBLIC_URL}/contacts/${CONTACT_ID}`;
const CAMPAIGN_URL = `${PUBLIC_URL}/campaigns/${CAMPAIGN_ID}`;
const AT = new Date("2026-11-25T10:00:00.000Z");
const CHATS = ["slack", "discord"] as const;

/** Every name of an event's data that any sentence or detail shows. */
const KEYS = [
  ...new Set(
    Object.values(VOICES).flatMap(({ sentence, details }) => [
      ...[...sentence.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name),
      ...details.map(([, key]) => key),
    ]),
  ),
].filter((key) => !["who", "in", "campaign"].includes(key));

function told(type: EventType, rest: Partial<Told> = {}): Told {
  return {
    eventId: "0190a000-0000-7000-8000-000000000003",
    type,
    at: AT,
    customerId: "0190a000-0000-7000-8000-000000000004",
    campaign: { id: CAMPAIGN_ID, name: "Welcome" },
    nodeId: "hello",
    runId: null,
    messageId: null,
    contact: {
      id: CONTACT_ID,
      email: "ann@example.com",
      telegramChatId: null,
      attributes: { firstName: "Ann", lastName: "Lee" },
    },
    agent: null,
    agentRule: null,
    userAgent: null,
    ip: null,
    data: {},
    ...rest,
  };
}

/** What a chat takes, or an error that says why it does not. */
function shownIn(chat: ChatType, body: string): Shown[] {
  if (chat === "slack") {
    const read = readSlack(body);
    if (typeof read === "string") throw new Error(read);
    expect(read.mayUnfurl).toBe(false);
    return [read.shown, read.notified];
  }
  const read = readDiscord(body);
  if (!("posted" in read)) throw new Error(JSON.stringify(read));
  expect(JSON.parse(body).allowed_mentions).toEqual({ parse: [] });
  return [read.posted.shown];
}

const shown = (chat: ChatType, event: Told) =>
  shownIn(chat, renderEvent(chat, event, PUBLIC_URL, { isTest: false }));

const sentenceOf = (event: Told) => shown("slack", event)[1]?.text;

// Nobody is called, nothing is formatted, and the only links are these.
function expectOnlyOurs(parts: Shown[], urls: readonly string[]): void {
  for (const { mentions, formats } of parts)
    expect({ mentions, formats }).toEqual({ mentions: [], formats: [] });
  expect(parts.flatMap(({ links }) => links.map(({ url }) => url))).toEqual([...urls]);
}

test.each([
  [
    "email_clicked",
    { clickedUrl: "https://example.com/buy" },
    "Ann Lee <ann@example.com> clicked https://example.com/buy in Welcome",
  ],
  ["email_opened", {}, "Ann Lee <ann@example.com> opened an email in Welcome"],
  ["email_clicked", {}, "Ann Lee <ann@example.com> clicked in Welcome"],
  [
    "message_bounced",
    { bounceType: "Permanent", bounceSubType: "General" },
    "A message to Ann Lee <ann@example.com> bounced in Welcome: Permanent / General",
  ],
  [
    "message_bounced",
    { bounceType: "Permanent" },
    "A message to Ann Lee <ann@example.com> bounced in Welcome: Permanent",
  ],
  ["message_received", { subject: "Re: Hi" }, "Ann Lee <ann@example.com> wrote in Welcome: Re: Hi"],
  ["campaign_started", {}, "Ann Lee <ann@example.com> entered Welcome"],
  [
    "endpoint_disabled",
    { url: "https://example.com/…" },
    "A webhook endpoint is disabled: https://example.com/…",
  ],
] as const)("%s with %j is told as one readable sentence", (type, data, sentence) => {
  expect(sentenceOf(told(type, { data }))).toBe(sentence);
});

test("a contact is called by what is known of him", () => {
  const called = (contact: Partial<NonNullable<Told["contact"]>>) =>
    sentenceOf(
      told("unsubscribed", {
        campaign: null,
        contact: { id: CONTACT_ID, email: null, telegramChatId: null, attributes: {}, ...contact },
      }),
    );
  expect(called({ email: "ann@example.com" })).toBe("ann@example.com unsubscribed");
  expect(called({ telegramChatId: 42 })).toBe("Telegram 42 unsubscribed");
  expect(called({ telegramChatId: 42, attributes: { name: "Ann" } })).toBe("Ann (Telegram 42) unsubscribed");
  expect(called({ attributes: { name: 7 } })).toBe("A contact without a name unsubscribed");
  expect(sentenceOf(told("unsubscribed", { campaign: null, contact: null }))).toBe("Somebody unsubscribed");
});

test("a machine's hit and an example say that they are", () => {
  expect(sentenceOf(told("email_opened", { agent: "scanner" }))).toEndWith("in Welcome (automatic: scanner)");
  const body = renderEvent("slack", told("email_opened"), PUBLIC_URL, { isTest: true });
  expect(shownIn("slack", body)[1]?.text).toStartWith("Test: Ann Lee");
  const discord = renderEvent("discord", told("email_opened"), PUBLIC_URL, { isTest: true });
  expect(shownIn("discord", discord)[0]?.text).toContain("Test: Email opened");
  expect(
    JSON.parse(renderEvent("custom", told("email_opened"), PUBLIC_URL, { isTest: true })).data.isTest,
  ).toBe(true);
});

test.each(CHATS)("%s shows the sentence, the details and links to contact and campaign", (chat) => {
  const event = told("message_bounced", {
    data: { bounceType: "Permanent", diagnosticCode: "550 5.1.1 <x@y.z> no such user & more" },
  });
  const [message] = shown(chat, event);
  expect(message?.text).toContain("A message to Ann Lee <ann@example.com> bounced in Welcome");
  expect(message?.text).toContain("550 5.1.1 <x@y.z> no such user & more");
  expect(message?.links).toEqual([
    { label: "Contact", url: CONTACT_URL },
    { label: "Campaign", url: CAMPAIGN_URL },
  ]);
});

test.each(CHATS)("%s has words for every type of event", (chat) => {
  for (const type of EVENT_TYPES) {
    const [message] = shown(chat, told(type, { campaign: null, contact: null }));
    expect(message?.text).not.toMatch(/[{}[\]]|undefined|null/);
    expect(message?.links).toEqual([]);
  }
});

test("gravity is seen by colour", () => {
  const colour = (type: EventType) =>
    JSON.parse(renderEvent("discord", told(type), PUBLIC_URL, { isTest: false })).embeds[0].color;
  expect(
    new Set([
      colour("message_bounced"),
      colour("unsubscribed"),
      colour("email_opened"),
      colour("message_sent"),
    ]).size,
  ).toBe(4);
  expect(shown("slack", told("message_bounced"))[0]?.text).toStartWith("🔴");
});

test.each(CHATS)("%s shows a reply's lines, and says when there are more", (chat) => {
  const text = Array.from({ length: 20 }, (_, line) => `line ${line}`).join("\r\n");
  const [message] = shown(chat, told("message_received", { data: { text } }));
  expect(message?.text).toContain("line 0\nline 1\n");
  expect(message?.text).toContain("line 11\n…");
});

test.each(CHATS)("whatever is in a field stays text in %s", (chat) => {
  for (const type of EVENT_TYPES) {
    for (const text of HOSTILE) {
      const data: Told["data"] = Object.fromEntries(KEYS.map((key) => [key, text]));
      const contact = { id: CONTACT_ID, email: text, telegramChatId: null, attributes: { name: text } };
      const event = told(type, { data, contact, campaign: { id: CAMPAIGN_ID, name: text } });
      expectOnlyOurs(shown(chat, event), [CONTACT_URL, CAMPAIGN_URL]);
    }
  }
});

test.each(CHATS)("what is in fields, and where they meet, stays text within the limits of %s", (chat) => {
  const json: fc.Arbitrary<Json> = fc.oneof(
    hostileText,
    fc.array(hostileText, { maxLength: 3 }),
    fc.dictionary(hostileText, hostileText, { maxKeys: 3 }),
  );
  const event = fc.record({
    type: fc.constantFrom(...EVENT_TYPES),
    campaign: fc.record({ id: fc.constant(CAMPAIGN_ID), name: hostileText }),
    contact: fc.record({
      id: fc.constant(CONTACT_ID),
      email: fc.option(hostileText),
      telegramChatId: fc.option(fc.maxSafeInteger()),
      attributes: fc.record({ firstName: json, lastName: json }),
    }),
    data: fc.record(Object.fromEntries(KEYS.map((key) => [key, json]))),
  });
  fc.assert(
    fc.property(event, fc.boolean(), ({ type, ...rest }, isTest) => {
      const body = renderEvent(chat, told(type, rest), PUBLIC_URL, { isTest });
      expectOnlyOurs(shownIn(chat, body), [CONTACT_URL, CAMPAIGN_URL]);
      expectWhole(body);
    }),
    { numRuns: 400 },
  );
});

// No half of a character in any text.
function expectWhole(body: string): void {
  JSON.parse(body, (_, value) => {
    if (typeof value === "string") expect(value.isWellFormed()).toBe(true);
    return value;
  });
}

const digest = (counts: DigestTold["counts"]): DigestTold => ({
  id: "0190a000-0000-7000-8000-000000000005",
  from: AT,
  to: new Date(AT.getTime() + 300_000),
  counts,
});

test.each(CHATS)(
  "a digest in %s counts each campaign's events, the most first, with the totals so far",
  (chat) => {
    const campaign = { id: CAMPAIGN_ID, name: "Welcome" };
    const other = { id: CONTACT_ID, name: "Other" };
    const body = renderDigest(
      chat,
      digest([
        { type: "message_sent", campaign: other, count: 2, total: 2 },
        { type: "email_clicked", campaign, count: 7, total: 80 },
        { type: "email_opened", campaign, count: 1_204, total: 10_000 },
        { type: "run_completed", campaign: null, count: 1, total: null },
      ]),
      PUBLIC_URL,
    );
    const [message] = shownIn(chat, body);
    expect(message?.text).toMatch(
      /1,214 events[\s\S]*Welcome\n(• )?Email opened: 1,204 \(10,000 so far\)\n(• )?Link clicked: 7 \(80 so far\)[\s\S]*Other\n(• )?Message sent: 2 \(2 so far\)[\s\S]*Outside of campaigns\n(• )?Step completed: 1$/m,
    );
    expect(message?.links.map(({ url }) => url)).toEqual([
      CAMPAIGN_URL,
      `${PUBLIC_URL}/campaigns/${CONTACT_ID}`,
    ]);
  },
);

test.each(CHATS)(
  "a digest of hundreds of campaigns with hostile names stays within the limits of %s",
  (chat) => {
    const id = (index: number) => `0190a000-0000-7000-8000-${String(index).padStart(12, "0")}`;
    const counts = fc.array(hostileText, { minLength: 1, maxLength: 40 }).map((names) =>
      names.flatMap((name, index) =>
        EVENT_TYPES.map((type) => ({
          type,
          campaign: { id: id(index), name },
          count: 1_000_000 - index,
          total: Number.MAX_SAFE_INTEGER,
        })),
      ),
    );
    fc.assert(
      fc.property(counts, (many) => {
        const body = renderDigest(chat, digest(many), PUBLIC_URL);
        const parts = shownIn(chat, body);
        const links = parts.flatMap((part) => part.links.map(({ url }) => url));
        expectOnlyOurs(
          parts,
          links.map((_, index) => `${PUBLIC_URL}/campaigns/${id(index)}`),
        );
        expectWhole(body);
      }),
      { numRuns: 60 },
    );
  },
);

test("a digest says how much it leaves out", () => {
  const counts = Array.from({ length: 100 }, (_, index) => ({
    type: "email_opened" as const,
    campaign: { id: `campaign-${index}`, name: `Campaign ${index}` },
    count: 10,
    total: null,
  }));
  expect(shownIn("slack", renderDigest("slack", digest(counts), PUBLIC_URL))[0]?.text).toContain(
    "… and 880 events of 88 more",
  );
  expect(shownIn("discord", renderDigest("discord", digest(counts), PUBLIC_URL))[0]?.text).toContain(
    "and 920 events of 92 more",
  );
});

test("a program is told everything as it is", () => {
  const event = told("email_clicked", { agent: "human", data: { clickedUrl: "<!channel>" } });
  expect(JSON.parse(renderEvent("custom", event, PUBLIC_URL, { isTest: false }))).toEqual({
    type: "email_clicked",
    timestamp: "2026-11-25T10:00:00.000Z",
    data: {
      id: event.eventId,
      customerId: event.customerId,
      campaignId: CAMPAIGN_ID,
      campaignName: "Welcome",
      nodeId: "hello",
      runId: null,
      messageId: null,
      contactId: CONTACT_ID,
      contact: { email: "ann@example.com", telegramChatId: null },
      agent: "human",
      agentRule: null,
      userAgent: null,
      ip: null,
      isTest: false,
      data: { clickedUrl: "<!channel>" },
    },
  });
});
