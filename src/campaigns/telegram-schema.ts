import { z } from "zod";
import { MAX_BUTTONS, MAX_BUTTONS_IN_ROW } from "../telegram/limits.ts";
import { graphId, position } from "./node-fields.ts";

// Of templates; what they come out with is limited by Telegram.
const MAX_TEXT_LENGTH = 100_000;
const MAX_URL_LENGTH = 4_096;
const MAX_LABEL_LENGTH = 500;

const url = z.string().max(MAX_URL_LENGTH, `must have at most ${MAX_URL_LENGTH} characters`);

const button = z
  .strictObject({
    text: z.string().max(MAX_LABEL_LENGTH, `must have at most ${MAX_LABEL_LENGTH} characters`).meta({
      description: "A Liquid template of one line, of at most 64 characters when it is rendered.",
      example: "Have a look",
    }),
    url: url.optional().meta({
      description: "A Liquid template of the http or https address that it opens.",
      example: "https://example.com/buy",
    }),
    unsubscribe: z.literal(true).optional().meta({
      description: "Instead of `url`: it unsubscribes the chat from the bot's campaigns.",
    }),
  })
  .refine(
    (given) => (given.url === undefined) !== (given.unsubscribe === undefined),
    "must have either a url or unsubscribe: true",
  )
  .meta({ id: "TelegramButton", example: { text: "Have a look", url: "https://example.com/buy" } });

const buttons = z
  .array(
    z
      .array(button)
      .min(1, "must have at least one button")
      .max(MAX_BUTTONS_IN_ROW, `must have at most ${MAX_BUTTONS_IN_ROW} buttons`),
  )
  .refine((rows) => rows.flat().length <= MAX_BUTTONS, `must be at most ${MAX_BUTTONS} buttons in all`)
  .default([]);

export const telegramMessageNode = z
  .strictObject({
    id: graphId.meta({ example: "nudge" }),
    type: z.literal("message"),
    channel: z.literal("telegram"),
    credentialId: z.uuid("must be the id of a credential").meta({
      description: "The bot that sends it, a credential of type `telegram`.",
      example: "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a25",
    }),
    text: z.string().max(MAX_TEXT_LENGTH, `must have at most ${MAX_TEXT_LENGTH} characters`).meta({
      description:
        "A Liquid template of Telegram's HTML: b, i, u, s, tg-spoiler, code, pre, blockquote, a and their like. Rendered and without its markup it has at most 4096 characters, with a photo 1024.",
      example:
        'Hi <b>{{ contact.attributes.firstName }}</b>, have a <a href="https://example.com/buy">look</a>.',
    }),
    photo: url.nullable().default(null).meta({
      description:
        "A Liquid template of the http or https address of a picture above the text, of at most 5 MB.",
      example: null,
    }),
    buttons: buttons.meta({
      description: "Rows of buttons below the text.",
      example: [[{ text: "Have a look", url: "https://example.com/buy" }]],
    }),
    unsubscribeButton: z.boolean().default(true).meta({
      description: "Adds a last row with a button to unsubscribe, unless `buttons` has one.",
    }),
    trackClicks: z.boolean().default(true).meta({
      description: "Rewrites links and the addresses of buttons; `clicked` and `notClicked` edges need it.",
    }),
    silent: z.boolean().default(false).meta({ description: "It arrives without a sound." }),
    protectContent: z.boolean().default(false).meta({ description: "It can't be forwarded or saved." }),
    position,
  })
  .meta({
    id: "TelegramMessageNode",
    description: "Sends one message of a bot to the contact's chat. Previews of links are never shown.",
    example: {
      id: "nudge",
      type: "message",
      channel: "telegram",
      credentialId: "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a25",
      text: "Hi <b>{{ contact.attributes.firstName }}</b>, have a look.",
      buttons: [[{ text: "Have a look", url: "https://example.com/buy" }]],
    },
  });
