import { TEST_CALLBACK, UNSUBSCRIBE_CALLBACK } from "../../telegram/callback.ts";
import { type Chat, isPrivate, type Sender } from "./message.ts";
import type { Content, Update } from "./update.ts";

/** The body that a delivered update is answered with: Telegram carries out the method that it names, if it names one. */
export type WebhookAnswer =
  | Record<string, never>
  | { method: "answerCallbackQuery"; callback_query_id: string; text?: string };

/** Somebody wants nothing more in his chat, and the message whose button he pressed, where Telegram says it. */
export type Unsubscribe = { chat: Chat; from: Sender; messageId: number | null };

const UNSUBSCRIBED = "You are unsubscribed.";
const IS_TEST = "This is a test message. Nothing has changed.";
/** Ids are numbers of 64 bits; whatever else is called so is not repeated to Telegram. */
const QUERY_ID = /^\d{1,20}$/;

/**
 * What is said to an update, also when it is told again: a pressed button waits until it is answered. Nothing of it is
 * made of what others wrote, but for the query's number.
 * @param isRecorded whether all that follows from it is durable; only then a person is told so
 */
export function answerTo({ content }: Update, isRecorded: boolean): WebhookAnswer {
  if (content.type !== "callback" || !QUERY_ID.test(content.queryId)) return {};
  const answer = { method: "answerCallbackQuery", callback_query_id: content.queryId } as const;
  if (content.data === TEST_CALLBACK) return { ...answer, text: IS_TEST };
  return isRecorded && unsubscribeOf(content) !== null ? { ...answer, text: UNSUBSCRIBED } : answer;
}

/** @returns null for anything else: a button can be forged, so it speaks for the chat of whoever presses it alone */
export function unsubscribeOf(content: Content): Unsubscribe | null {
  if (content.type !== "callback" || content.data !== UNSUBSCRIBE_CALLBACK) return null;
  const { chat, from, messageId } = content;
  if (chat === null || !isPrivate(chat) || chat.id !== from.id) return null;
  return { chat, from, messageId };
}
