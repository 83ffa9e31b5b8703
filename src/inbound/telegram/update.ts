import { z } from "zod";
import { maybe, maybeNumber, maybeText, maybeTime, number, storable, text } from "./fields.ts";
import {
  type Chat,
  chat,
  readMessage,
  type Sender,
  senderOf,
  type TelegramMessage,
  user,
} from "./message.ts";

/** What Telegram posts, in our words. `id` is unique for the bot; `kind` is Telegram's name. */
export type Update = { id: number; kind: string; content: Content };

export type Content =
  | { type: "message"; isEdit: boolean; message: TelegramMessage }
  /** The bot's own standing in a chat: `kicked` in a private one is a person who blocked it. */
  | { type: "membership"; chat: Chat; from: Sender; status: string; at: Date | null }
  | {
      type: "reaction";
      chat: Chat;
      messageId: number;
      /** Who reacts: a person, or a chat that speaks for itself; null when Telegram does not say. */
      actorId: number | null;
      /** All that there are from now on. */
      reactions: string[];
      at: Date | null;
    }
  | {
      type: "callback";
      queryId: string;
      from: Sender;
      /** Clients can make it up. */
      data: string | null;
      chat: Chat | null;
      messageId: number | null;
    }
  /** Nothing that EDGR does anything with. `message`: where it is one all the same. */
  | { type: "unused"; from: Sender | null; message: TelegramMessage | null }
  /** It has a name that is known, and is not what Telegram documents. */
  | { type: "odd"; reason: string };

/** Messages whose number is unique in their chat. */
const MESSAGES = ["message", "edited_message", "channel_post", "edited_channel_post"];
/** Messages that are numbered in a connection of another kind, or come from where the bot is no member. */
const OTHER_MESSAGES = ["business_message", "edited_business_message", "guest_message"];

const envelope = z.looseObject({ update_id: number.min(0) });

const membership = z.object({
  chat,
  from: user,
  date: maybeTime,
  new_chat_member: z.object({ status: text }),
});

const reaction = z.object({
  chat,
  message_id: number,
  user: maybe(user),
  actor_chat: maybe(chat),
  date: maybeTime,
  new_reaction: z.array(z.object({ type: text, emoji: maybeText, custom_emoji_id: maybeText })),
});

const callback = z.object({
  // The samples of Telegram's own guide have numbers.
  id: z.union([text, z.number().transform(String)]),
  from: user,
  data: maybeText,
  message: maybe(z.object({ chat, message_id: maybeNumber })),
});

const attributed = z.object({ from: maybe(user), user: maybe(user) });

/**
 * Any JSON that Telegram may post, now or later.
 * @returns null when it is no update: not an object with an `update_id`
 */
export function readUpdate(json: unknown): Update | null {
  const parsed = envelope.safeParse(json);
  if (!parsed.success) return null;
  const { update_id: id, ...rest } = parsed.data;
  const [entry] = Object.entries(rest).filter(([, value]) => typeof value === "object" && value !== null);
  if (entry === undefined) return { id, kind: "", content: { type: "odd", reason: "it says nothing" } };
  const [kind, body] = entry;
  return {
    id,
    kind: storable(kind).slice(0, MAX_KIND_CHARS).toWellFormed(),
    content: readContent(kind, body),
  };
}

const MAX_KIND_CHARS = 64;

function readContent(kind: string, body: unknown): Content {
  const isEdit = kind.startsWith("edited_");
  if (MESSAGES.includes(kind)) {
    const message = readMessage(body, isEdit);
    return message === null
      ? odd("it has no message with a chat and a number")
      : { type: "message", isEdit, message };
  }
  if (kind === "my_chat_member") return readMembership(body);
  if (kind === "message_reaction") return readReaction(body);
  if (kind === "callback_query") return readCallback(body);
  const { data } = attributed.safeParse(body);
  const from = data?.from ?? data?.user ?? null;
  return {
    type: "unused",
    from: from === null ? null : senderOf(from),
    message: OTHER_MESSAGES.includes(kind) ? readMessage(body, isEdit) : null,
  };
}

function readMembership(body: unknown): Content {
  const { data } = membership.safeParse(body);
  if (data === undefined) return odd("it does not say whose standing in which chat changed");
  const { from, date: at, new_chat_member } = data;
  return { type: "membership", chat: data.chat, from: senderOf(from), status: new_chat_member.status, at };
}

function readReaction(body: unknown): Content {
  const { data } = reaction.safeParse(body);
  if (data === undefined) return odd("it does not say what the reaction is to");
  return {
    type: "reaction",
    chat: data.chat,
    messageId: data.message_id,
    actorId: data.user?.id ?? data.actor_chat?.id ?? null,
    reactions: data.new_reaction.map(({ type, emoji, custom_emoji_id }) => emoji ?? custom_emoji_id ?? type),
    at: data.date,
  };
}

function readCallback(body: unknown): Content {
  const { data } = callback.safeParse(body);
  if (data === undefined) return odd("it does not say whose button was pressed");
  return {
    type: "callback",
    queryId: data.id,
    from: senderOf(data.from),
    data: data.data,
    chat: data.message?.chat ?? null,
    messageId: data.message?.message_id ?? null,
  };
}

function odd(reason: string): Content {
  return { type: "odd", reason };
}
