import { appendEvents } from "../../events/queries.ts";
import type { Db } from "../../storage/pool.ts";
import { digestOf } from "../ses/notice.ts";
import { claimSeen } from "../ses/queries.ts";
import { type Chat, isPrivate } from "./message.ts";
import { contactsOf, nameOfChat, type Sorted } from "./people.ts";
import { keepUpdates } from "./queries.ts";
import { recordReactions } from "./reactions.ts";
import { type Of, recordMessages, recordPresses } from "./record-messages.ts";
import type { StartLinks } from "./start-link.ts";
import {
  chatOf,
  keptOf,
  messageOf,
  pressOf,
  reactionOf,
  standingOf,
  type Told,
  type ToldReaction,
  type WhyKept,
  whyUnused,
} from "./told.ts";
import { standingEvent } from "./told-events.ts";

/** What became of a group of updates, to be counted. */
export type Recorded = { events: number; messages: number; kept: number; duplicate: number };

const OF_NOBODY: WhyKept = { status: "unmatched", reason: "no contact of yours has this chat" };
const OF_NO_MESSAGE_YET: WhyKept = { status: "waiting", reason: null };

/**
 * Makes a group of updates durable in one transaction, each once however often it is told: messages go into their
 * conversations, what people do becomes events, and all that is left is kept to be seen.
 */
export async function recordUpdates(db: Db, told: readonly Told[], links: StartLinks): Promise<Recorded> {
  return db.transaction().execute(async (transaction) => {
    const fresh = await leaveOutSeen(transaction, told);
    const sorted = sort(fresh);
    const contacts = await contactsOf(transaction, sorted, links);
    const messages = ofContacts(contacts, sorted.messages);
    const received = await recordMessages(transaction, messages);
    const pressed = await recordPresses(transaction, ofContacts(contacts, sorted.presses));
    const changed = ofContacts(contacts, sorted.standings).map((one) => standingEvent(one, one.contactId));
    const reacted = await recordReactions(transaction, sorted.reactions);
    const events = [...received, ...pressed, ...changed, ...reacted.events];
    await appendEvents(transaction, events);
    const used = new Set([...messages, ...sorted.presses, ...sorted.standings].map((one) => one.told));
    const unmatched = new Map([...reacted.unmatched].map((reaction) => [reaction.told, reaction]));
    const matched = new Set(
      sorted.reactions.map((reaction) => reaction.told).filter((one) => !unmatched.has(one)),
    );
    const kept = fresh
      .filter((one) => !used.has(one) && !matched.has(one))
      .map((one) => keptOf(one, whyKept(one, unmatched.get(one) ?? null, contacts)));
    await keepUpdates(transaction, kept);
    return {
      events: events.length,
      messages: messages.length,
      kept: kept.length,
      duplicate: told.length - fresh.length,
    };
  });
}

/** Known by bot and number, as Telegram numbers them: a set, for the numbers do not only grow. */
async function leaveOutSeen(db: Db, told: readonly Told[]): Promise<Told[]> {
  const names = told.map(({ webhook, update }) => ({
    customerId: webhook.customerId,
    source: "telegram" as const,
    digest: digestOf(`${webhook.botId}:${update.id}`),
  }));
  const nameOf = ({ customerId, digest }: { customerId: string; digest: string }) =>
    `${customerId} ${digest}`;
  const claimed = new Set((await claimSeen(db, names)).map(nameOf));
  // The first of a name takes it away.
  return told.filter((_, place) => {
    const name = names[place];
    return name !== undefined && claimed.delete(nameOf(name));
  });
}

function sort(told: readonly Told[]): Sorted {
  return {
    messages: told.flatMap((one) => messageOf(one) ?? []),
    standings: told.flatMap((one) => standingOf(one) ?? []),
    presses: told.flatMap((one) => pressOf(one) ?? []),
    reactions: told.flatMap((one) => reactionOf(one) ?? []),
  };
}

function ofContacts<One extends { told: Told; chat: Chat }>(
  contacts: ReadonlyMap<string, string>,
  told: readonly One[],
): Of<One>[] {
  return told.flatMap((one) => {
    const contactId = contacts.get(nameOfChat(chatOf(one.told, one.chat)));
    return contactId === undefined ? [] : [{ ...one, contactId }];
  });
}

/** @param reaction null for an update that is none */
function whyKept(told: Told, reaction: ToldReaction | null, contacts: ReadonlyMap<string, string>): WhyKept {
  if (messageOf(told) !== null) return OF_NOBODY;
  if (reaction === null) return whyUnused(told.update);
  const isOfSomebody = isPrivate(reaction.chat) || contacts.has(nameOfChat(chatOf(told, reaction.chat)));
  return isOfSomebody ? OF_NO_MESSAGE_YET : OF_NOBODY;
}
