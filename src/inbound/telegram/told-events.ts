import { type Event, newEvent } from "../../events/event.ts";
import { newId } from "../../events/id.ts";
import type { Answered } from "./answer-queries.ts";
import type { Chat } from "./message.ts";
import type { ReactedTo } from "./reaction-queries.ts";
import {
  cut,
  type Told,
  type ToldMessage,
  type ToldReaction,
  type ToldStanding,
  type ToldUnsubscribe,
  timeOf,
} from "./told.ts";

const MAX_EVENT_TEXT_CHARS = 1_000;

export function receivedEvent(
  { told, message }: ToldMessage,
  { contactId, messageId, answered }: { contactId: string; messageId: string; answered: Answered | null },
): Event {
  const { kind, text, command } = message;
  return newEvent({
    id: newId(told.receivedAt.getTime()),
    type: "message_received",
    at: timeOf(told, message.at),
    customerId: told.webhook.customerId,
    campaignId: answered?.campaignId ?? null,
    runId: answered?.runId ?? null,
    messageId,
    contactId,
    data: {
      channel: "telegram",
      matchedBy: answered?.matchedBy ?? null,
      answersMessageId: answered?.messageId ?? null,
      provider: "telegram",
      kind,
      text: text === null ? null : cut(text, MAX_EVENT_TEXT_CHARS),
      command: command?.name ?? null,
      chatId: message.chat.id,
      telegramMessageId: message.messageId,
    },
  });
}

export function standingEvent({ told, chat, isBlocked, at }: ToldStanding, contactId: string): Event {
  return newEvent({
    id: newId(told.receivedAt.getTime()),
    type: isBlocked ? "contact_blocked" : "contact_unblocked",
    at,
    customerId: told.webhook.customerId,
    contactId,
    data: { channel: "telegram", chatId: chat.id },
  });
}

/**
 * Somebody wrote `/stop`: nothing more in this chat.
 * @param answered the message that made him, if there is one
 */
export function stoppedEvent(
  { told, chat, message }: ToldMessage,
  { contactId, messageId, answered }: { contactId: string; messageId: string; answered: Answered | null },
): Event {
  return unsubscribedEvent(told, chat, {
    at: timeOf(told, message.at),
    via: "telegram",
    messageId,
    contactId,
    answered,
  });
}

/** Somebody pressed the button below the message `answered`. Telegram does not say when: now. */
export function pressedEvent(
  { told, chat }: ToldUnsubscribe,
  { contactId, answered }: { contactId: string; answered: Answered | null },
): Event {
  const messageId = answered?.messageId ?? null;
  return unsubscribedEvent(told, chat, {
    at: told.receivedAt,
    via: "button",
    messageId,
    contactId,
    answered,
  });
}

function unsubscribedEvent(
  told: Told,
  chat: Chat,
  {
    via,
    answered,
    ...about
  }: Pick<Event, "at" | "messageId" | "contactId"> & { via: string; answered: Answered | null },
): Event {
  return newEvent({
    ...about,
    id: newId(told.receivedAt.getTime()),
    type: "unsubscribed",
    customerId: told.webhook.customerId,
    campaignId: answered?.campaignId ?? null,
    runId: answered?.runId ?? null,
    data: { channel: "telegram", via, chatId: chat.id },
  });
}

export function reactedEvent(
  { told, chat, telegramMessageId, reactions, at }: ToldReaction,
  { messageId, contactId, campaignId, runId }: ReactedTo,
): Event {
  return newEvent({
    id: newId(told.receivedAt.getTime()),
    type: "message_reacted",
    at,
    customerId: told.webhook.customerId,
    campaignId,
    runId,
    messageId,
    contactId,
    data: { channel: "telegram", chatId: chat.id, telegramMessageId, reactions },
  });
}
