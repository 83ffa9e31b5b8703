import { createHash, timingSafeEqual } from "node:crypto";
import { AppError } from "../../errors.ts";
import { createGroupCommit, GroupFullError, GroupTimeoutError } from "../../events/group-commit.ts";
import { NIL_ID } from "../../events/id.ts";
import type { Logger } from "../../logger.ts";
import { type Db, isRefusal } from "../../storage/pool.ts";
import { parseJson } from "../json.ts";
import { answerTo, type WebhookAnswer } from "./callback.ts";
import { findWebhook, type Webhook } from "./queries.ts";
import { type Recorded, recordUpdates } from "./record.ts";
import { createStartLinks } from "./start-link.ts";
import type { Told } from "./told.ts";
import { readUpdate } from "./update.ts";

export type TelegramReceiver = {
  /**
   * @param secret as the request has it
   * @returns null for a credential that there is none of, and for a secret that is not its own: alike in time too
   */
  admit(credentialId: string, secret: string | null): Promise<Webhook | null>;
  /**
   * Resolves when what is in it is durable.
   * @returns what it is answered with; null when it is no update, of which nothing is kept
   */
  receive(webhook: Webhook, body: string): Promise<WebhookAnswer | null>;
  /** Resolves when nothing is being written any more. */
  drain(): Promise<void>;
};

export type TelegramReceiverParts = {
  db: Db;
  encryptionKey: Buffer;
  now: () => Date;
  /** Called when something was appended to the log. */
  onAppend: () => void;
  counters: { telegramUpdates(recorded: Recorded): void };
  log: Pick<Logger, "error">;
};

// One write at a time: what comes meanwhile makes the next group a large one.
const GROUPS = { maxGroup: 200, maxWaiting: 10_000, maxWrites: 1, timeoutMs: 10_000, isRefusal };
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const NO_HASH = Buffer.alloc(32);

/** All that takes part in receiving from Telegram, for one process. */
export function createTelegramReceiver(parts: TelegramReceiverParts): TelegramReceiver {
  const { db, now, log } = parts;
  const links = createStartLinks(parts.encryptionKey);
  const group = createGroupCommit<Told>(async (told) => {
    const recorded = await recordUpdates(db, told, links);
    parts.counters.telegramUpdates(recorded);
    if (recorded.events > 0) parts.onAppend();
  }, GROUPS);

  async function append(told: Told): Promise<"written" | "refused"> {
    try {
      await group.append(told);
      return "written";
    } catch (error) {
      if (isRefusal(error)) return "refused";
      if (error instanceof GroupFullError || error instanceof GroupTimeoutError)
        throw new AppError("unavailable", "Nothing can be written just now.");
      throw error;
    }
  }

  /** @returns whether all that follows from it is there, and not only the update */
  async function record(told: Told): Promise<boolean> {
    // The first refusal may be of somebody who took the same chat at the same moment.
    if ((await append(told)) === "written" || (await append(told)) === "written") return true;
    // Answered with a 5xx it would come again all day, and nothing else of its chat before it. The error quotes what
    // was told, and that is not for the log.
    const { webhook, update } = told;
    log.error(
      { credentialId: webhook.credentialId, updateId: update.id },
      "telegram: the database refuses an update",
    );
    const content = { type: "odd", reason: "the database refuses it" } as const;
    if ((await append({ ...told, update: { ...update, content } })) === "refused")
      throw new AppError("unavailable", "The update can't be written.");
    return false;
  }

  return {
    async admit(credentialId, secret) {
      const webhook = await findWebhook(db, UUID.test(credentialId) ? credentialId : NIL_ID);
      // Of digests, which are of one length whatever the secrets are.
      const given = createHash("sha256")
        .update(secret ?? "")
        .digest();
      const isRight = timingSafeEqual(given, webhook?.secretHash ?? NO_HASH);
      return isRight && secret !== null ? webhook : null;
    },
    async receive(webhook, body) {
      const update = readUpdate(parseJson(body));
      if (update === null) return null;
      return answerTo(update, await record({ webhook, update, raw: body, receivedAt: now() }));
    },
    drain: group.drain,
  };
}
