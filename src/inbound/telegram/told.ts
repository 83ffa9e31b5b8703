import { type Event, newEvent } from "../../events/event.ts";
import { newId } from "../../events/id.ts";
import { possibleTime } from "../ses/notice.ts";
import type { Chat, Sender, TelegramMessage } from "./message.ts";
import type { Bubble, ChatOf, KeptUpdate, Person, Webhook } from "./queries.ts";
import type { Update } from "./update.ts";

/** An update on its way into the database, of a bot that is who it says. */
export type Told = {
  webhook: Pick<Webhook, "customerId" | "credentialId" | "botId">;
  update: Update;
  /** As it came. */
  raw: string;
  receivedAt: Date;
};

export type ToldMessage = { told: Told; isEdit: boolean; message: TelegramMessage };

/** A person blocked the bot, or took that back. */
export type ToldStanding = { told: Told; chat: Chat; from: Sender; isBlocked: boolean; at: Date };

const MAX_NAME_CHARS = 256;
const MAX_EVENT_TEXT_CHARS = 1_000;

/** Telegram's documents call it so: a chat with one person, whose number it has. */
export function isPrivate(chat: Chat): boolean {
  return chat.type === "private";
}

/** @returns null for an update about something else */
export function messageOf(told: Told): ToldMessage | null {
  const { content } = told.update;
  return content.type === "message" ? { told, isEdit: content.isEdit, message: content.message } : null;
}

/** @returns null for an update about something else; in a group the one who is named removed the bot, and blocks nothing */
export function standingOf(told: Told): ToldStanding | null {
  const { content } = told.update;
  if (content.type !== "membership" || !isPrivate(content.chat)) return null;
  const { chat, from, status } = content;
  if (status !== "kicked" && status !== "member") return null;
  return { told, chat, from, isBlocked: status === "kicked", at: timeOf(told, content.at) };
}

export function chatOf({ webhook }: Told, chat: Chat): ChatOf {
  return { customerId: webhook.customerId, chatId: chat.id };
}

/** The contact that somebody in a private chat becomes, should he be none yet. */
export function personOf(told: Told, chat: Chat, from: Sender | null): Person {
  const { firstName, lastName, username } = from ?? { firstName: null, lastName: null, username: null };
  const attributes: { [name: string]: string } = {};
  for (const [name, value] of Object.entries({ firstName, lastName, username }))
    if (value !== null) attributes[name] = cut(value, MAX_NAME_CHARS);
  return { ...chatOf(told, chat), contactId: newId(told.receivedAt.getTime()), attributes };
}

export function bubbleOf({ told, message }: ToldMessage, contactId: string): Bubble {
  const { webhook, raw, receivedAt } = told;
  const { kind, text, html, entities, media, replyToMessageId, mediaGroupId, editedAt } = message;
  return {
    ...webhook,
    messageId: newId(receivedAt.getTime()),
    contactId,
    chatId: message.chat.id,
    telegramMessageId: message.messageId,
    at: timeOf(told, message.at),
    kind,
    fromId: message.from?.id ?? null,
    text,
    html,
    entities,
    media,
    replyToMessageId,
    mediaGroupId,
    editedAt: editedAt === null ? null : possibleTime(editedAt, receivedAt.getTime()),
    raw,
  };
}

export function receivedEvent(
  { told, message }: ToldMessage,
  { contactId, messageId }: { contactId: string; messageId: string },
): Event {
  const { kind, text, command } = message;
  return newEvent({
    id: newId(told.receivedAt.getTime()),
    type: "message_received",
    at: timeOf(told, message.at),
    customerId: told.webhook.customerId,
    messageId,
    contactId,
    data: {
      channel: "telegram",
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

/** Somebody wrote `/stop`: nothing more in this chat. */
export function stoppedEvent(received: Event): Event {
  const { chatId = null } = received.data;
  return newEvent({
    ...received,
    id: newId(),
    type: "unsubscribed",
    data: { channel: "telegram", via: "telegram", chatId },
  });
}

/** What an update is kept as that becomes nothing else. @param reason of one that would be a message but for this */
export function keptOf(told: Told, reason: string | null): KeptUpdate {
  const { webhook, update, receivedAt, raw } = told;
  const because = reason === null ? whyKept(update) : { status: "unmatched" as const, reason };
  return {
    ...because,
    id: newId(receivedAt.getTime()),
    customerId: webhook.customerId,
    credentialId: webhook.credentialId,
    updateId: update.id,
    name: update.kind,
    sentAt: receivedAt,
    raw,
  };
}

function whyKept({ content }: Update): Pick<KeptUpdate, "status" | "reason"> {
  if (content.type === "odd") return { status: "odd", reason: content.reason };
  return { status: "ignored", reason: "EDGR does nothing with updates of this kind" };
}

function timeOf({ receivedAt }: Told, at: Date | null): Date {
  return (at === null ? null : possibleTime(at, receivedAt.getTime())) ?? receivedAt;
}

function cut(text: string, chars: number): string {
  return text.slice(0, chars).toWellFormed();
}
