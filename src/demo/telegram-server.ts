import { createHash, randomBytes } from "node:crypto";
import { findPort, listen } from "../http/server.ts";
import { createTelegramFiles, type StandInFile } from "./telegram-files.ts";
import { createTelegramQueues, type Deliver, type Webhook } from "./telegram-queues.ts";

export type StandInBot = { id: number; username: string; name: string };

export type BotApiCall = { method: string; token: string; params: Params };

type Params = { [name: string]: unknown };
export type Answer = { status: number; body: object | string | Uint8Array };

export type TelegramStandIn = {
  /** For EDGR_TELEGRAM_API_ROOT. */
  apiRoot: string;
  /** Every call, also those that a webhook makes by its answer, the oldest first. */
  calls: BotApiCall[];
  /** What people who pressed buttons were told; each waits until it is answered, once. */
  buttonAnswers: { queryId: string; text: string }[];
  /**
   * @param before the token and the webhook of one that was there already
   * @returns the token of a bot that is there from now on
   */
  addBot(bot: StandInBot, before?: { token: string; webhook: Webhook | null }): string;
  /** @returns the token of the same bot from now on: the old one, and its webhook, are no longer known */
  revoke(token: string): string;
  /** The next call of this method is answered so, and does nothing. */
  failNext(method: string, error: ApiError | "html"): void;
  /** What `sendMessage` to this chat is answered with; null: it is sent. */
  answerChat(chatId: number, error: ApiError | null): void;
  webhookOf(token: string): Webhook | null;
  /** A file that somebody sent to the bot, or null: Telegram no longer has it. */
  setFile(token: string, fileId: string, file: StandInFile | null): void;
  /**
   * An update for a bot, which waits until it is delivered.
   * @returns its update_id: the one it has, or the next
   */
  push(token: string, update: object): number;
  /** Resolves when nothing waits at any bot that has a webhook. */
  idle(): Promise<void>;
  close(): Promise<void>;
};

export type ApiError = {
  code: number;
  description: string;
  parameters?: { retry_after?: number; migrate_to_chat_id?: number };
};

/** A message that a bot sent. */
export type SentToChat = { chatId: number; text: string; keyboard: unknown };

export type StandInOptions = {
  /** A free one, unless said otherwise. */
  port?: number;
  /** How updates go to their webhook: over HTTP, or into an app. */
  deliver?: Deliver;
  /** The pause before a failed delivery's next attempt; Telegram's are 0, 2, 4, 8 … seconds. */
  retryMs?: (attempt: number) => number;
  /** A server of one's own, which delivers to any address. */
  isLocal?: boolean;
  /** Keeps a message before its bot is told that it is sent. @returns its number */
  keep?: (sent: SentToChat) => number;
  /** Answers `sendMessage` and `sendPhoto` instead, where the chat has no answer of its own. @param from the bot */
  onSend?: ((from: object, call: BotApiCall) => Answer) | null;
  /** Called before a bot is told that its webhook, or that there is none, is set. */
  onWebhook?: (webhook: Webhook | null) => void;
  /** Called when an update was taken, before what is behind it. */
  onTaken?: (updateId: number) => void;
};

const SECRET = /^[A-Za-z0-9_-]*$/;
const PORTS = ["", "443", "80", "88", "8443"];
const MAX_TEXT_CHARS = 4096;

/**
 * A stand-in for Telegram's Bot API on loopback that behaves as is documented (https://core.telegram.org/bots/api): what
 * waits for a bot, how its webhook is called, what is refused and how.
 */
export async function startTelegram({
  port,
  deliver = (url, init) => fetch(url, init),
  retryMs = () => 1,
  isLocal = false,
  keep = countUp(),
  onSend = null,
  onWebhook = () => {},
  onTaken = () => {},
}: StandInOptions = {}): Promise<TelegramStandIn> {
  const bots = new Map<string, StandInBot>();
  const calls: BotApiCall[] = [];
  const failures = new Map<string, (ApiError | "html")[]>();
  const chats = new Map<number, ApiError>();
  const pressed = new Set<string>();
  const buttonAnswers: TelegramStandIn["buttonAnswers"] = [];
  const files = createTelegramFiles();
  const queues = createTelegramQueues({
    deliver,
    retryMs,
    onTaken,
    onCall(botId, { method, params }) {
      const [token] = [...bots].find(([, bot]) => bot.id === botId) ?? [];
      if (token === undefined) return;
      calls.push({ method, token, params });
      answerCall({ method, token, params });
    },
  });

  function answerCall({ method, token, params }: BotApiCall): Answer {
    const bot = bots.get(token);
    if (bot === undefined) return refused({ code: 401, description: "Unauthorized" });
    const failure = failures.get(method)?.shift();
    if (failure === "html") return { status: 502, body: "<html><h1>502 Bad Gateway</h1></html>" };
    if (failure !== undefined) return refused(failure);
    if (method === "getMe") return done(describe(bot));
    if (method === "setWebhook") return setWebhook(bot, params);
    if (method === "deleteWebhook") return leadTo(bot, null);
    if (method === "getWebhookInfo") return done(queues.info(bot.id));
    const chatError = /^send/.test(method) ? chats.get(Number(params.chat_id)) : undefined;
    if (chatError !== undefined) return refused(chatError);
    if (/^send(?:Message|Photo)$/.test(method) && onSend !== null)
      return onSend(describe(bot), { method, token, params });
    if (method === "sendMessage") return sendMessage(bot, params);
    if (method === "answerCallbackQuery") return answerButton(params);
    if (method === "getFile") return files.find(bot.id, String(params.file_id));
    return refused({ code: 404, description: "Not Found" });
  }

  function setWebhook(bot: StandInBot, params: Params): Answer {
    const reason = refusedWebhook(params, isLocal);
    if (reason !== null) return refused({ code: 400, description: `Bad Request: ${reason}` });
    const before = queues.webhook(bot.id);
    const { url, secret_token: secret, allowed_updates: allowed } = params;
    const webhook: Webhook = {
      url: String(url),
      secret: typeof secret === "string" ? secret : "",
      maxConnections: typeof params.max_connections === "number" ? params.max_connections : 40,
      allowedUpdates: Array.isArray(allowed) ? allowed.map(String) : (before?.allowedUpdates ?? []),
    };
    return leadTo(bot, url === "" ? null : webhook);
  }

  function leadTo(bot: StandInBot, webhook: Webhook | null): Answer {
    onWebhook(webhook);
    queues.setWebhook(bot.id, webhook);
    return done(true);
  }

  function sendMessage(bot: StandInBot, params: Params): Answer {
    const text = typeof params.text === "string" ? params.text : "";
    const chatId = Number(params.chat_id);
    if (text === "") return refused({ code: 400, description: "Bad Request: message text is empty" });
    if (text.length > MAX_TEXT_CHARS)
      return refused({ code: 400, description: "Bad Request: message is too long" });
    const messageId = keep({ chatId, text, keyboard: params.reply_markup });
    const chat = { id: chatId, type: "private" };
    return done({
      message_id: messageId,
      from: describe(bot),
      chat,
      date: Math.floor(Date.now() / 1_000),
      text,
    });
  }

  function answerButton({ callback_query_id: id, text }: Params): Answer {
    if (!pressed.delete(String(id))) {
      const description = "Bad Request: query is too old and response timeout expired or query ID is invalid";
      return refused({ code: 400, description });
    }
    buttonAnswers.push({ queryId: String(id), text: typeof text === "string" ? text : "" });
    return done(true);
  }

  function answerFile(token: string, path: string): Answer {
    const bot = bots.get(token);
    return bot === undefined
      ? refused({ code: 401, description: "Unauthorized" })
      : files.read(bot.id, decodeURIComponent(path));
  }

  async function answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const [, fileToken = "", path = ""] = /^\/file\/bot([^/]+)\/(.+)$/.exec(pathname) ?? [];
    const [, token = "", method = ""] = /^\/bot([^/]+)\/(\w+)$/.exec(pathname) ?? [];
    const call = { method, token, params: await readParams(request) };
    if (path === "") calls.push(call);
    const { status, body } = path === "" ? answerCall(call) : answerFile(fileToken, path);
    if (typeof body === "string")
      return new Response(body, { status, headers: { "Content-Type": "text/html" } });
    return body instanceof Uint8Array
      ? new Response(new Uint8Array(body), { status })
      : Response.json(body, { status });
  }

  const address = { host: "127.0.0.1", port: port ?? (await findPort({ host: "127.0.0.1", port: 0 })) };
  const server = listen({ fetch: answer }, address);

  function addBot(bot: StandInBot, before?: { token: string; webhook: Webhook | null }): string {
    const { token, webhook } = before ?? { token: newToken(bot.id), webhook: null };
    bots.set(token, bot);
    queues.setWebhook(bot.id, webhook);
    return token;
  }

  return {
    apiRoot: `http://127.0.0.1:${address.port}`,
    calls,
    buttonAnswers,
    addBot,
    revoke(token) {
      const bot = botOf(bots, token);
      bots.delete(token);
      queues.setWebhook(bot.id, null);
      return addBot(bot);
    },
    failNext: (method, error) => failures.set(method, [...(failures.get(method) ?? []), error]),
    answerChat: (chatId, error) => (error === null ? chats.delete(chatId) : chats.set(chatId, error)),
    webhookOf: (token) => queues.webhook(botOf(bots, token).id),
    setFile: (token, fileId, file) => files.set(botOf(bots, token).id, fileId, file),
    push(token, update) {
      if ("callback_query" in update) pressed.add(queryIdOf(update.callback_query));
      return queues.push(botOf(bots, token).id, update);
    },
    idle: queues.idle,
    async close() {
      queues.stop();
      await server.stop(0);
    },
  };
}

function refusedWebhook({ url, secret_token: secret = "" }: Params, isLocal: boolean): string | null {
  const text = String(secret);
  if (text.length > 256) return "secret token is too long";
  if (!SECRET.test(text)) return "secret token contains unallowed characters";
  if (typeof url !== "string" || url === "" || isLocal) return null;
  if (!url.startsWith("https://")) return "bad webhook: An HTTPS URL must be provided for webhook";
  if (!PORTS.includes(new URL(url).port))
    return "bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443";
  return null;
}

function describe({ id, username, name }: StandInBot): object {
  return { id, is_bot: true, first_name: name, username };
}

function done(result: unknown): Answer {
  return { status: 200, body: { ok: true, result } };
}

function refused({ code, description, parameters }: ApiError): Answer {
  const body = { ok: false, error_code: code, description };
  return { status: code, body: parameters === undefined ? body : { ...body, parameters } };
}

function queryIdOf(query: unknown): string {
  return typeof query === "object" && query !== null && "id" in query ? String(query.id) : "";
}

function botOf(bots: ReadonlyMap<string, StandInBot>, token: string): StandInBot {
  const bot = bots.get(token);
  if (bot === undefined) throw new Error("there is no bot with this token");
  return bot;
}

function newToken(botId: number): string {
  return `${botId}:${createHash("sha256").update(randomBytes(16)).digest("base64url").slice(0, 35)}`;
}

async function readParams(request: Request): Promise<Params> {
  const text = await request.text();
  return text === "" ? {} : JSON.parse(text);
}

function countUp(): () => number {
  let last = 0;
  return () => {
    last += 1;
    return last;
  };
}
