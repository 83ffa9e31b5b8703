import type { Logger } from "pino";
import { type Repeating, repeat } from "../repeat.ts";
import type { Db } from "../storage/pool.ts";
import { completeDueWaits } from "./queries.ts";

const LOOK_MS = 1_000;
const WAITS_AT_ONCE = 1_000;

/** Ends due waits, for as long as the process lives; a wait ends at most about a second late. */
export function runWaits(db: Db, onAppend: () => void, log: Logger): Repeating {
  return repeat(
    LOOK_MS,
    async () => {
      const ended = await db.transaction().execute((trx) => completeDueWaits(trx, WAITS_AT_ONCE));
      if (ended > 0) onAppend();
      return ended === WAITS_AT_ONCE ? "more" : "done";
    },
    (error) => log.error({ err: error }, "waits: could not look for due ones, tries again"),
  );
}
