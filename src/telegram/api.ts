import { z } from "zod";
import type { Egress } from "../egress/client.ts";
import type { Failed } from "../egress/result.ts";
import type { TelegramButton, TelegramContent } from "./content.ts";
import { type BotApiFailed, failureOf } from "./failure.ts";

export type BotApiAnswer<Value> = { ok: true; value: Value } | BotApiFailed;

export type BotUser = z.infer<typeof botUser>;
export type WebhookInfo = z.infer<typeof webhookInfo>;

export type TelegramFile = z.infer<typeof telegramFile>;

/** A message that was sent, as Telegram numbers it: within its chat. */
export type SentTelegram = {
  chatId: number;
  messageId: number;
  /** By Telegram's clock, as all that people write: whole seconds. */
  at: Date;
};

/** `allowedUpdates` that is empty means Telegram's own choice, which leaves reactions out. */
export type WebhookWanted = {
  url: string;
  secretToken: string;
  maxConnections: number;
  allowedUpdates: readonly string[];
};

/** The Bot API's methods that EDGR calls. None of them rejects; no answer holds the token. */
export type BotApi = {
  getMe(token: string): Promise<BotApiAnswer<BotUser>>;
  /** What waits for the bot stays. */
  setWebhook(token: string, wanted: WebhookWanted): Promise<BotApiAnswer<true>>;
  getWebhookInfo(token: string): Promise<BotApiAnswer<WebhookInfo>>;
  deleteWebhook(token: string): Promise<BotApiAnswer<true>>;
  /** Where a file can be had for an hour, below `/file/bot<token>/`. */
  getFile(token: string, fileId: string): Promise<BotApiAnswer<TelegramFile>>;
  /**
   * Says something in a chat, with `sendPhoto` where there is a photo. It is asked once: a 429 is an answer at once,
   * and a request whose answer got lost is `uncertain`, because nothing tells Telegram one message from the same again.
   */
  sendMessage(
    token: string,
    message: { chatId: number; content: TelegramContent },
  ): Promise<BotApiAnswer<SentTelegram>>;
};

export type BotApiOptions = {
  /** EDGR_TELEGRAM_API_ROOT; nothing else is ever called. */
  apiRoot: string;
  egress: Pick<Egress, "send">;
  /** For one call with all its waiting. */
  withinMs: number;
  now: () => number;
  pause: (ms: number) => Promise<unknown>;
};

export const TELEGRAM_ITSELF = "https://api.telegram.org";

const MAX_BODY_BYTES = 1024 ** 2;
// Also keeps a token from leading anywhere else below the root.
const TOKEN = /^\d{1,20}:[A-Za-z0-9_-]{1,100}$/;

const botUser = z.object({
  id: z.int().positive(),
  is_bot: z.literal(true),
  first_name: z.string(),
  username: z.string(),
});

const webhookInfo = z.object({
  url: z.string(),
  pending_update_count: z.int(),
  last_error_date: z.int().optional(),
  last_error_message: z.string().optional(),
  max_connections: z.int().optional(),
  allowed_updates: z.array(z.string()).optional(),
});

const telegramFile = z
  .object({ file_path: z.string().optional(), file_size: z.int().optional() })
  .transform(({ file_path = null, file_size = null }) => ({ filePath: file_path, sizeBytes: file_size }));

const sentMessage = z
  .object({ message_id: z.int(), chat: z.object({ id: z.int() }), date: z.int().nonnegative() })
  .transform(
    ({ message_id, chat, date }): SentTelegram => ({
      chatId: chat.id,
      messageId: message_id,
      at: new Date(date * 1_000),
    }),
  );

const envelope = z.union([
  z.object({ ok: z.literal(true), result: z.unknown() }),
  z.object({
    ok: z.literal(false),
    error_code: z.int(),
    description: z.string(),
    parameters: z
      .object({ retry_after: z.number().optional(), migrate_to_chat_id: z.int().optional() })
      .optional(),
  }),
]);

const NO_TOKEN = failureOf({ code: 404, description: "Not Found" });

/** Whether a text has the form of a bot's token. */
export function isBotToken(text: string): boolean {
  return TOKEN.test(text);
}

/**
 * A client of Telegram's Bot API. A 429 is waited for as long as it asks when that fits into the call's time, and is
 * a failure like others when it does not.
 */
export function createBotApi({ apiRoot, egress, withinMs, now, pause }: BotApiOptions): BotApi {
  async function call<Value>(
    token: string,
    method: string,
    params: object,
    result: z.ZodType<Value>,
  ): Promise<BotApiAnswer<Value>> {
    if (!isBotToken(token)) return NO_TOKEN;
    const until = now() + withinMs;
    for (;;) {
      const answer = await ask(token, method, params, result, { deadlineMs: until - now(), isOnce: false });
      if (answer.ok || answer.retryAfterMs === null) return answer;
      if (answer.retryAfterMs >= until - now()) return answer;
      await pause(answer.retryAfterMs);
    }
  }

  async function ask<Value>(
    token: string,
    method: string,
    params: object,
    result: z.ZodType<Value>,
    { deadlineMs, isOnce }: { deadlineMs: number; isOnce: boolean },
  ): Promise<BotApiAnswer<Value>> {
    const sent = await egress.send({
      url: `${apiRoot}/bot${token}/${method}`,
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(params),
      deadlineMs,
      maxBodyBytes: MAX_BODY_BYTES,
      isOnce,
    });
    if (!sent.ok) return unanswered(sent);
    return readAnswer(sent.status, sent.body, token, result);
  }

  return {
    getMe: (token) => call(token, "getMe", {}, botUser),
    setWebhook: (token, { url, secretToken, maxConnections, allowedUpdates }) =>
      call(
        token,
        "setWebhook",
        {
          url,
          secret_token: secretToken,
          max_connections: maxConnections,
          allowed_updates: allowedUpdates,
        },
        z.literal(true),
      ),
    getWebhookInfo: (token) => call(token, "getWebhookInfo", {}, webhookInfo),
    deleteWebhook: (token) => call(token, "deleteWebhook", {}, z.literal(true)),
    getFile: (token, fileId) => call(token, "getFile", { file_id: fileId }, telegramFile),
    async sendMessage(token, { chatId, content }) {
      if (!isBotToken(token)) return NO_TOKEN;
      const method = content.photo === null ? "sendMessage" : "sendPhoto";
      const params = messageParams(chatId, content);
      return ask(token, method, params, sentMessage, { deadlineMs: withinMs, isOnce: true });
    },
  };
}

/** What is not so is left out, as the Bot API wants it. */
function messageParams(chatId: number, content: TelegramContent): object {
  const { html, photo, keyboard, silent, protectContent, replyToMessageId } = content;
  return {
    chat_id: chatId,
    parse_mode: "HTML",
    ...(photo === null
      ? { text: html, link_preview_options: { is_disabled: true } }
      : { photo, ...(html === "" ? {} : { caption: html }) }),
    ...(keyboard.length === 0
      ? {}
      : { reply_markup: { inline_keyboard: keyboard.map((row) => row.map(buttonParams)) } }),
    ...(silent ? { disable_notification: true } : {}),
    ...(protectContent ? { protect_content: true } : {}),
    // A message that its person has deleted meanwhile is answered all the same.
    ...(replyToMessageId === null
      ? {}
      : { reply_parameters: { message_id: replyToMessageId, allow_sending_without_reply: true } }),
  };
}

function buttonParams(button: TelegramButton): object {
  if ("url" in button) return { text: button.text, url: button.url };
  return { text: button.text, callback_data: button.callbackData };
}

function unanswered({ failure, reason }: Failed): BotApiFailed {
  const isUncertain = failure === "timeout" || failure === "lost";
  return {
    ok: false,
    failure: isUncertain ? "uncertain" : "unavailable",
    wasAnswered: false,
    description: reason,
    retryAfterMs: null,
    migratedTo: null,
  };
}

function readAnswer<Value>(
  status: number,
  body: Buffer,
  token: string,
  result: z.ZodType<Value>,
): BotApiAnswer<Value> {
  const parsed = envelope.safeParse(parseJson(body));
  if (!parsed.success) return failureOf({ code: status, description: `HTTP ${status} without an answer` });
  if (parsed.data.ok) {
    const value = result.safeParse(parsed.data.result);
    if (value.success) return { ok: true, value: value.data };
    return failureOf({ code: 502, description: "The answer is not what the Bot API documents" });
  }
  const { error_code: code, description, parameters } = parsed.data;
  return failureOf({
    code,
    description: description.replaceAll(token, "the token"),
    retryAfter: parameters?.retry_after,
    migratedTo: parameters?.migrate_to_chat_id,
  });
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return null;
  }
}
