import { z } from "@hono/zod-openapi";
import type { LinkContext, Refusal } from "../messages/compose.ts";
import {
  compileTelegram,
  composeTelegramContent,
  type TelegramContentContext,
} from "../messages/compose-telegram.ts";
import { telegramNode } from "../messages/telegram-node.ts";
import type { TelegramContent } from "../telegram/content.ts";
import type { Finding } from "../templates/lint.ts";
import { linksOfNoMessage } from "../templates/preview.ts";
import type { TelegramMessageNode } from "./schema.ts";

const button = z.union([
  z.object({
    text: z.string().openapi({ example: "Have a look" }),
    url: z.string().openapi({ example: "https://example.com/buy" }),
  }),
  z.object({
    text: z.string().openapi({ example: "Unsubscribe" }),
    callbackData: z.string().openapi({ example: "edgr:unsubscribe" }),
  }),
]);

export const telegramPreview = z
  .object({
    channel: z.literal("telegram"),
    html: z.string().openapi({
      description: "The text, or the caption of the photo, in Telegram's HTML, with links untracked.",
      example: "Hi <b>Ann</b>, have a look.",
    }),
    photo: z.string().nullable().openapi({ example: null }),
    keyboard: z.array(z.array(button)).openapi({
      description: "Rows of buttons, that to unsubscribe among them.",
      example: [
        [{ text: "Have a look", url: "https://example.com/buy" }],
        [{ text: "Unsubscribe", callbackData: "edgr:unsubscribe" }],
      ],
    }),
    silent: z.boolean(),
    protectContent: z.boolean(),
    warnings: z.array(z.string()).openapi({
      description: "What does not keep the message from being sent, and is better changed.",
      example: [],
    }),
  })
  .openapi("TelegramPreview");

type Preview = { channel: "telegram"; warnings: string[] } & Omit<TelegramContent, "replyToMessageId">;

/**
 * A message as this contact would get it, without its tracking; its own links are those of no message.
 * @param text the node's, with layouts and partials done
 */
export function previewTelegram(
  node: TelegramMessageNode,
  text: string,
  context: TelegramContentContext,
  deps: Omit<LinkContext, "ids"> & { customerId: string },
): { ok: true; preview: Preview } | Refusal {
  const compiled = compileTelegram(telegramNode({ ...node, text }));
  if (!compiled.ok) return compiled;
  const composed = composeTelegramContent(compiled.telegram, context, linksOfNoMessage(deps));
  if (!composed.ok) return composed;
  const { replyToMessageId, ...content } = composed.content;
  return { ok: true, preview: { channel: "telegram", ...content, warnings: composed.warnings } };
}

/** What could be better in a Telegram message. */
export function lintTelegram(node: TelegramMessageNode): Finding[] {
  const isButton = node.unsubscribeButton || node.buttons.flat().some(({ unsubscribe }) => unsubscribe);
  const isLink = [node.text, ...node.buttons.flat().map(({ url }) => url ?? "")].some((source) =>
    /\bunsubscribeUrl\b/.test(source),
  );
  if (isButton || isLink) return [];
  const message =
    "There is no way to unsubscribe to be seen: turn unsubscribeButton on, or add a button that does.";
  return [{ rule: "unsubscribe-missing", severity: "warning", message, line: null }];
}
