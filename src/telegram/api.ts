import { z } from "zod";
import type { Egress } from "../egress/client.ts";
import type { Failed } from "../egress/result.ts";
import { type BotApiFailed, failureOf } from "./failure.ts";

export type BotApiAnswer<Value> = { ok: true; value: Value } | BotApiFailed;

export type BotUser = z.infer<typeof botUser>;
export type WebhookInfo = z.infer<typeof webhookInfo>;

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
    if (!isBotToken(token)) return failureOf({ code: 404, description: "Not Found" });
    const until = now() + withinMs;
    for (;;) {
      const answer = await ask(token, method, params, result, until - now());
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
    deadlineMs: number,
  ): Promise<BotApiAnswer<Value>> {
    const sent = await egress.send({
      url: `${apiRoot}/bot${token}/${method}`,
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(params),
      deadlineMs,
      maxBodyBytes: MAX_BODY_BYTES,
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
  };
}

function unanswered({ failure, reason }: Failed): BotApiFailed {
  const isUncertain = failure === "timeout" || failure === "lost";
  return {
    ok: false,
    failure: isUncertain ? "uncertain" : "unavailable",
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
