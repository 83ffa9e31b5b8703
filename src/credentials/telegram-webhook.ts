import type { WebhookInfo } from "../telegram/api.ts";
import type { Bot } from "./telegram-queries.ts";

/** A bot's webhook as Telegram has it, and what is wrong with that. */
export type WebhookState = {
  credentialId: string;
  url: string | null;
  isInstalled: boolean;
  warning: string | null;
  pendingUpdates: number;
  lastErrorAt: string | null;
  lastError: string | null;
  maxConnections: number | null;
  allowedUpdates: string[];
};

/** @param wanted where this installation takes the bot's updates */
export function describeWebhook(bot: Bot, wanted: string, info: WebhookInfo): WebhookState {
  const { last_error_date: failedAt } = info;
  return {
    credentialId: bot.id,
    url: info.url === "" ? null : info.url,
    isInstalled: info.url === wanted,
    warning: info.url === wanted ? null : warningAbout(bot, wanted, info.url),
    pendingUpdates: info.pending_update_count,
    lastErrorAt: failedAt === undefined ? null : new Date(failedAt * 1000).toISOString(),
    lastError: info.last_error_message ?? null,
    maxConnections: info.max_connections ?? null,
    allowedUpdates: info.allowed_updates ?? [],
  };
}

function warningAbout(bot: Bot, wanted: string, url: string): string {
  const remedy = `POST /credentials/${bot.id}/telegram/webhook leads them to ${wanted}.`;
  if (url === "") return `Telegram delivers the bot's updates nowhere. ${remedy}`;
  if (url === bot.settings.webhookUrl)
    return `Telegram delivers the bot's updates to where this installation was before. ${remedy}`;
  return `Another installation has taken the bot over: Telegram delivers its updates there. ${remedy}`;
}
