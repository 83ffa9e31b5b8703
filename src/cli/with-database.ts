import type { Config } from "../config.ts";
import { openStorage } from "../storage/open.ts";
import { type Db, openDatabase } from "../storage/pool.ts";

const INTERRUPTED = 130;

/**
 * Does a command's work on the installation's database, also while EDGR serves from it. An embedded database that
 * was not running is stopped again afterwards, or when the command is interrupted.
 */
export async function withDatabase<T>(config: Config, work: (db: Db) => Promise<T>): Promise<T> {
  const storage = await openStorage({ ...config, purpose: "command", onLost: () => {} });
  const interrupt = () => {
    storage.stop().finally(() => process.exit(INTERRUPTED));
  };
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  const database = openDatabase(storage.connection, 2);
  try {
    return await work(database.db);
  } finally {
    await database.close();
    await storage.stop();
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}
