/**
 * Why the Bot API did not do something, by what follows from it (protocols 3.7):
 * - `blocked`: this chat can't be written to any more;
 * - `chat_not_found`: there never was such a chat for this bot;
 * - `migrated`: the group has another id now, `migratedTo`;
 * - `content`: what was to be said is at fault, and nobody's chat;
 * - `token`: revoked or malformed;
 * - `conflict`: a webhook and getUpdates exclude each other;
 * - `rate_limited`: not before `retryAfterMs`, for the whole bot; no failure of the message;
 * - `refused`: another 4xx;
 * - `unavailable`: it was not done and may be tried again;
 * - `uncertain`: nobody knows whether it was done.
 */
export type BotApiFailure =
  | "blocked"
  | "chat_not_found"
  | "migrated"
  | "content"
  | "token"
  | "conflict"
  | "rate_limited"
  | "refused"
  | "unavailable"
  | "uncertain";

export type BotApiFailed = {
  ok: false;
  failure: BotApiFailure;
  /** False: it is the network that failed, and nothing was heard of the Bot API. */
  wasAnswered: boolean;
  /** What Telegram, or the network, says; without the token. */
  description: string;
  retryAfterMs: number | null;
  migratedTo: number | null;
};

export type BotApiError = {
  code: number;
  description: string;
  /** Seconds. */
  retryAfter?: number | undefined;
  migratedTo?: number | undefined;
};

const CHAT_NOT_FOUND = /chat not found/i;
const CONTENT =
  /can't parse entities|message is too long|caption is too long|text is empty|wrong file identifier/i;
/** When a 429 does not say: what the Bot API asks for at least. */
const DEFAULT_RETRY_AFTER_S = 1;

/** What follows from an error of the Bot API: its code first, its text second, which may change. */
export function failureOf({ code, description, retryAfter, migratedTo }: BotApiError): BotApiFailed {
  const failure = failureFor(code, description, migratedTo);
  const retryAfterMs =
    failure === "rate_limited" ? Math.max(0, retryAfter ?? DEFAULT_RETRY_AFTER_S) * 1000 : null;
  return { ok: false, failure, wasAnswered: true, description, retryAfterMs, migratedTo: migratedTo ?? null };
}

function failureFor(code: number, description: string, migratedTo: number | undefined): BotApiFailure {
  if (code === 401 || code === 404) return "token";
  if (code === 403) return "blocked";
  if (code === 409) return "conflict";
  if (code === 429) return "rate_limited";
  if (code !== 400) return code > 400 && code < 500 ? "refused" : "unavailable";
  if (migratedTo !== undefined) return "migrated";
  if (CHAT_NOT_FOUND.test(description)) return "chat_not_found";
  return CONTENT.test(description) ? "content" : "refused";
}
