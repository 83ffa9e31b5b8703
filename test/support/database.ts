import { randomBytes } from "node:crypto";
import { type Database, openDatabase } from "../../src/storage/pool.ts";

export const TEMPLATE = "edgr_template";

export type TestDatabase = Database & { url: string };

/**
 * A database of its own for one test file, cloned from the migrated template that `test/run.ts` prepared.
 * Close it in `afterAll`; the server it lives on is thrown away after the run.
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  const url = await createDatabase(TEMPLATE);
  return { ...openDatabase(url, 10), url };
}

/** The address of a new database cloned from `template`; `template1` gives an empty one. */
export async function createDatabase(template: string): Promise<string> {
  const server = process.env.EDGR_TEST_DATABASE_URL;
  if (server === undefined)
    throw new Error("Run tests with `npm test` (`npm test -- src/tracking` for a part).");
  const name = `test_${randomBytes(8).toString("hex")}`;
  const admin = openDatabase(server, 1);
  await admin.pool.query(`create database ${name} template ${template}`);
  await admin.close();
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}
