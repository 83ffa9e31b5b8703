import { z } from "zod";
import { type Entity, readEntities, toHtml } from "./entities.ts";
import { maybe, maybeNumber, maybeText, maybeTime, number, text } from "./fields.ts";
import { type Media, readMedia } from "./media.ts";

/** Who wrote: a person, or a bot, or nobody whom Telegram names (a channel). */
export type Sender = {
  id: number;
  isBot: boolean;
  firstName: string | null;
  lastName: string | null;
  username: string | null;
};

export type Chat = { id: number; type: string };

/** Those that come with a file. */
export const FILE_KINDS = [
  "photo",
  "animation",
  "audio",
  "document",
  "sticker",
  "video",
  "video_note",
  "voice",
] as const;

export const MESSAGE_KINDS = ["text", ...FILE_KINDS, "contact", "location", "other"] as const;

/** A message in our words. `messageId` is unique within its chat only. */
export type TelegramMessage = {
  chat: Chat;
  messageId: number;
  from: Sender | null;
  /** Null when Telegram does not say. */
  at: Date | null;
  editedAt: Date | null;
  kind: (typeof MESSAGE_KINDS)[number];
  /** A caption is the text of what it stands below. */
  text: string | null;
  html: string | null;
  entities: Entity[];
  media: Media[];
  replyToMessageId: number | null;
  /** The same for all that were sent as one album. */
  mediaGroupId: string | null;
  command: Command | null;
  /** A basic group became another chat. */
  migration: { from: number; to: number } | null;
};

/** `/start abc`; `bot` of `/start@bot abc`. The name is in lower case. */
export type Command = { name: string; bot: string | null; argument: string };

export const chat = z.object({ id: number, type: text });

export const user = z.object({
  id: number,
  is_bot: maybe(z.boolean()),
  first_name: maybeText,
  last_name: maybeText,
  username: maybeText,
});

const message = z.looseObject({
  message_id: number,
  chat,
  from: maybe(user),
  date: maybeTime,
  edit_date: maybeTime,
  text: maybeText,
  caption: maybeText,
  entities: z.unknown().optional(),
  caption_entities: z.unknown().optional(),
  reply_to_message: maybe(z.object({ message_id: number })),
  media_group_id: maybeText,
  migrate_to_chat_id: maybeNumber,
  migrate_from_chat_id: maybeNumber,
});

/**
 * @param isEdit whether Telegram says so: only then it has been edited
 * @returns null when it is not a message
 */
export function readMessage(given: unknown, isEdit: boolean): TelegramMessage | null {
  const parsed = message.safeParse(given);
  if (!parsed.success) return null;
  const { data } = parsed;
  const from = data.from === null ? null : senderOf(data.from);
  const media = readMedia(data, from?.id ?? null);
  const written = data.text ?? data.caption;
  const entities =
    written === null ? [] : readEntities(data.text === null ? data.caption_entities : data.entities, written);
  return {
    chat: data.chat,
    messageId: data.message_id,
    from,
    at: data.date,
    editedAt: isEdit ? (data.edit_date ?? data.date) : null,
    kind: media?.type ?? (data.text === null ? "other" : "text"),
    text: written,
    html: written === null ? null : toHtml(written, entities),
    entities,
    media: media === null ? [] : [media],
    replyToMessageId: data.reply_to_message?.message_id ?? null,
    mediaGroupId: data.media_group_id,
    command: data.text === null ? null : commandOf(data.text),
    migration: migrationOf(data.chat.id, data.migrate_to_chat_id, data.migrate_from_chat_id),
  };
}

/** Telegram's documents call it so: a chat with one person, whose number it has. */
export function isPrivate(chat: Chat): boolean {
  return chat.type === "private";
}

export function senderOf({ id, is_bot, first_name, last_name, username }: z.output<typeof user>): Sender {
  return { id, isBot: is_bot ?? false, firstName: first_name, lastName: last_name, username };
}

/** Told twice: in the chat that was, and in the one that is. */
function migrationOf(chatId: number, to: number | null, from: number | null): TelegramMessage["migration"] {
  if (to !== null) return { from: chatId, to };
  return from === null ? null : { from, to: chatId };
}

function commandOf(written: string): Command | null {
  const [, name = "", bot = null, argument = ""] =
    /^\/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]{1,64}))?(?:\s+(.*))?$/s.exec(written) ?? [];
  return name === "" ? null : { name: name.toLowerCase(), bot, argument: argument.trim() };
}
