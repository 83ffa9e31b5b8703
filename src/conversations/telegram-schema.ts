import { z } from "@hono/zod-openapi";
import { id, time } from "../http/fields.ts";
import { FILE_KINDS, MESSAGE_KINDS } from "../inbound/telegram/message.ts";

const whole = (example: number | null) => z.int().nullable().openapi({ type: "integer", example });

const fileMedia = z.object({
  index: z.int().openapi({ type: "integer", example: 0 }),
  type: z.enum(FILE_KINDS).openapi({ example: "photo" }),
  fileName: z.string().nullable().openapi({ example: null }),
  mimeType: z.string().nullable().openapi({ example: "image/jpeg" }),
  bytes: whole(120_345),
  width: whole(1280),
  height: whole(960),
  durationSeconds: whole(null),
  emoji: z.string().nullable().openapi({ description: "Of a sticker.", example: null }),
  url: z.string().openapi({
    description: "Where EDGR fetches it from Telegram, with your API key.",
    example: "/api/v1/messages/01989c2a-7d3c-7cc3-98c4-dc0c0c07398f/media/0",
  }),
});

const contactMedia = z.object({
  index: z.int().openapi({ type: "integer", example: 0 }),
  type: z.literal("contact"),
  phoneNumber: z.string().openapi({ example: "+15550100" }),
  firstName: z.string().nullable().openapi({ example: "Ann" }),
  lastName: z.string().nullable().openapi({ example: null }),
  isOwn: z
    .boolean()
    .openapi({ description: "Whether it is the sender's own, as Telegram says.", example: true }),
});

const locationMedia = z.object({
  index: z.int().openapi({ type: "integer", example: 0 }),
  type: z.literal("location"),
  latitude: z.number().openapi({ example: 48.85 }),
  longitude: z.number().openapi({ example: 2.35 }),
  title: z.string().nullable().openapi({ example: null }),
  address: z.string().nullable().openapi({ example: null }),
});

/** What a message has beside its text. */
export const media = z.discriminatedUnion("type", [fileMedia, contactMedia, locationMedia]).openapi("Media");

export type Media = z.infer<typeof media>;

export const reaction = z
  .object({
    fromId: z.int().openapi({
      type: "integer",
      format: "int64",
      description: "Telegram's number of who reacted.",
      example: 5_823_456_789,
    }),
    reactions: z
      .array(z.string())
      .openapi({ description: "Emoji, or the id of a custom one.", example: ["👍"] }),
    at: time(),
  })
  .openapi("Reaction");

export const receivedTelegram = z
  .object({
    kind: z.enum(MESSAGE_KINDS).openapi({ example: "text" }),
    fromId: z.int().nullable().openapi({
      type: "integer",
      format: "int64",
      description: "Telegram's number of who wrote it.",
      example: 5_823_456_789,
    }),
    chatId: z.int().openapi({ type: "integer", format: "int64", example: 4_815_162_342 }),
    telegramMessageId: z.int().openapi({ type: "integer", description: "Unique in its chat.", example: 17 }),
    text: z.string().nullable().openapi({ description: "Also a caption.", example: "Yes, please!" }),
    html: z.string().nullable().openapi({
      description: "The same with its bold, links and so on: safe to show.",
      example: "Yes, <b>please</b>!",
    }),
    media: z.array(media),
    answersMessageId: id().nullable().openapi({ description: "The message of yours that it answers." }),
    matchedBy: z.enum(["reply", "sender"]).nullable().openapi({
      description: "How that was found: it names it, or the campaign's message was the last before it.",
      example: "reply",
    }),
    mediaGroupId: z
      .string()
      .nullable()
      .openapi({ description: "The same for all that were sent as one album.", example: null }),
    editedAt: time()
      .nullable()
      .openapi({ description: "When the person changed it last; this is what it says now." }),
    reactions: z.array(reaction),
  })
  .openapi("ReceivedTelegram");

export type ReceivedTelegram = z.infer<typeof receivedTelegram>;
