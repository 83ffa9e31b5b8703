import type { Event } from "../../events/event.ts";
import { newId } from "../../events/id.ts";
import { appendEvents } from "../../events/queries.ts";
import type { Db } from "../../storage/pool.ts";
import type { SesFact, SesMail } from "./events.ts";
import { correlationOf, digestOf, eventOf, type Notice } from "./notice.ts";
import { claimSeen, findMessages, type Kept, keepInbound, type Seen } from "./queries.ts";

/** What became of what was told, to be counted: facts one by one, other notifications as one. */
export type Recorded = { matched: number; waiting: number; duplicate: number; odd: number; received: number };

/**
 * Makes a group of verified notifications durable in one transaction: what was told before is left out, facts of a
 * message of the customer's become events, and the rest is kept to be seen or matched later.
 */
export async function recordNotices(db: Db, notices: readonly Notice[]): Promise<Recorded> {
  return db.transaction().execute(async (transaction) => {
    const fresh = await leaveOutSeen(transaction, notices);
    const told = fresh.flatMap(({ notice, facts }) =>
      notice.content.kind === "facts" && facts.length > 0
        ? [{ notice, name: notice.content.name, mail: notice.content.mail, facts }]
        : [],
    );
    const found = await findMessages(
      transaction,
      told.map(({ notice, mail }) => ({ customerId: notice.customerId, ...correlationOf(mail) })),
    );
    const events: Event[] = [];
    const kept = fresh.flatMap(({ notice }) => keptWhole(notice));
    for (const [place, { notice, name, mail, facts }] of told.entries()) {
      const message = found.get(place);
      if (message === undefined) kept.push(keptFactsOf(notice, name, mail, facts));
      else for (const fact of facts) events.push(eventOf(fact, message, { ...notice, id: newId() }));
    }
    await appendEvents(transaction, events);
    await keepInbound(transaction, kept);
    return countRecorded(notices, events, kept);
  });
}

type Fresh = { notice: Notice; facts: SesFact[] };

/** The notifications, with the facts, that nobody told before: not earlier, and not in the same group. */
async function leaveOutSeen(db: Db, notices: readonly Notice[]): Promise<Fresh[]> {
  const names = new Map<string, Seen>();
  const owners = new Map<string, Notice | SesFact>();
  const claim = (seen: Seen, owner: Notice | SesFact) => {
    const name = nameOf(seen);
    if (names.has(name)) return;
    names.set(name, seen);
    owners.set(name, owner);
  };
  for (const notice of notices) {
    claim({ ...sourceOf(notice), digest: digestOf(notice.envelopeId) }, notice);
    if (notice.content.kind !== "facts") continue;
    for (const fact of notice.content.facts)
      claim({ customerId: notice.customerId, source: "ses", digest: digestOf(fact.key) }, fact);
  }
  const claimed = await claimSeen(db, [...names.values()]);
  const isFresh = new Set(claimed.map((seen) => owners.get(nameOf(seen))));
  return notices.flatMap((notice) => {
    if (!isFresh.has(notice)) return [];
    const facts = notice.content.kind === "facts" ? notice.content.facts : [];
    return [{ notice, facts: facts.filter((fact) => isFresh.has(fact)) }];
  });
}

function sourceOf({ customerId }: Notice): { customerId: string; source: "sns" } {
  return { customerId, source: "sns" };
}

function nameOf({ customerId, source, digest }: Seen): string {
  return `${customerId} ${source} ${digest}`;
}

function keptWhole(notice: Notice): Kept[] {
  const { content } = notice;
  if (content.kind === "facts") return [];
  const isOdd = content.kind === "odd";
  return [
    {
      ...rowOf(notice),
      status: isOdd ? "odd" : "waiting",
      reason: isOdd ? content.reason : "received mail, not read yet",
      name: isOdd ? null : "Received",
      sesMessageId: null,
      mail: null,
      facts: null,
      raw: content.raw,
    },
  ];
}

function keptFactsOf(notice: Notice, name: string, mail: SesMail, facts: readonly SesFact[]): Kept {
  return {
    ...rowOf(notice),
    status: "waiting",
    reason: "its message is not known yet",
    name,
    sesMessageId: mail.sesMessageId,
    mail,
    facts,
    raw: null,
  };
}

function rowOf({ id, customerId, topicArn, envelopeId, sentAt }: Notice) {
  return { id, customerId, topicArn, envelopeId, sentAt };
}

function countRecorded(
  notices: readonly Notice[],
  events: readonly Event[],
  kept: readonly Kept[],
): Recorded {
  const waiting = kept.reduce((sum, { facts }) => sum + (facts?.length ?? 0), 0);
  const odd = kept.filter(({ status }) => status === "odd").length;
  const received = kept.filter(({ name }) => name === "Received").length;
  const told = notices.reduce(
    (sum, { content }) => sum + (content.kind === "facts" ? content.facts.length : 1),
    0,
  );
  return {
    matched: events.length,
    waiting,
    odd,
    received,
    duplicate: told - events.length - waiting - odd - received,
  };
}
