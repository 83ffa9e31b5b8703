import { type Kysely, sql } from "kysely";

/** What comes of bounces, complaints and refusals that a provider tells of. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await messages(db);
  await suppressions(db);
  await softBounces(db);
  await sql`alter table breakdown drop constraint breakdown_dimension_check`.execute(db);
  await sql`
    alter table breakdown add constraint breakdown_dimension_check
      check (dimension in ('all', 'edge', 'link', 'domain', 'device', 'bounce'))`.execute(db);
}

/**
 * A message that the provider took and then refused is `rejected`, and fires what failing fires. Its claim outlives
 * what the provider says of it before we know that it took it: whoever has it in hand may die before that is recorded.
 */
async function messages(db: Kysely<unknown>): Promise<void> {
  await sql`alter table message drop constraint message_status_check`.execute(db);
  await sql`
    alter table message add constraint message_status_check check (status in ('queued', 'suppressed', 'cancelled',
      'failed', 'uncertain', 'sent', 'rejected', 'delivered', 'bounced', 'complained'))`.execute(db);
  await sql`drop index message_claimed`.execute(db);
  await sql`create index message_claimed on message (claimed_by) where claimed_by is not null`.execute(db);
  await sql`
    update campaign_edge set event_types = array['message_failed', 'message_rejected']
    where event_types = array['message_failed']`.execute(db);
}

/**
 * `detail` tells apart what has one reason. `suppression_lift`: when an address was last given free, so that what
 * happened before, told late or told again, does not suppress it anew.
 */
async function suppressions(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table suppression
      add event_id uuid,
      add detail text check (detail in ('provider_suppressed', 'soft_bounces'))`.execute(db);
  // What a delivery may undo.
  await sql`
    create index suppression_soft on suppression (customer_id, contact_id) where detail = 'soft_bounces'`.execute(
    db,
  );
  await sql`
    create table suppression_lift (
      customer_id uuid not null,
      channel text not null check (channel in ('email', 'telegram')),
      address text not null,
      reason text not null,
      lifted_at timestamptz not null,
      primary key (customer_id, channel, address, reason)
    )`.execute(db);
}

/** Where a soft bounce came from, and the contact, whose deliveries end a row of them. */
async function softBounces(db: Kysely<unknown>): Promise<void> {
  await sql`alter table soft_bounce add contact_id uuid not null, add message_id uuid not null`.execute(db);
  await sql`create index soft_bounce_contact on soft_bounce (customer_id, contact_id)`.execute(db);
}
