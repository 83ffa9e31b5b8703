import type { Event } from "../../events/event.ts";
import type { Db } from "../../storage/pool.ts";
import { type Answered, type Asked, findAnswered } from "./answer-queries.ts";
import { isPrivate } from "./message.ts";
import {
  type Bubble,
  findBubbles,
  type MessageOf,
  type Stopped,
  saveBubbles,
  suppressStopped,
} from "./queries.ts";
import { askedOf, bubbleOf, chatOf, type ToldMessage, type ToldUnsubscribe } from "./told.ts";
import { pressedEvent, receivedEvent, stoppedEvent } from "./told-events.ts";

/** Of somebody's chat who is a contact. */
export type Of<Told> = Told & { contactId: string };

type Matched = Of<ToldMessage> & { answered: Answered | null };

/**
 * Puts messages into their conversations, with what they answer.
 * @param db the transaction that appends what is returned
 * @returns the events that come of them: of what is written, and not of its edits
 */
export async function recordMessages(db: Db, told: readonly Of<ToldMessage>[]): Promise<Event[]> {
  const answered = await findAnswered(db, told.map(askedByMessage));
  const matched = told.map((one, place) => ({ ...one, answered: answered.get(place) ?? null }));
  await saveBubbles(db, newestOf(matched));
  const written = matched.filter(({ isEdit, message }) => !isEdit && message.migration === null);
  const saved = await findBubbles(db, written.map(bubbleKey));
  const ids = new Map(saved.map((row) => [nameOfMessage(row), row.messageId]));
  const received = written.flatMap((one) => {
    const messageId = ids.get(nameOfMessage(bubbleKey(one)));
    return messageId === undefined ? [] : [{ ...one, messageId }];
  });
  const stopped = received
    .filter(isStop)
    .map((one) => ({ ...chatOf(one.told, one.chat), event: stoppedEvent(one, one) }));
  await suppressStopped(db, stopped.map(suppressionOf));
  const events = received.map((one) => receivedEvent(one, { ...one, answered: answerOf(one) }));
  return [...events, ...stopped.map(({ event }) => event)];
}

/**
 * Ends all messages to chats whose people pressed the button for that.
 * @param db the transaction that appends what is returned
 */
export async function recordPresses(db: Db, told: readonly Of<ToldUnsubscribe>[]): Promise<Event[]> {
  const answered = await findAnswered(
    db,
    told.map(({ told: of, chat, messageId }) =>
      askedOf(of, chat, { at: null, names: messageId, orLast: false }),
    ),
  );
  const pressed = told.map((one, place) => {
    const about = { contactId: one.contactId, answered: answered.get(place) ?? null };
    return { ...chatOf(one.told, one.chat), event: pressedEvent(one, about) };
  });
  await suppressStopped(db, pressed.map(suppressionOf));
  return pressed.map(({ event }) => event);
}

function askedByMessage({ told, chat, message }: ToldMessage): Asked {
  const { at, replyToMessageId: names } = message;
  return askedOf(told, chat, { at, names, orLast: isPrivate(chat) });
}

/** A command is no answer to what was said, though `/stop` may be because of it. */
function answerOf({ message, answered }: Matched): Answered | null {
  return message.command === null ? answered : null;
}

function isStop({ chat, message }: ToldMessage): boolean {
  return message.command?.name === "stop" && isPrivate(chat);
}

function suppressionOf({
  customerId,
  chatId,
  event,
}: {
  customerId: string;
  chatId: number;
  event: Event;
}): Stopped {
  const { id: eventId, contactId, messageId, at } = event;
  return { customerId, chatId, eventId, contactId, messageId, at };
}

/** Of a message and its edits that come together, the newest. */
function newestOf(matched: readonly Matched[]): Bubble[] {
  const newest = new Map<string, Bubble>();
  for (const one of matched) {
    const bubble = bubbleOf(one, one.contactId, answerOf(one));
    const name = nameOfMessage(bubble);
    const other = newest.get(name);
    if (other === undefined || isNewer(bubble, other)) newest.set(name, bubble);
  }
  return [...newest.values()];
}

function bubbleKey({ told, chat, message }: ToldMessage): MessageOf {
  return {
    ...chatOf(told, chat),
    credentialId: told.webhook.credentialId,
    telegramMessageId: message.messageId,
  };
}

function isNewer(one: Bubble, other: Bubble): boolean {
  return (one.editedAt?.getTime() ?? 0) > (other.editedAt?.getTime() ?? 0);
}

function nameOfMessage({ customerId, credentialId, chatId, telegramMessageId }: MessageOf): string {
  return `${customerId} ${credentialId} ${chatId} ${telegramMessageId}`;
}
