import { demoAddress } from "./campaign.ts";
import type { Bubble } from "./journal.ts";

/** Updates of a bot have numbers; these are the same after a restart, so that one is not told as two. */
const UPDATES_OF_BUBBLES = 1_000_000;
const UPDATES_OF_STARTS = 1;
const CHATS = 7_000_000_000;
/** Of a chat's messages: what its person writes goes between those of the bot. */
const BUBBLE_STEP = 10;

export type Update = { update_id: number; [kind: string]: unknown };

/** What those do who get a message in Telegram, and have a chat with the bot. */
export type Habit = "click" | "answer" | "talk" | "leave" | "block" | "read";

/**
 * Of twenty people six never open the welcome. Of these one clicks in Telegram, one likes what it is told there and answers it,
 * one clicks and writes of its own accord, one leaves by the button, one has blocked the bot, and one never started it; of the
 * others two have a chat too, and no reason to be written to there.
 * @returns null for who has no chat
 */
export function habitOf(number: number): Habit | null {
  switch (number % 20) {
    case 0:
      return "click";
    case 1:
      return "answer";
    case 17:
      return "talk";
    case 18:
      return "leave";
    case 19:
      return "block";
    case 4:
    case 5:
      return "read";
    default:
      return null;
  }
}

export function chatOf(number: number): number {
  return CHATS + number;
}

export function numberOfChat(chatId: number): number {
  return chatId - CHATS;
}

export function addressOf(chatId: number): string {
  return demoAddress(numberOfChat(chatId));
}

/** @param index which of the bot's messages it is, from 0 */
export function bubbleNumber(index: number): number {
  return (index + 1) * BUBBLE_STEP;
}

/** Addresses that somebody opens who got this message. */
export function clicksOn({ chatId, buttons }: Bubble): string[] {
  const habit = habitOf(numberOfChat(chatId));
  if (habit !== "click" && habit !== "talk") return [];
  return buttons.flatMap(({ url }) => url ?? []);
}

export function answerOf(number: number): string {
  return `It did! I am person ${number}.`;
}

export function startUpdateId(number: number): number {
  return UPDATES_OF_STARTS + number;
}

/** Somebody opened a link to the bot and pressed Start. */
export function startOf(number: number, payload: string, at: Date): Update {
  const message = { ...writtenBy(number, at), message_id: 1, text: `/start ${payload}` };
  return { update_id: startUpdateId(number), message };
}

/** What people do in Telegram with this message. */
export function updatesOn(bubble: Bubble): Update[] {
  const number = numberOfChat(bubble.chatId);
  const person = personOf(number);
  const about = { chat: chatWith(number), message_id: bubble.number, date: secondsOf(bubble.at) };
  const next = { ...writtenBy(number, new Date(bubble.at)), message_id: bubble.number + 1 };
  const first = UPDATES_OF_BUBBLES + bubble.number;
  const liked = { ...about, user: person, old_reaction: [], new_reaction: [{ type: "emoji", emoji: "👍" }] };
  const stop = bubble.buttons.find(({ callback_data }) => callback_data !== undefined)?.callback_data;
  switch (habitOf(number)) {
    case "answer":
      return [
        { update_id: first, message_reaction: liked },
        { update_id: first + 1, message: { ...next, text: answerOf(number), reply_to_message: about } },
      ];
    case "talk":
      return [{ update_id: first, message: { ...next, text: answerOf(number) } }];
    case "leave":
      return [
        {
          update_id: first,
          callback_query: { id: String(first), from: person, chat_instance: "1", message: about, data: stop },
        },
      ];
    default:
      return [];
  }
}

function personOf(number: number): object {
  return { id: chatOf(number), is_bot: false, first_name: `Person ${number}` };
}

function chatWith(number: number): object {
  return { id: chatOf(number), type: "private", first_name: `Person ${number}` };
}

function writtenBy(number: number, at: Date): object {
  return { from: personOf(number), chat: chatWith(number), date: secondsOf(at.toISOString()) };
}

function secondsOf(at: string): number {
  return Math.floor(Date.parse(at) / 1_000);
}
