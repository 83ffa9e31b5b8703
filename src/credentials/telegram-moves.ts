import type { Logger } from "../logger.ts";
import { type Repeating, repeat } from "../repeat.ts";
import type { Db } from "../storage/pool.ts";
import type { Bots } from "./telegram.ts";
import { selectMovedBots } from "./telegram-queries.ts";

export type BotMovesDeps = {
  db: Db;
  bots: Pick<Bots, "webhook" | "reinstall" | "webhookUrl">;
  log: Pick<Logger, "info" | "warn" | "error">;
};

/** What Telegram could not be told now is told an hour later; it keeps updates for a day. */
const EVERY_MS = 60 * 60 * 1000;

/** Follows a change of EDGR_PUBLIC_URL: at once when a process starts, and again until every bot has followed. */
export function runBotMoves(deps: BotMovesDeps): Repeating {
  return repeat(
    EVERY_MS,
    async () => {
      await moveBots(deps);
      return "done";
    },
    (error) => deps.log.error({ err: error }, "telegram: could not look for bots that have to be led here"),
  );
}

/**
 * Leads the updates of bots here that still go to where this installation was before. A bot that another installation
 * has taken over meanwhile stays with it, until a person asks for it.
 * @returns how many were led here
 */
export async function moveBots({ db, bots, log }: BotMovesDeps): Promise<number> {
  let moved = 0;
  for (const { customerId, credentialId, webhookUrl } of await selectMovedBots(db, bots.webhookUrl(""))) {
    try {
      const { url } = await bots.webhook(db, customerId, credentialId);
      if (url !== null && url !== webhookUrl && url !== bots.webhookUrl(credentialId)) {
        log.warn({ credentialId }, "telegram: another installation has taken a bot over; it is left there");
        continue;
      }
      await bots.reinstall(db, customerId, credentialId);
      moved += 1;
      log.info({ credentialId }, "telegram: a bot's updates are led to the new public URL");
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.warn({ credentialId, reason }, "telegram: a bot's updates can't be led to the new public URL");
    }
  }
  return moved;
}
