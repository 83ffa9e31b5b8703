import { expect, test } from "bun:test";
import type { Result } from "../egress/result.ts";
import { newId } from "../events/id.ts";
import type { Attempt } from "./begin.ts";
import { createDiscordLimits } from "./discord-limits.ts";
import { judge } from "./outcome.ts";
import type { EndpointType } from "./told.ts";

const START = Date.UTC(2026, 10, 25);

function answered(endpointType: EndpointType, status: number, body = "{}", at = START) {
  const timings = { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: 1, totalMs: 1 };
  const result: Result = {
    ok: true,
    status,
    headers: {},
    body: Buffer.from(body),
    isTruncated: false,
    address: null,
    timings,
  };
  return {
    attempt: attemptTo(endpointType),
    finishedAt: new Date(at),
    result,
    verdict: judge(endpointType, result, at),
  };
}

function attemptTo(endpointType: EndpointType): Attempt {
  const startedAt = new Date(START);
  const delivery = {
    customerId: newId(),
    endpointId: newId(),
    eventId: newId(),
    id: newId(),
    kind: "event",
    eventType: "message_sent",
    eventAt: startedAt,
    attempts: 0,
    scheduleFrom: 0,
    scheduleAt: startedAt,
    trigger: "automatic",
    payload: "{}",
    endpointType,
    revision: "",
    event: null,
    campaignId: null,
    campaignName: null,
    contactId: null,
    contactAttributes: null,
    contactEmail: null,
    contactChatId: null,
  } as const;
  return {
    id: newId(),
    delivery,
    startedAt,
    order: { ok: false, endpoint: null, failure: "", reason: "", isFinal: true },
  };
}

test("a global limit stops every webhook of Discord for as long as it says, and nothing else does", () => {
  const limits = createDiscordLimits();
  limits.note(answered("discord", 429, '{"retry_after": 2.5, "global": false}'));
  expect(limits.allows(START)).toBe(true);
  limits.note(answered("discord", 429, '{"retry_after": 2.5, "global": true}'));
  expect([limits.allows(START + 2_499), limits.allows(START + 2_500)]).toEqual([false, true]);
});

test("after 5,000 unwelcome answers within ten minutes nothing goes to Discord until they are past", () => {
  const limits = createDiscordLimits();
  for (let count = 0; count < 5_000; count += 1) {
    expect(limits.allows(START)).toBe(true);
    limits.note(answered("custom", 403));
    limits.note(answered("discord", 500));
    limits.note(answered("discord", 403));
  }
  expect([limits.allows(START + 599_999), limits.allows(START + 600_000)]).toEqual([false, true]);
});
