import { AppError } from "../errors.ts";
import { newId } from "../events/id.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Logger } from "../logger.ts";
import type { Db } from "../storage/pool.ts";
import { type BotApi, type BotUser, TELEGRAM_ITSELF } from "../telegram/api.ts";
import type { BotApiFailed } from "../telegram/failure.ts";
import { deleteCredential } from "./queries.ts";
import {
  type Bot,
  findBotByTelegramId,
  insertBot,
  type OpenBot,
  openBot,
  saveBot,
} from "./telegram-queries.ts";
import { describeWebhook, type WebhookState } from "./telegram-webhook.ts";

export type BotsDeps = {
  api: BotApi;
  /** EDGR_TELEGRAM_API_ROOT. */
  apiRoot: string;
  publicUrl: string;
  encryptionKey: Buffer;
  /** A new secret for a webhook: 1 to 256 of A-Z, a-z, 0-9, _ and -. */
  randomSecret: () => string;
  log: Pick<Logger, "info" | "warn">;
};

/** What Telegram is told to deliver: with an empty list it would leave reactions out. */
export const ALLOWED_UPDATES: readonly string[] = [
  "message",
  "edited_message",
  "channel_post",
  "edited_channel_post",
  "message_reaction",
  "callback_query",
  "my_chat_member",
];

/** The ports that Telegram calls. */
const PORTS = ["", "443", "80", "88", "8443"];

export type Bots = ReturnType<typeof createBots>;

/** The bots of customers: connected to Telegram, and their updates led here. */
export function createBots({ api, apiRoot, publicUrl, encryptionKey, randomSecret, log }: BotsDeps) {
  const webhookUrl = (id: string) => `${publicUrl}/api/telegram/webhook/${id}`;

  const install = async (bot: Pick<OpenBot, "settings" | "botToken" | "webhookSecret">): Promise<void> => {
    unwrap(
      await api.setWebhook(bot.botToken, {
        url: bot.settings.webhookUrl,
        secretToken: bot.webhookSecret,
        maxConnections: bot.settings.maxConnections,
        allowedUpdates: ALLOWED_UPDATES,
      }),
    );
  };

  const open = async (db: Db, customerId: string, id: string, lock: boolean): Promise<OpenBot> => {
    const bot = await openBot(db, encryptionKey, customerId, id, { lock });
    if (bot === null) throw new AppError("not_found", "There is no Telegram credential with this id.");
    return bot;
  };

  return {
    /** Where this installation takes the updates of the bot of a credential. */
    webhookUrl,

    /**
     * Checks the token, keeps it and has Telegram deliver here; all of it or nothing. A delivery that comes before the
     * commit is refused, and comes again.
     * @returns the new credential's id
     * @throws AppError unprocessable, naming the field; conflict; unavailable
     */
    async connect(
      db: Db,
      customerId: string,
      given: { name: string; botToken: string; maxConnections: number; rateLimitPerSecond: number },
    ): Promise<string> {
      refuseUnreachable(publicUrl, apiRoot);
      const me = unwrap(await api.getMe(given.botToken));
      const id = newId();
      const { name, botToken, maxConnections, rateLimitPerSecond } = given;
      const settings = { ...namesOf(me), webhookUrl: webhookUrl(id), maxConnections, rateLimitPerSecond };
      const bot = { id, name, settings, botToken, webhookSecret: randomSecret() };
      await inTransaction(db, async (transaction) => {
        const connected = await findBotByTelegramId(transaction, customerId, me.id);
        if (connected !== null) throw alreadyConnected(me, connected);
        await insertBot(transaction, encryptionKey, customerId, bot);
        await install(bot);
      });
      log.info({ credentialId: id, botId: me.id }, "a Telegram bot was connected");
      return id;
    },

    /**
     * Changes a bot. A new token must be the same bot's; the webhook's secret stays, so nothing is lost.
     * @throws AppError not_found; unprocessable, naming the field; unavailable
     */
    async change(
      db: Db,
      customerId: string,
      id: string,
      given: {
        name?: string | undefined;
        botToken?: string | undefined;
        maxConnections?: number | undefined;
        rateLimitPerSecond?: number | undefined;
      },
    ): Promise<void> {
      const touchesWebhook = given.botToken !== undefined || given.maxConnections !== undefined;
      if (touchesWebhook) refuseUnreachable(publicUrl, apiRoot);
      await inTransaction(db, async (transaction) => {
        const bot = await open(transaction, customerId, id, true);
        const names = given.botToken === undefined ? {} : await namesOfSame(api, bot, given.botToken);
        const { rateLimitPerSecond = bot.settings.rateLimitPerSecond } = given;
        const kept = { ...bot.settings, rateLimitPerSecond };
        const settings = touchesWebhook
          ? {
              ...kept,
              ...names,
              webhookUrl: webhookUrl(id),
              maxConnections: given.maxConnections ?? bot.settings.maxConnections,
            }
          : kept;
        const { name = bot.name, botToken = bot.botToken } = given;
        const changed = { ...bot, name, botToken, settings };
        if (touchesWebhook) await install(changed);
        await saveBot(transaction, encryptionKey, customerId, changed);
      });
    },

    /** Has Telegram deliver to where EDGR is now, whoever took the webhook meanwhile. */
    async reinstall(db: Db, customerId: string, id: string): Promise<WebhookState> {
      refuseUnreachable(publicUrl, apiRoot);
      return inTransaction(db, async (transaction) => {
        const bot = await open(transaction, customerId, id, true);
        const names = namesOf(unwrap(await api.getMe(bot.botToken)));
        const settings = { ...bot.settings, ...names, webhookUrl: webhookUrl(id) };
        const changed = { ...bot, settings };
        await install(changed);
        await saveBot(transaction, encryptionKey, customerId, changed);
        return describeWebhook(changed, webhookUrl(id), unwrap(await api.getWebhookInfo(bot.botToken)));
      });
    },

    /** What Telegram says of a bot's webhook. */
    async webhook(db: Db, customerId: string, id: string): Promise<WebhookState> {
      const bot = await open(db, customerId, id, false);
      return describeWebhook(bot, webhookUrl(id), unwrap(await api.getWebhookInfo(bot.botToken)));
    },

    /** Forgets a bot and, as well as it can, has Telegram no longer deliver; leaves another installation's webhook alone. */
    async disconnect(db: Db, customerId: string, id: string): Promise<void> {
      const bot = await inTransaction(db, async (transaction) => {
        const found = await open(transaction, customerId, id, true);
        await deleteCredential(transaction, customerId, id);
        return found;
      });
      const removed = await removeWebhook(api, bot);
      if (removed.ok) log.info({ credentialId: id }, `a Telegram bot was disconnected: ${removed.value}`);
      else
        log.warn(
          { credentialId: id, reason: removed.description },
          "a Telegram bot was disconnected, but its webhook could not be removed",
        );
    },
  };
}

async function removeWebhook(api: BotApi, bot: OpenBot): Promise<{ ok: true; value: string } | BotApiFailed> {
  const info = await api.getWebhookInfo(bot.botToken);
  if (!info.ok) return info;
  if (info.value.url !== bot.settings.webhookUrl) return { ok: true, value: "its webhook is elsewhere" };
  const removed = await api.deleteWebhook(bot.botToken);
  return removed.ok ? { ok: true, value: "its webhook is removed" } : removed;
}

async function namesOfSame(api: BotApi, bot: Bot, botToken: string): Promise<ReturnType<typeof namesOf>> {
  const me = unwrap(await api.getMe(botToken));
  if (me.id === bot.settings.botId) return namesOf(me);
  const reason = `belongs to @${me.username}, and this credential is of @${bot.settings.botUsername}: make another one`;
  throw unprocessable("botToken", reason);
}

function namesOf(me: BotUser): { botId: number; botUsername: string; botName: string } {
  return { botId: me.id, botUsername: me.username, botName: me.first_name };
}

/** A server of one's own may deliver over http and to any port. */
function refuseUnreachable(publicUrl: string, apiRoot: string): void {
  if (apiRoot !== TELEGRAM_ITSELF) return;
  const { protocol, port } = new URL(publicUrl);
  if (protocol === "https:" && PORTS.includes(port)) return;
  const reason = `is ${publicUrl}: Telegram delivers to https addresses on the ports 443, 80, 88 and 8443 only`;
  throw unprocessable("EDGR_PUBLIC_URL", reason);
}

/** @throws AppError that says what to do about it, when Telegram did not do it */
function unwrap<Value>(answer: { ok: true; value: Value } | BotApiFailed): Value {
  if (answer.ok) return answer.value;
  const { failure, description } = answer;
  if (failure === "token") throw unprocessable("botToken", `is refused by Telegram: ${description}`);
  if (failure === "rate_limited" || failure === "unavailable" || failure === "uncertain")
    throw new AppError("unavailable", `Telegram can't be used just now: ${description}`);
  throw new AppError("unprocessable", `Telegram refuses it: ${description}`);
}

function unprocessable(field: string, reason: string): AppError {
  return new AppError("unprocessable", `${field}: ${reason}`, [{ field, reason }]);
}

function alreadyConnected({ username }: BotUser, { name, id }: { name: string; id: string }): AppError {
  return new AppError("conflict", `@${username} is connected already, as the credential "${name}" (${id}).`);
}
