import { findPort } from "../src/http/server.ts";
import { openStorage } from "../src/storage/open.ts";
import { type Database, openDatabase } from "../src/storage/pool.ts";

/** Where a benchmark works: a folder that is thrown away, with an installation in it. */
export type Place = {
  dir: string;
  dataDir: string;
  /** How long each load lasts. */
  seconds: number;
  /** Work on the installation's database, which is started for it if no server runs. */
  withDatabase<T>(work: (database: Database) => Promise<T>): Promise<T>;
};

export function createPlace(dir: string, dataDir: string, seconds: number): Place {
  return {
    dir,
    dataDir,
    seconds,
    async withDatabase(work) {
      const storage = await openStorage({ databaseUrl: null, dataDir, purpose: "command", onLost: () => {} });
      const database = openDatabase(storage.connection, 4);
      try {
        return await work(database);
      } finally {
        await database.close();
        await storage.stop();
      }
    },
  };
}

export function freePort(): Promise<number> {
  return findPort({ host: "127.0.0.1", port: 0 });
}
