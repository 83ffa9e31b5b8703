import { type Kysely, sql } from "kysely";

/**
 * Answers kept for a repeated `Idempotency-Key` may have a secret in them that is shown once: from now on they are
 * sealed. `body` is of the version before, for the day that those still live.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table idempotency_key
      add sealed bytea,
      add constraint idempotency_key_one_answer check (body is null or sealed is null)`.execute(db);
}
