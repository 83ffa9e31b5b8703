import type { FieldProblem } from "../errors.ts";
import { newId } from "../events/id.ts";
import type { BotApi } from "../telegram/api.ts";
import { TEST_CALLBACK, UNSUBSCRIBE_CALLBACK } from "../telegram/callback.ts";
import type { TelegramContent } from "../telegram/content.ts";
import type { BotApiFailed } from "../telegram/failure.ts";
import type { LinkContext } from "./compose.ts";
import { compileTelegram, composeTelegram } from "./compose-telegram.ts";
import { telegramNode } from "./telegram-node.ts";
import type { TestMessage } from "./test-send.ts";

export type TelegramTest = Omit<TestMessage, "to" | "postalAddress"> & { chatId: number; botToken: string };

/** A problem's field is one of the node's, "" for the node as a whole, `credentialId` or `chatId`. */
export type TelegramTestSent =
  | { ok: true; chatId: number; messageId: number; warnings: string[] }
  | ({ ok: false } & FieldProblem);

/** Sends one message into a chat now, past the queue. It exists nowhere, and its buttons do nothing to the chat. */
export async function sendTelegramTest(
  message: TelegramTest,
  deps: Omit<LinkContext, "ids"> & { api: Pick<BotApi, "sendMessage"> },
): Promise<TelegramTestSent> {
  const compiled = compileTelegram(telegramNode(message.settings));
  if (!compiled.ok) return compiled;
  const { customerId, campaignId, nodeId, campaignName, contact, chatId, botToken } = message;
  const ids = { customerId, campaignId, nodeId, runId: newId(deps.now), messageId: newId(deps.now) };
  const composed = composeTelegram(compiled.telegram, { ...deps, ids, contact, campaignName });
  if (!composed.ok) return composed;
  const sent = await deps.api.sendMessage(botToken, { chatId, content: harmless(composed.content) });
  return sent.ok ? { ok: true, ...sent.value, warnings: composed.warnings } : problemOf(sent);
}

function harmless(content: TelegramContent): TelegramContent {
  const keyboard = content.keyboard.map((row) =>
    row.map((button) =>
      "url" in button || button.callbackData !== UNSUBSCRIBE_CALLBACK
        ? button
        : { ...button, callbackData: TEST_CALLBACK },
    ),
  );
  return { ...content, keyboard };
}

function problemOf({ failure, description, retryAfterMs }: BotApiFailed): { ok: false } & FieldProblem {
  switch (failure) {
    case "blocked":
    case "chat_not_found":
    case "migrated":
      return { ok: false, field: "chatId", reason: description };
    case "content":
    case "refused":
      return { ok: false, field: "", reason: description };
    case "token":
    case "conflict":
    case "unavailable":
      return { ok: false, field: "credentialId", reason: description };
    case "rate_limited": {
      const reason = `Telegram asks for a pause of ${Math.ceil((retryAfterMs ?? 0) / 1000)} s`;
      return { ok: false, field: "credentialId", reason };
    }
    case "uncertain":
      return { ok: false, field: "chatId", reason: `${description}; the message may have arrived` };
  }
}
