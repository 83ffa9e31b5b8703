import { type Kysely, type Migration, Migrator, sql } from "kysely";
import * as foundation from "./migrations/0001-foundation.ts";
import * as graph from "./migrations/0002-graph.ts";
import * as templates from "./migrations/0003-templates.ts";
import * as imports from "./migrations/0004-imports.ts";
import * as segments from "./migrations/0005-segments.ts";
import * as sending from "./migrations/0006-sending.ts";
import * as analytics from "./migrations/0007-analytics.ts";
import * as webhookCalls from "./migrations/0008-webhook-calls.ts";
import * as inbound from "./migrations/0009-inbound.ts";
import * as bounces from "./migrations/0010-bounces.ts";
import * as inboundMail from "./migrations/0011-inbound-mail.ts";
import * as topicPatterns from "./migrations/0012-topic-patterns.ts";
import * as telegram from "./migrations/0013-telegram.ts";
import * as telegramSending from "./migrations/0014-telegram-sending.ts";
import * as telegramReactions from "./migrations/0015-telegram-reactions.ts";
import * as conversations from "./migrations/0016-conversations.ts";
import * as webhooks from "./migrations/0017-webhooks.ts";
import * as replays from "./migrations/0018-replays.ts";
import * as digests from "./migrations/0019-digests.ts";
import * as sealedAnswers from "./migrations/0020-sealed-answers.ts";

/** By name, in the order in which they are applied. */
export const MIGRATIONS: Record<string, Migration> = {
  "0001-foundation": foundation,
  "0002-graph": graph,
  "0003-templates": templates,
  "0004-imports": imports,
  "0005-segments": segments,
  "0006-sending": sending,
  "0007-analytics": analytics,
  "0008-webhook-calls": webhookCalls,
  "0009-inbound": inbound,
  "0010-bounces": bounces,
  "0011-inbound-mail": inboundMail,
  "0012-topic-patterns": topicPatterns,
  "0013-telegram": telegram,
  "0014-telegram-sending": telegramSending,
  "0015-telegram-reactions": telegramReactions,
  "0016-conversations": conversations,
  "0017-webhooks": webhooks,
  "0018-replays": replays,
  "0019-digests": digests,
  "0020-sealed-answers": sealedAnswers,
};

/**
 * Brings the database to this version's schema. Safe to call from many processes at once: one migrates behind
 * an advisory lock, the others wait and find nothing to do.
 * @returns the names of the migrations this call applied
 * @throws what the failing statement threw; the migration's transaction is rolled back
 */
export async function migrate(db: Kysely<unknown>): Promise<string[]> {
  return db.connection().execute(async (connection) => {
    // Rewriting a large table, or waiting for who does, takes longer than the pool gives a statement.
    await sql`set statement_timeout = 0`.execute(connection);
    const { error, results } = await createMigrator(connection).migrateToLatest();
    await sql`reset statement_timeout`.execute(connection);
    if (error !== undefined) throw error;
    return (results ?? [])
      .filter((result) => result.status === "Success")
      .map((result) => result.migrationName);
  });
}

/** The names of the migrations that `migrate` would apply. */
export async function pendingMigrations(db: Kysely<unknown>): Promise<string[]> {
  const all = await createMigrator(db).getMigrations();
  return all.filter((migration) => migration.executedAt === undefined).map((migration) => migration.name);
}

function createMigrator(db: Kysely<unknown>): Migrator {
  return new Migrator({ db, provider: { getMigrations: async () => MIGRATIONS } });
}
