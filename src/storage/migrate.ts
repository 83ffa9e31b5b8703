import { type Kysely, type Migration, Migrator } from "kysely";
import * as foundation from "./migrations/0001-foundation.ts";

const migrations: Record<string, Migration> = { "0001-foundation": foundation };

/**
 * Brings the database to this version's schema. Safe to call from many processes at once: one migrates behind
 * an advisory lock, the others wait and find nothing to do.
 * @returns the names of the migrations this call applied
 * @throws what the failing statement threw; the migration's transaction is rolled back
 */
export async function migrate(db: Kysely<unknown>): Promise<string[]> {
  const { error, results } = await createMigrator(db).migrateToLatest();
  if (error !== undefined) throw error;
  return (results ?? [])
    .filter((result) => result.status === "Success")
    .map((result) => result.migrationName);
}

/** The names of the migrations that `migrate` would apply. */
export async function pendingMigrations(db: Kysely<unknown>): Promise<string[]> {
  const all = await createMigrator(db).getMigrations();
  return all.filter((migration) => migration.executedAt === undefined).map((migration) => migration.name);
}

function createMigrator(db: Kysely<unknown>): Migrator {
  return new Migrator({ db, provider: { getMigrations: async () => migrations } });
}
