import { mergeConversations } from "../../conversations/merge-queries.ts";
import type { Db } from "../../storage/pool.ts";
import { freeChats, type Link, moveMessages } from "./merge-queries.ts";
import { isPrivate } from "./message.ts";
import { type ChatOf, findContacts, linkChats, makeContacts, migrateChats } from "./queries.ts";
import type { StartLinks } from "./start-link.ts";
import {
  chatOf,
  personOf,
  type ToldMessage,
  type ToldReaction,
  type ToldStanding,
  type ToldUnsubscribe,
} from "./told.ts";

/** A group of updates by what they are. */
export type Sorted = {
  messages: readonly ToldMessage[];
  standings: readonly ToldStanding[];
  presses: readonly ToldUnsubscribe[];
  reactions: readonly ToldReaction[];
};

/**
 * Everybody in a private chat is a contact or becomes one, by a link of his own the one that it was made for. Groups
 * and channels are contacts only where somebody made them so.
 * @returns contacts by `nameOfChat`
 */
export async function contactsOf(
  db: Db,
  { messages, standings, presses, reactions }: Sorted,
  links: StartLinks,
): Promise<Map<string, string>> {
  const inPrivate = messages.filter(({ chat }) => isPrivate(chat));
  await connect(
    db,
    inPrivate.flatMap((one) => linkOf(one, links) ?? []),
  );
  await makeContacts(db, [
    ...inPrivate.map(({ told, chat, message }) => personOf(told, chat, message.from)),
    ...[...standings, ...presses].map(({ told, chat, from }) => personOf(told, chat, from)),
  ]);
  const chats = [...messages, ...standings, ...presses, ...reactions].map(({ told, chat }) =>
    chatOf(told, chat),
  );
  const found = await findContacts(db, chats);
  const migrations = messages.flatMap(({ told, message }) =>
    message.migration === null ? [] : [{ customerId: told.webhook.customerId, ...message.migration }],
  );
  await migrateChats(db, migrations);
  const after = migrations.map(({ customerId, to }) => ({ customerId, chatId: to }));
  const moved = migrations.length === 0 ? [] : await findContacts(db, [...chats, ...after]);
  const contacts = new Map([...found, ...moved].map((one) => [nameOfChat(one), one.contactId]));
  // The chat that was may be told of the move after the one that is.
  for (const { customerId, from, to } of migrations) {
    const contactId = contacts.get(nameOfChat({ customerId, chatId: to }));
    const before = nameOfChat({ customerId, chatId: from });
    if (contactId !== undefined && !contacts.has(before)) contacts.set(before, contactId);
  }
  return contacts;
}

/**
 * Gives contacts the chats that they opened by their own links. Where the chat has made a contact of its own before,
 * what was said in it goes over.
 */
async function connect(db: Db, links: readonly Link[]): Promise<void> {
  const merges = await freeChats(db, links);
  await linkChats(
    db,
    merges.map(({ customerId, chatId, to }) => ({ customerId, chatId, contactId: to })),
  );
  await linkChats(db, links);
  await moveMessages(db, merges);
  await mergeConversations(db, merges);
}

function linkOf({ told, chat, message }: ToldMessage, links: StartLinks): Link | null {
  const { command } = message;
  if (command?.name !== "start") return null;
  const contactId = links.contactOf(told.webhook.customerId, command.argument);
  return contactId === null ? null : { ...chatOf(told, chat), contactId };
}

export function nameOfChat({ customerId, chatId }: ChatOf): string {
  return `${customerId} ${chatId}`;
}
