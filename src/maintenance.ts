import type { Logger } from "pino";
import { purgeIdempotencyKeys } from "./http/queries.ts";
import { expireImports } from "./imports/queries.ts";
import { forgetInbound } from "./inbound/ses/queries.ts";
import { type Repeating, repeat } from "./repeat.ts";
import { ensurePartitions } from "./storage/partitions.ts";
import type { Db } from "./storage/pool.ts";

const HOUR_MS = 60 * 60 * 1000;

/**
 * Once an hour: makes the coming months' partitions and forgets idempotency keys, imports and what others told that
 * have served their time.
 */
export function runMaintenance(db: Db, log: Logger): Repeating {
  return repeat(
    HOUR_MS,
    async () => {
      await ensurePartitions(db);
      await purgeIdempotencyKeys(db);
      await expireImports(db);
      await forgetInbound(db);
      return "done";
    },
    (error) => log.error({ err: error }, "maintenance: could not finish, tries again in an hour"),
  );
}
