import type { Logger } from "./logger.ts";
import { type Repeating, repeat } from "./repeat.ts";
import type { Db } from "./storage/pool.ts";
import {
  BEGINNING,
  dropUnneededMonths,
  type Expiry,
  KEPT_TABLES,
  type Place,
  removeExpired,
  selectExpiries,
} from "./storage/retention.ts";

const HOUR_MS = 60 * 60 * 1000;
const CHUNK_ROWS = 10_000;

/**
 * Once an hour: drops the months that nobody needs, then removes what has expired for each customer, chunk by chunk,
 * each in a transaction of its own.
 */
export function runRetention(db: Db, now: () => Date, log: Pick<Logger, "error" | "info">): Repeating {
  const pass = createRetentionPass(db, now, log);
  return repeat(HOUR_MS, pass, (error) =>
    log.error({ err: error }, "retention: could not finish, tries again in an hour"),
  );
}

/** One chunk of the work at each call; "done" when nothing is left that has expired. */
export function createRetentionPass(
  db: Db,
  now: () => Date,
  log: Pick<Logger, "info">,
  chunkRows = CHUNK_ROWS,
): () => Promise<"more" | "done"> {
  let ahead: Expiry[] = [];
  let place: Place = BEGINNING;

  async function begin(): Promise<void> {
    for (const table of KEPT_TABLES) {
      const months = await dropUnneededMonths(db, table, now());
      if (months.length > 0) log.info({ months }, "retention: dropped months that nobody needs");
    }
    ahead = await selectExpiries(db, now());
    place = BEGINNING;
  }

  return async () => {
    if (ahead.length === 0) await begin();
    const [expiry, ...rest] = ahead;
    if (expiry === undefined) return "done";
    const next = await db.transaction().execute((trx) => removeExpired(trx, expiry, place, chunkRows));
    place = next ?? BEGINNING;
    if (next === null) ahead = rest;
    return ahead.length > 0 ? "more" : "done";
  };
}
