import { type Event, newEvent } from "../../events/event.ts";
import { fromShortId, newId } from "../../events/id.ts";
import { appendEvents } from "../../events/queries.ts";
import type { Db } from "../../storage/pool.ts";
import type { Mail } from "./mail.ts";
import { digestOf, possibleTime } from "./notice.ts";
import { claimSeen, type Seen } from "./queries.ts";
import type { Received } from "./received.ts";
import {
  type Answered,
  type Asked,
  type Bubble,
  findAnswered,
  insertBubbles,
  type Settled,
  settleReceived,
  type Taken,
} from "./received-queries.ts";
import { createReplyAddresses, type ReplyAddresses } from "./reply-address.ts";

/** A notification with what reading its mail came to. */
export type Reading<Kind extends Outcome = Outcome> = { taken: Taken; outcome: Kind };

export type Outcome =
  | ReadMail
  | { kind: "over"; status: "odd" | "ignored"; reason: string }
  | { kind: "again"; reason: string };

/** `text`: what the person wrote. */
type ReadMail = { kind: "mail"; received: Received; mail: Mail; text: string };

export type RecordingDeps = { encryptionKey: Buffer; now: () => number; random: () => number };

/**
 * Puts the mails that are answers, or from contacts, into their conversations, once each, with their events; says of
 * every notification what became of it.
 * @param db a transaction
 * @returns how many events were appended
 */
export async function recordReceived(
  db: Db,
  readings: readonly Reading[],
  deps: RecordingDeps,
): Promise<number> {
  const mails = readings.flatMap(({ taken, outcome }) =>
    outcome.kind === "mail" ? [{ taken, outcome }] : [],
  );
  const addresses = createReplyAddresses(deps.encryptionKey);
  const answered = await findAnswered(
    db,
    mails.map((reading) => askedOf(reading, addresses)),
  );
  const found = mails.flatMap((reading, place) => {
    const of = answered.get(place);
    const credentialId = of?.message?.credentialId ?? reading.taken.credentialId;
    return of === undefined || credentialId === null ? [] : [{ ...reading, answered: of, credentialId }];
  });
  const fresh = await leaveOutSeen(db, found);
  const told = fresh.map((reading) => {
    const bubble = bubbleOf(reading, deps.now());
    return { bubble, event: eventOf(bubble, reading.answered, deps.now()) };
  });
  await insertBubbles(
    db,
    told.map(({ bubble }) => bubble),
  );
  await appendEvents(
    db,
    told.map(({ event }) => event),
  );
  const matched = new Set(fresh.map(({ taken }) => taken));
  const known = new Set(found.map(({ taken }) => taken));
  const settled = readings.map(({ taken, outcome }) => {
    const became = matched.has(taken) ? "matched" : known.has(taken) ? "known" : "unknown";
    return settle(taken, outcome, became, deps.random());
  });
  await settleReceived(db, settled);
  return told.length;
}

function askedOf({ taken, outcome }: Reading<ReadMail>, addresses: ReplyAddresses): Asked {
  const { received, mail } = outcome;
  return {
    customerId: taken.customerId,
    tokenId: addresses.messageOf(taken.customerId, received.recipients),
    references: mail.references.map((reference) => {
      const [, local = "", domain = ""] = /^<([^@]+)@(.+)>$/.exec(reference) ?? [];
      // SES puts its own id in the place of ours (protocols 2.5).
      const isOfSes = /(^|\.)amazonses\.com$/i.test(domain);
      return { headerId: fromShortId(local), providerId: isOfSes ? local : null };
    }),
    sender: received.isForged || mail.fromAddress === "" ? null : mail.fromAddress,
  };
}

type Found = Reading<ReadMail> & { answered: Answered; credentialId: string };

/** SES tells of one mail as often as its rules have actions for it. */
async function leaveOutSeen(db: Db, found: readonly Found[]): Promise<Found[]> {
  const nameOf = ({ customerId, digest }: Seen) => `${customerId} ${digest}`;
  const seen = found.map(({ taken, outcome }) => ({
    customerId: taken.customerId,
    source: "ses" as const,
    digest: digestOf(JSON.stringify(["ses", "Received", outcome.received.sesMessageId])),
  }));
  const claimed = new Set((await claimSeen(db, seen)).map(nameOf));
  // The first of a name takes it away.
  return found.filter((_, place) => {
    const name = seen[place];
    return name !== undefined && claimed.delete(nameOf(name));
  });
}

function bubbleOf({ taken, outcome, answered, credentialId }: Found, nowMs: number): Bubble {
  const { received, mail, text } = outcome;
  const at = received.at === null ? null : possibleTime(received.at, nowMs);
  return {
    ...mail,
    text,
    customerId: taken.customerId,
    messageId: newId(nowMs),
    eventId: taken.id,
    contactId: answered.contactId,
    credentialId,
    campaignId: answered.message?.campaignId ?? null,
    answersMessageId: answered.message?.id ?? null,
    matchedBy: answered.matchedBy,
    at: at ?? taken.sentAt,
    to: received.recipients[0] ?? "",
    sesMessageId: received.sesMessageId,
  };
}

/** Only a person's answer counts as one: what a machine says ends no waiting and fires no edge. */
function eventOf(bubble: Bubble, { message }: Answered, nowMs: number): Event {
  const { customerId, messageId, campaignId, contactId, at, kind, subject, fromAddress, matchedBy } = bubble;
  const { answersMessageId } = bubble;
  return newEvent({
    id: newId(nowMs),
    type: kind === "person" ? "message_received" : "auto_reply_received",
    at,
    customerId,
    campaignId,
    runId: message?.runId ?? null,
    messageId,
    contactId,
    data: { kind, subject, from: fromAddress, matchedBy, answersMessageId, provider: "ses" },
  });
}

const FIRST_RETRY_MS = 30_000;
const MAX_RETRY_MS = 4 * 60 * 60_000;

/** @param random between 0 and 1 */
function settle(
  taken: Taken,
  outcome: Outcome,
  became: "matched" | "known" | "unknown",
  random: number,
): Settled {
  const { customerId, id } = taken;
  const over = (status: Settled["status"], reason: string | null) => {
    return { customerId, id, status, reason, readInMs: 0 };
  };
  const again = (reason: string) => {
    const pause = Math.min(FIRST_RETRY_MS * 2 ** (taken.attempts - 1), MAX_RETRY_MS);
    return { ...over("waiting", reason), readInMs: pause * (0.8 + 0.4 * random) };
  };
  if (outcome.kind === "over") return over(outcome.status, outcome.reason);
  if (outcome.kind === "again") return again(outcome.reason);
  if (became === "matched") return over("matched", null);
  if (became === "known") return over("ignored", "the same mail was told of before");
  // A machine may answer before it is recorded which id its mail was given.
  const reason = "it answers no message of yours, and no contact has this sender's address";
  return taken.attempts < 2 ? again(reason) : over("unmatched", reason);
}
