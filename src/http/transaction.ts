import type { Db } from "../storage/pool.ts";

/** Runs `work` in a transaction: the one `db` already is, or else one of its own. */
export function inTransaction<Result>(db: Db, work: (transaction: Db) => Promise<Result>): Promise<Result> {
  return db.isTransaction ? work(db) : db.transaction().execute(work);
}
