import { Migrator } from "kysely";
import { MIGRATIONS } from "../../src/storage/migrate.ts";
import { type Database, openDatabase } from "../../src/storage/pool.ts";
import { createDatabase } from "./database.ts";

/**
 * A database of the version before a migration, for a test of what becomes of what was in it: `migrate` brings it to
 * the present. Close it in `afterAll`.
 */
export async function openDatabaseBefore(migration: string): Promise<Database> {
  const names = Object.keys(MIGRATIONS);
  const before = names.slice(0, names.indexOf(migration));
  if (before.length === 0) throw new Error(`nothing comes before ${migration}`);
  const database = openDatabase(await createDatabase("template1"), 2);
  const earlier = Object.fromEntries(Object.entries(MIGRATIONS).filter(([name]) => before.includes(name)));
  const migrator = new Migrator({ db: database.db, provider: { getMigrations: async () => earlier } });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
  return database;
}
