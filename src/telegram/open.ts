import { setTimeout as pause } from "node:timers/promises";
import type { Egress } from "../egress/client.ts";
import { type BotApi, createBotApi, TELEGRAM_ITSELF } from "./api.ts";

export type Telegram = { apiRoot: string; egress: Egress; api: BotApi };

/** How long one call may take, with all its waiting. */
const WITHIN_MS = 10_000;

/**
 * The Bot API as this installation reaches it: Telegram itself like everything else, a server of one's own
 * (EDGR_TELEGRAM_API_ROOT) wherever the operator says that it is.
 */
export function openTelegram(parts: { apiRoot: string; egress: Egress; trustedEgress: Egress }): Telegram {
  const { apiRoot } = parts;
  const egress = apiRoot === TELEGRAM_ITSELF ? parts.egress : parts.trustedEgress;
  return {
    apiRoot,
    egress,
    api: createBotApi({ apiRoot, egress, withinMs: WITHIN_MS, now: Date.now, pause }),
  };
}
