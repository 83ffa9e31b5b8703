import type { Logger } from "../logger.ts";
import { type Repeating, repeat } from "../repeat.ts";
import type { Db } from "../storage/pool.ts";
import { closeDigests, selectDigestCounts, takeDueDigests } from "./digest-queries.ts";
import { renderDigest } from "./render.ts";

const LOOK_MS = 1_000;
const DIGESTS_AT_ONCE = 100;

export type DigestsParts = {
  db: Db;
  publicUrl: string;
  now: () => number;
  log: Logger;
  /** There are deliveries to make. */
  onClose: () => void;
};

/**
 * Closes digests whose interval is over, for as long as the process lives; several processes share them. What is
 * gathered is in the database: after a restart it goes on, and what has become due meanwhile is closed at once.
 */
export function runDigests({ db, publicUrl, now, log, onClose }: DigestsParts): Repeating {
  return repeat(
    LOOK_MS,
    async () => {
      const closed = await closeDueDigests(db, { now: new Date(now()), publicUrl, limit: DIGESTS_AT_ONCE });
      if (closed > 0) onClose();
      return closed >= DIGESTS_AT_ONCE ? "more" : "done";
    },
    (error) => log.error({ err: error }, "digests: could not close those that are due, tries again"),
  );
}

/**
 * Makes each due digest, at most `limit` of them, exactly one delivery.
 * @returns how many
 */
export async function closeDueDigests(
  db: Db,
  { now, publicUrl, limit }: { now: Date; publicUrl: string; limit: number },
): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const due = await takeDueDigests(trx, { now, limit });
    if (due.length === 0) return 0;
    const counts = await selectDigestCounts(trx, due);
    const closed = due.map((digest) => {
      const told = { id: digest.id, from: digest.openedAt, to: now, counts: counts.get(digest.id) ?? [] };
      return { ...digest, payload: renderDigest(digest.type, told, publicUrl) };
    });
    await closeDigests(trx, closed, now);
    return closed.length;
  });
}
