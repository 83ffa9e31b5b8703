import { z } from "zod";

const button = z.union([
  z.object({ text: z.string(), url: z.string() }),
  z.object({ text: z.string(), unsubscribe: z.literal(true) }),
]);

/** The settings of a Telegram message as its campaign's version keeps them. */
const nodeSettings = z.object({
  channel: z.literal("telegram"),
  text: z.string(),
  // What activation made of `text`, where that uses templates.
  compiledText: z.string().optional(),
  photo: z.string().nullable(),
  buttons: z.array(z.array(button)),
  unsubscribeButton: z.boolean(),
  trackClicks: z.boolean(),
  silent: z.boolean(),
  protectContent: z.boolean(),
});

/** What a Telegram message of a campaign says; `text`, `photo`, and text and `url` of a button are Liquid templates. */
export type TelegramNode = {
  text: string;
  photo: string | null;
  buttons: TelegramNodeButton[][];
  /** Adds a row with it where `buttons` has none. */
  unsubscribeButton: boolean;
  trackClicks: boolean;
  silent: boolean;
  protectContent: boolean;
};

export type TelegramNodeButton = { text: string; url: string } | { text: string; unsubscribe: true };

/** The message of these settings. Throws for those of another channel. */
export function telegramNode(settings: unknown): TelegramNode {
  const { channel, compiledText, ...node } = nodeSettings.parse(settings);
  return { ...node, text: compiledText ?? node.text };
}
