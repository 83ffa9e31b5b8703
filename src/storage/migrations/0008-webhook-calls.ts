import { type Kysely, sql } from "kysely";

/** How often a webhook node's run has been tried, for as long as it has not ended. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_call (
      customer_id uuid not null,
      run_id uuid not null,
      attempts int not null,
      last_reason text,
      primary key (customer_id, run_id)
    )`.execute(db);
}
