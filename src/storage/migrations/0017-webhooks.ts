import { type Kysely, sql } from "kysely";

/** Webhook endpoints, what is owed to them, and every attempt to deliver it. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await endpoints(db);
  await secrets(db);
  await states(db);
  await health(db);
  await deliveries(db);
  await attempts(db);
  await retention(db);
  await partitions(db);
}

/** `…_patterns` are what customers wrote in `…_types`, as LIKE takes it. */
async function endpoints(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_endpoint (
      customer_id uuid not null references customer,
      id uuid not null,
      type text not null check (type in ('custom', 'slack', 'discord')),
      url bytea not null,
      url_shown text not null,
      description text,
      event_types text[] not null,
      type_patterns text[] not null,
      campaign_ids uuid[],
      include_automatic boolean not null default false,
      headers bytea,
      header_names text[] not null default '{}',
      rate_per_second real check (rate_per_second > 0),
      max_concurrency int not null default 10 check (max_concurrency between 1 and 100),
      strict_order boolean not null default false,
      digest_seconds int check (digest_seconds is null or (digest_seconds > 0 and type <> 'custom')),
      digest_types text[] not null default '{}',
      digest_patterns text[] not null default '{}',
      retry_schedule int[],
      status text not null default 'enabled' check (status in ('enabled', 'disabled')),
      disabled_reason text,
      disabled_by text check (disabled_by in ('person', 'failures', 'gone')),
      disabled_at timestamptz,
      version int not null default 1,
      public_key text not null,
      private_key bytea not null,
      payload_version int not null default 1,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (customer_id, id),
      check ((status = 'disabled') = (disabled_by is not null))
    )`.execute(db);
}

async function secrets(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_secret (
      customer_id uuid not null,
      endpoint_id uuid not null,
      id uuid not null,
      secret bytea not null,
      created_at timestamptz not null default now(),
      expires_at timestamptz,
      primary key (customer_id, endpoint_id, id),
      foreign key (customer_id, endpoint_id) references webhook_endpoint on delete cascade
    )`.execute(db);
}

/**
 * What an endpoint was told of, since when: an event was matched by the newest state of a lower position. It says why
 * an event was not sent.
 */
async function states(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_endpoint_state (
      customer_id uuid not null,
      endpoint_id uuid not null,
      version int not null,
      since_position bigint not null,
      type text not null,
      type_patterns text[] not null,
      event_types text[] not null,
      campaign_ids uuid[],
      include_automatic boolean not null,
      digest_patterns text[] not null,
      digest_seconds int,
      status text not null,
      reason text,
      created_at timestamptz not null default now(),
      primary key (customer_id, endpoint_id, version),
      foreign key (customer_id, endpoint_id) references webhook_endpoint on delete cascade
    )`.execute(db);
}

/** How calling an endpoint goes: written by those who deliver and by nobody else. */
async function health(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_health (
      customer_id uuid not null,
      endpoint_id uuid not null,
      failing_since timestamptz,
      consecutive_failures int not null default 0,
      open_until timestamptz,
      opened_times int not null default 0,
      ramp int,
      slowed_until timestamptz,
      last_delivered_at timestamptz,
      last_failure text,
      primary key (customer_id, endpoint_id),
      foreign key (customer_id, endpoint_id) references webhook_endpoint on delete cascade
    ) with (fillfactor = 50)`.execute(db);
}

/**
 * One event owed to one endpoint, for ever: a replay or a retry opens it again. A digest and a test have an id of
 * their own in the place of the event's, and no position.
 */
async function deliveries(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_delivery (
      customer_id uuid not null,
      endpoint_id uuid not null,
      event_id uuid not null,
      id uuid not null default new_id(),
      kind text not null check (kind in ('event', 'digest', 'test')),
      event_type text not null,
      event_at timestamptz not null,
      position bigint not null,
      campaign_id uuid,
      contact_id uuid,
      message_id uuid,
      status text not null check (status in ('pending', 'delivered', 'failed', 'cancelled')),
      attempts int not null default 0,
      schedule_from int not null default 0,
      schedule_at timestamptz not null default now(),
      due_at timestamptz,
      trigger text not null default 'automatic' check (trigger in ('automatic', 'manual', 'replay')),
      payload text,
      replay_id uuid,
      last_status int,
      last_failure text,
      last_attempt_at timestamptz,
      finished_at timestamptz,
      created_at timestamptz not null default now(),
      primary key (customer_id, endpoint_id, event_id),
      check ((status = 'pending') = (due_at is not null)),
      check ((status = 'pending') = (finished_at is null))
    ) partition by range (event_id)`.execute(db);
  await sql`create table webhook_delivery_other partition of webhook_delivery default`.execute(db);
  await sql`create index webhook_delivery_id on webhook_delivery (customer_id, id)`.execute(db);
  await sql`create index webhook_delivery_of_endpoint on webhook_delivery (customer_id, endpoint_id, id)`.execute(
    db,
  );
  await sql`create index webhook_delivery_event on webhook_delivery (customer_id, event_id)`.execute(db);
  // For the lists of the log: what is not delivered is little as a rule, and found whatever else there is.
  await sql`
    create index webhook_delivery_undelivered on webhook_delivery (customer_id, status, id, endpoint_id)
    where status <> 'delivered'`.execute(db);
  await sql`
    create index webhook_delivery_contact on webhook_delivery (customer_id, contact_id, id)
    where contact_id is not null`.execute(db);
  await sql`
    create index webhook_delivery_campaign on webhook_delivery (customer_id, campaign_id, id)
    where campaign_id is not null`.execute(db);
  await sql`
    create index webhook_delivery_due on webhook_delivery (customer_id, endpoint_id, due_at)
    where status = 'pending'`.execute(db);
  await sql`
    create index webhook_delivery_order on webhook_delivery (customer_id, endpoint_id, position)
    where status = 'pending'`.execute(db);
}

async function attempts(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhook_attempt (
      customer_id uuid not null,
      id uuid not null default new_id(),
      delivery_id uuid not null,
      endpoint_id uuid not null,
      event_id uuid not null,
      number int not null,
      trigger text not null,
      started_at timestamptz not null,
      finished_at timestamptz,
      outcome text not null check (outcome in ('running', 'delivered', 'failed', 'interrupted')),
      status int,
      failure text,
      reason text,
      address text,
      timings jsonb,
      request_headers jsonb,
      response_headers jsonb,
      response_body text,
      is_truncated boolean,
      primary key (customer_id, id)
    ) partition by range (id)`.execute(db);
  await sql`create table webhook_attempt_other partition of webhook_attempt default`.execute(db);
  await sql`create index webhook_attempt_of_delivery on webhook_attempt (customer_id, delivery_id, id)`.execute(
    db,
  );
  await sql`create index webhook_attempt_of_endpoint on webhook_attempt (customer_id, endpoint_id, id)`.execute(
    db,
  );
}

/** The log of deliveries grows as fast as the log of events does, with bodies: it is kept for a while by default. */
async function retention(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table customer add delivery_retention_days int default 90
      check (delivery_retention_days between 7 and 36500)`.execute(db);
}

async function partitions(db: Kysely<unknown>): Promise<void> {
  await sql`
    create or replace function ensure_partitions(months_ahead int) returns void language plpgsql as $body$
    declare
      parent text;
      month timestamptz;
    begin
      perform pg_advisory_xact_lock(hashtextextended('edgr ensure_partitions', 0));
      foreach parent in array array['event_log', 'activity', 'webhook_delivery', 'webhook_attempt'] loop
        for offset_months in 0..months_ahead loop
          month := (date_trunc('month', now() at time zone 'utc') + make_interval(months => offset_months)) at time zone 'utc';
          execute format('create table if not exists %I partition of %I for values from (%L) to (%L)',
            parent || '_' || to_char(month at time zone 'utc', 'YYYY_MM'), parent,
            first_id_at(month), first_id_at((month at time zone 'utc' + interval '1 month') at time zone 'utc'));
        end loop;
      end loop;
    end $body$`.execute(db);
  await sql`select ensure_partitions(3)`.execute(db);
}
