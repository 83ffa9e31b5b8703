import type { Event } from "../../events/event.ts";
import { appendEvents } from "../../events/queries.ts";
import type { Db } from "../../storage/pool.ts";
import { digestOf } from "../ses/notice.ts";
import { claimSeen } from "../ses/queries.ts";
import {
  type Bubble,
  type ChatOf,
  findBubbles,
  findContacts,
  keepUpdates,
  linkChats,
  type MessageOf,
  makeContacts,
  migrateChats,
  saveBubbles,
  suppressStopped,
} from "./queries.ts";
import type { StartLinks } from "./start-link.ts";
import {
  bubbleOf,
  chatOf,
  isPrivate,
  keptOf,
  messageOf,
  personOf,
  receivedEvent,
  standingEvent,
  standingOf,
  stoppedEvent,
  type Told,
  type ToldMessage,
  type ToldStanding,
} from "./told.ts";

/** What became of a group of updates, to be counted. */
export type Recorded = { events: number; messages: number; kept: number; duplicate: number };

/**
 * Makes a group of updates durable in one transaction, each once however often it is told: messages go into their
 * conversations, what people do becomes events, and all that is left is kept to be seen.
 */
export async function recordUpdates(db: Db, told: readonly Told[], links: StartLinks): Promise<Recorded> {
  return db.transaction().execute(async (transaction) => {
    const fresh = await leaveOutSeen(transaction, told);
    const messages = fresh.flatMap((one) => messageOf(one) ?? []);
    const standings = fresh.flatMap((one) => standingOf(one) ?? []);
    const contacts = await contactsOf(transaction, messages, standings, links);
    const matched = messages.flatMap((one) => {
      const contactId = contacts.get(nameOfChat(chatOf(one.told, one.message.chat)));
      return contactId === undefined ? [] : [{ ...one, contactId }];
    });
    const received = await saveMessages(transaction, matched);
    const changed = standings.flatMap((one) => {
      const contactId = contacts.get(nameOfChat(chatOf(one.told, one.chat)));
      return contactId === undefined ? [] : [standingEvent(one, contactId)];
    });
    const events = [...received, ...changed];
    await appendEvents(transaction, events);
    const used = new Set([...matched, ...standings].map((one) => one.told));
    const kept = fresh
      .filter((one) => !used.has(one))
      .map((one) => keptOf(one, messageOf(one) === null ? null : "no contact of yours has this chat"));
    await keepUpdates(transaction, kept);
    return {
      events: events.length,
      messages: matched.length,
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

/**
 * Everybody in a private chat is a contact or becomes one, by a link of his own the one that it was made for. Groups
 * and channels are contacts only where somebody made them so.
 * @returns contacts by `nameOfChat`
 */
async function contactsOf(
  db: Db,
  messages: readonly ToldMessage[],
  standings: readonly ToldStanding[],
  links: StartLinks,
): Promise<Map<string, string>> {
  const inPrivate = messages.filter(({ message }) => isPrivate(message.chat));
  await linkChats(
    db,
    inPrivate.flatMap(({ told, message }) => {
      const { command } = message;
      if (command?.name !== "start") return [];
      const contactId = links.contactOf(told.webhook.customerId, command.argument);
      return contactId === null ? [] : [{ ...chatOf(told, message.chat), contactId }];
    }),
  );
  await makeContacts(db, [
    ...inPrivate.map(({ told, message }) => personOf(told, message.chat, message.from)),
    ...standings.map(({ told, chat, from }) => personOf(told, chat, from)),
  ]);
  const chats = [
    ...messages.map(({ told, message }) => chatOf(told, message.chat)),
    ...standings.map(({ told, chat }) => chatOf(told, chat)),
  ];
  const found = await findContacts(db, chats);
  const migrations = messages.flatMap(({ told, message }) =>
    message.migration === null ? [] : [{ customerId: told.webhook.customerId, ...message.migration }],
  );
  await migrateChats(db, migrations);
  const moved = migrations.length === 0 ? [] : await findContacts(db, chats);
  return new Map([...found, ...moved].map((one) => [nameOfChat(one), one.contactId]));
}

type Matched = ToldMessage & { contactId: string };

/** @returns the events that come of them: of what is written, and not of its edits */
async function saveMessages(db: Db, matched: readonly Matched[]): Promise<Event[]> {
  await saveBubbles(db, newestOf(matched));
  const written = matched.filter(({ isEdit, message }) => !isEdit && message.migration === null);
  const saved = await findBubbles(db, written.map(bubbleKey));
  const ids = new Map(saved.map((row) => [nameOfMessage(row), row.messageId]));
  const received = written.flatMap((one) => {
    const messageId = ids.get(nameOfMessage(bubbleKey(one)));
    if (messageId === undefined) return [];
    return [{ ...one, messageId, event: receivedEvent(one, { contactId: one.contactId, messageId }) }];
  });
  const stopped = received
    .filter(({ message }) => message.command?.name === "stop" && isPrivate(message.chat))
    .map((one) => ({ ...one, event: stoppedEvent(one.event) }));
  await suppressStopped(
    db,
    stopped.map(({ told, message, contactId, messageId, event }) => {
      return { ...chatOf(told, message.chat), contactId, messageId, eventId: event.id, at: event.at };
    }),
  );
  return [...received, ...stopped].map(({ event }) => event);
}

/** Of a message and its edits that come together, the newest. */
function newestOf(matched: readonly Matched[]): Bubble[] {
  const newest = new Map<string, Bubble>();
  for (const one of matched) {
    const bubble = bubbleOf(one, one.contactId);
    const name = nameOfMessage(bubble);
    const other = newest.get(name);
    if (other === undefined || isNewer(bubble, other)) newest.set(name, bubble);
  }
  return [...newest.values()];
}

function bubbleKey({ told, message }: ToldMessage): MessageOf {
  return {
    ...chatOf(told, message.chat),
    credentialId: told.webhook.credentialId,
    telegramMessageId: message.messageId,
  };
}

function isNewer(one: Bubble, other: Bubble): boolean {
  return (one.editedAt?.getTime() ?? 0) > (other.editedAt?.getTime() ?? 0);
}

function nameOfChat({ customerId, chatId }: ChatOf): string {
  return `${customerId} ${chatId}`;
}

function nameOfMessage({ customerId, credentialId, chatId, telegramMessageId }: MessageOf): string {
  return `${customerId} ${credentialId} ${chatId} ${telegramMessageId}`;
}
