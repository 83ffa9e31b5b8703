import { z } from "zod";
import { FILE_KINDS, MESSAGE_KINDS } from "../inbound/telegram/message.ts";
import type { StoredTelegram } from "./message-queries.ts";
import type { Media, ReceivedTelegram } from "./telegram-schema.ts";

const text = z.string().nullable();
const whole = z.number().nullable();

const stored = z.discriminatedUnion("type", [
  z.object({
    type: z.enum(FILE_KINDS),
    fileName: text,
    mimeType: text,
    sizeBytes: whole,
    width: whole,
    height: whole,
    durationSeconds: whole,
    emoji: text,
  }),
  z.object({
    type: z.literal("contact"),
    phoneNumber: z.string(),
    firstName: text,
    lastName: text,
    isOwn: z.boolean(),
  }),
  z.object({
    type: z.literal("location"),
    latitude: z.number(),
    longitude: z.number(),
    title: text,
    address: text,
  }),
]);

/** Media as they are stored, as they may be shown: Telegram's ids of files stay here. */
export function presentMedia(messageId: string, media: unknown): Media[] {
  return z
    .array(stored)
    .parse(media)
    .map((one, index): Media => {
      if (one.type === "contact" || one.type === "location") return { index, ...one };
      const { sizeBytes, ...file } = one;
      return { index, ...file, bytes: sizeBytes, url: `/api/v1/messages/${messageId}/media/${index}` };
    });
}

export function presentTelegram({ messageId, ...message }: StoredTelegram): ReceivedTelegram {
  return {
    ...message,
    kind: z.enum(MESSAGE_KINDS).parse(message.kind),
    media: presentMedia(messageId, message.media),
    editedAt: message.editedAt?.toISOString() ?? null,
  };
}

const keyboard = z.array(z.array(z.object({ text: z.string(), url: z.string().optional() })));

/** The buttons below a bot's message, as they are stored; one without an address unsubscribes. */
export function presentButtons(stored: unknown): { text: string; url: string | null }[][] {
  return keyboard
    .parse(stored)
    .map((row) => row.map(({ text: label, url }) => ({ text: label, url: url ?? null })));
}
