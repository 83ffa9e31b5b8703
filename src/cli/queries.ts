import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";

/** The server's version, as it calls it, and its clock. */
export async function askServer(db: Db): Promise<{ version: string; now: Date }> {
  const { rows } = await sql<{ version: string; now: Date }>`
    select current_setting('server_version') as version, clock_timestamp() as now`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error("the database answered with no row");
  return row;
}
