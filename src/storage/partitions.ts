import { sql } from "kysely";
import type { Db } from "./pool.ts";

const MONTHS_AHEAD = 3;

/** Makes the monthly partitions of the log and the activity for this month and the next three, where missing. */
export async function ensurePartitions(db: Db): Promise<void> {
  await sql`select ensure_partitions(${MONTHS_AHEAD}::int)`.execute(db);
}
