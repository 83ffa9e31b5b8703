import { newId } from "../../events/id.ts";
import { possibleTime } from "../ses/notice.ts";
import type { Answered, Asked } from "./answer-queries.ts";
import { type Unsubscribe, unsubscribeOf } from "./callback.ts";
import { type Chat, isPrivate, type Sender, type TelegramMessage } from "./message.ts";
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

export type ToldMessage = { told: Told; chat: Chat; isEdit: boolean; message: TelegramMessage };

/** A person blocked the bot, or took that back. */
export type ToldStanding = { told: Told; chat: Chat; from: Sender; isBlocked: boolean; at: Date };

/** Somebody pressed the button that ends all messages. */
export type ToldUnsubscribe = Unsubscribe & { told: Told };

/** What somebody's reactions to a message are now. */
export type ToldReaction = {
  told: Told;
  chat: Chat;
  telegramMessageId: number;
  fromId: number;
  reactions: string[];
  at: Date;
};

const MAX_NAME_CHARS = 256;

/** @returns null for an update about something else */
export function messageOf(told: Told): ToldMessage | null {
  const { content } = told.update;
  if (content.type !== "message") return null;
  const { isEdit, message } = content;
  return { told, chat: message.chat, isEdit, message };
}

/** @returns null for an update about something else; in a group the one who is named removed the bot, and blocks nothing */
export function standingOf(told: Told): ToldStanding | null {
  const { content } = told.update;
  if (content.type !== "membership" || !isPrivate(content.chat)) return null;
  const { chat, from, status } = content;
  if (status !== "kicked" && status !== "member") return null;
  return { told, chat, from, isBlocked: status === "kicked", at: timeOf(told, content.at) };
}

/** @returns null for an update about something else */
export function pressOf(told: Told): ToldUnsubscribe | null {
  const unsubscribe = unsubscribeOf(told.update.content);
  return unsubscribe === null ? null : { told, ...unsubscribe };
}

/** @returns null for an update about something else, and for one that says nobody's */
export function reactionOf(told: Told): ToldReaction | null {
  const { content } = told.update;
  if (content.type !== "reaction" || content.actorId === null) return null;
  const { chat, messageId: telegramMessageId, actorId: fromId, reactions, at } = content;
  return { told, chat, telegramMessageId, fromId, reactions, at: timeOf(told, at) };
}

export function chatOf({ webhook }: Told, chat: Chat): ChatOf {
  return { customerId: webhook.customerId, chatId: chat.id };
}

/**
 * What is asked of the message that something in a chat is about.
 * @param about `orLast`: also the last one, where none is named
 */
export function askedOf(
  told: Told,
  chat: Chat,
  { at, names, orLast }: { at: Date | null; names: number | null; orLast: boolean },
): Asked {
  const { credentialId } = told.webhook;
  return { ...chatOf(told, chat), credentialId, replyToMessageId: names, orLast, at: timeOf(told, at) };
}

/** The contact that somebody in a private chat becomes, should he be none yet. */
export function personOf(told: Told, chat: Chat, from: Sender | null): Person {
  const { firstName, lastName, username } = from ?? { firstName: null, lastName: null, username: null };
  const attributes: { [name: string]: string } = {};
  for (const [name, value] of Object.entries({ firstName, lastName, username }))
    if (value !== null) attributes[name] = cut(value, MAX_NAME_CHARS);
  return { ...chatOf(told, chat), contactId: newId(told.receivedAt.getTime()), attributes };
}

/** @param answered null for what answers nothing */
export function bubbleOf(
  { told, message }: ToldMessage,
  contactId: string,
  answered: Answered | null,
): Bubble {
  const { webhook, raw, receivedAt } = told;
  const { kind, text, html, entities, media, replyToMessageId, mediaGroupId, editedAt } = message;
  return {
    ...webhook,
    messageId: newId(receivedAt.getTime()),
    contactId,
    chatId: message.chat.id,
    telegramMessageId: message.messageId,
    campaignId: answered?.campaignId ?? null,
    answersMessageId: answered?.messageId ?? null,
    matchedBy: answered?.matchedBy ?? null,
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

/** Why an update becomes nothing else, or not yet. */
export type WhyKept = Pick<KeptUpdate, "status" | "reason">;

/** What an update is kept as. */
export function keptOf({ webhook, update, receivedAt, raw }: Told, because: WhyKept): KeptUpdate {
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

/** Of an update that nothing could be done with, whatever there is. */
export function whyUnused({ content }: Update): WhyKept {
  if (content.type === "odd") return { status: "odd", reason: content.reason };
  return { status: "ignored", reason: "EDGR does nothing with updates of this kind" };
}

/** When it happened, as Telegram says where it does and where that is possible. */
export function timeOf({ receivedAt }: Told, at: Date | null): Date {
  return (at === null ? null : possibleTime(at, receivedAt.getTime())) ?? receivedAt;
}

export function cut(text: string, chars: number): string {
  return text.slice(0, chars).toWellFormed();
}
