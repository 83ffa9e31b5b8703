import { selectSettings } from "../credentials/queries.ts";
import { readToday } from "../credentials/today.ts";
import type { Db } from "../storage/pool.ts";
import type { Message } from "./history-queries.ts";

/** Why a queued message does not go out now. */
export const POSTPONED_REASONS = [
  "quiet_hours",
  "frequency_cap",
  "deferred",
  "send_window",
  "warm_up",
] as const;

export type PostponedReason = (typeof POSTPONED_REASONS)[number];

export type Postponed = { reason: PostponedReason; until: Date };

/**
 * What these messages wait for, by their id: a time they were put off to, or else what holds the whole credential.
 * What only waits for its turn is not among them.
 */
export async function findPostponed(
  db: Db,
  customerId: string,
  messages: readonly Message[],
  now: Date,
): Promise<Map<string, Postponed>> {
  const waiting = messages.filter(({ isWaiting }) => isWaiting);
  const due = waiting.filter(({ dueAt }) => dueAt <= now);
  const credentialIds = [...new Set(due.map(({ credentialId }) => credentialId))];
  const credentials = credentialIds.length === 0 ? [] : await selectSettings(db, customerId, credentialIds);
  const today = await readToday(db, customerId, credentials, now.getTime());
  const postponed = new Map<string, Postponed>();
  for (const { id, dueAt, postponedReason, credentialId } of waiting) {
    const hold = dueAt > now ? null : today.get(credentialId)?.hold;
    if (hold) postponed.set(id, { reason: hold.reason, until: new Date(hold.untilMs) });
    else if (dueAt > now && postponedReason !== null) {
      postponed.set(id, { reason: postponedReason, until: dueAt });
    }
  }
  return postponed;
}
