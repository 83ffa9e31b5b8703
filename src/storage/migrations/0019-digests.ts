import { type Kysely, sql } from "kysely";

/** What chat endpoints gather until they are told of it: one open digest of an endpoint, gone when it is closed. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_digest (
      customer_id uuid not null,
      endpoint_id uuid not null,
      id uuid not null default new_id(),
      opened_at timestamptz not null,
      primary key (customer_id, endpoint_id),
      foreign key (customer_id, endpoint_id) references webhook_endpoint on delete cascade
    ) with (fillfactor = 50)`.execute(db);
  // `campaign_id`: all zeros for what is of no campaign.
  await sql`
    create table webhook_digest_count (
      customer_id uuid not null,
      endpoint_id uuid not null,
      event_type text not null,
      campaign_id uuid not null,
      total bigint not null check (total > 0),
      primary key (customer_id, endpoint_id, event_type, campaign_id),
      foreign key (customer_id, endpoint_id) references webhook_digest on delete cascade
    ) with (fillfactor = 50)`.execute(db);
  await sql`
    create index webhook_endpoint_gathering on webhook_endpoint (customer_id, id)
    where digest_seconds is not null`.execute(db);
}
