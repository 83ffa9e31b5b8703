import { createHash } from "node:crypto";
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { EVENT_TYPES, type Event, type Json, newEvent } from "../../events/event.ts";
import { fromShortId } from "../../events/id.ts";
import { storableText } from "../../events/storable.ts";
import type { SesFact, SesMail } from "./events.ts";

/** A verified notification on its way into the database. All its text is such as PostgreSQL takes. */
export type Notice = {
  /** A new UUIDv7: of the row it becomes, should it be kept as one. */
  id: string;
  customerId: string;
  topicArn: string;
  /** SNS's MessageId: the same however often SNS delivers it. */
  envelopeId: string;
  sentAt: Date;
  content: Content;
};

export type Content =
  | { kind: "facts"; name: string; mail: SesMail; facts: SesFact[] }
  /** Kept for who reads mail. */
  | { kind: "received"; raw: string }
  /** Kept for a person to see. */
  | { kind: "odd"; reason: string; raw: string };

/** The message that facts are about, as far as events need it. */
export type Matched = {
  id: string;
  runId: string | null;
  campaignId: string | null;
  contactId: string;
  toAddress: string;
};

/** What says which of our messages a mail is; each may be missing. */
export type Correlation = { taggedId: string | null; providerId: string | null; headerId: string | null };

/**
 * The tag is ours where SES hands on what we sent along; other people's headers may say anything, so all of it is
 * looked up only among the messages of the customer whose topic it is. The tag `edgr-customer` is never asked.
 */
export function correlationOf(mail: SesMail): Correlation {
  return {
    taggedId: fromShortId(mail.tags["edgr-message"] ?? ""),
    providerId: mail.sesMessageId,
    headerId: fromShortId(/^<?([^@<>]{22})@/.exec(mail.messageIdHeader ?? "")?.[1] ?? ""),
  };
}

/** Under what a name is remembered: as many bytes for each, however long it is. @returns hexadecimal digits */
export function digestOf(name: string): string {
  return createHash("sha256").update(name).digest("hex");
}

/**
 * The event that a fact is for a message. What the address is in for goes along only when it is the message's own: a
 * mail that was forwarded bounces at an address that nobody mailed.
 * @param id a new one
 */
export function eventOf(
  fact: SesFact,
  message: Matched,
  about: { id: string; customerId: string; sentAt: Date },
): Event {
  const isOwn = fact.recipient !== null && fact.recipient === message.toAddress.toLowerCase();
  const effect: { [name: string]: Json } =
    !isOwn || fact.effect.kind === "none"
      ? {}
      : fact.effect.kind === "soft"
        ? { soft: true }
        : { suppress: fact.effect.reason };
  return newEvent({
    id: about.id,
    type: fact.type,
    at: fact.at ?? about.sentAt,
    customerId: about.customerId,
    campaignId: message.campaignId,
    runId: message.runId,
    messageId: message.id,
    contactId: message.contactId,
    userAgent: fact.userAgent,
    ip: fact.ip,
    data: { ...fact.data, recipient: fact.recipient, provider: "ses", ...effect },
  });
}

const DAY_MS = 24 * 60 * 60 * 1_000;
const MAX_USER_AGENT_CHARS = 512;

/**
 * A fact as PostgreSQL takes it: of a time that can't be, an address that is none and text with characters that
 * can't be kept, what can.
 */
export function storableFact(fact: SesFact, now: number): SesFact {
  return {
    ...fact,
    at: fact.at === null ? null : possibleTime(fact.at, now),
    recipient: fact.recipient === null ? null : storableText(fact.recipient),
    userAgent:
      fact.userAgent === null
        ? null
        : storableText(fact.userAgent).slice(0, MAX_USER_AGENT_CHARS).toWellFormed(),
    ip: fact.ip !== null && isIpAddress(fact.ip) ? fact.ip : null,
    data: Object.fromEntries(
      Object.entries(fact.data).map(([name, value]) => [
        name,
        typeof value === "string" ? storableText(value) : value,
      ]),
    ),
  };
}

/** @returns null for a time that a clock can't have shown: PostgreSQL does not even read all of them */
export function possibleTime(time: Date, now: number): Date | null {
  return time.getTime() > 0 && time.getTime() < now + DAY_MS ? time : null;
}

/** As PostgreSQL's `inet` reads it: no short forms, no zone. */
function isIpAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || (ipaddr.IPv6.isValid(text) && !text.includes("%"));
}

/** The same for what tells which mail it is. */
export function storableMail(mail: SesMail): SesMail {
  const orNull = (text: string | null) => (text === null ? null : storableText(text));
  return {
    sesMessageId: orNull(mail.sesMessageId),
    messageIdHeader: orNull(mail.messageIdHeader),
    tags: Object.fromEntries(
      Object.entries(mail.tags).map(([name, value]) => [storableText(name), storableText(value)]),
    ),
    destination: mail.destination.map(storableText),
  };
}

/** Facts as `inbound_event` keeps them while they wait for their message. */
export const keptFacts = z.array(
  z.object({
    type: z.enum(EVENT_TYPES),
    recipient: z.string().nullable(),
    at: z.coerce.date().nullable(),
    key: z.string(),
    userAgent: z.string().nullable(),
    ip: z.string().nullable(),
    data: z.record(z.string(), z.json()),
    effect: z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("suppress"), reason: z.enum(["bounce", "complaint", "unsubscribe"]) }),
      z.object({ kind: z.literal("soft") }),
      z.object({ kind: z.literal("none") }),
    ]),
  }),
);

/** The mail beside them. */
export const keptMail = z.object({
  sesMessageId: z.string().nullable(),
  messageIdHeader: z.string().nullable(),
  tags: z.record(z.string(), z.string()),
  destination: z.array(z.string()),
});
