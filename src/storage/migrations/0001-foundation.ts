import { type Kysely, sql } from "kysely";

/**
 * Every table begins its primary key with `customer_id`, so that the schema can be distributed by customer.
 * `event_log` and `activity` are partitioned by month on their UUIDv7: the id is the time, so the primary key
 * stays (customer, id) and an event id is unique without a second index.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await functions(db);
  await tenancy(db);
  await audience(db);
  await campaigns(db);
  await eventLog(db);
  await projections(db);
}

async function functions(db: Kysely<unknown>): Promise<void> {
  // PostgreSQL 18 makes UUIDv7 itself; older servers get the same layout from parts they have.
  await sql`
    do $body$ begin
      if current_setting('server_version_num')::int >= 180000 then
        create function new_id() returns uuid language sql volatile parallel safe as 'select uuidv7()';
      else
        create function new_id() returns uuid language sql volatile parallel safe as $sql$
          select (lpad(to_hex(us / 1000), 12, '0') || '7' || lpad(to_hex(us % 1000 * 4096 / 1000), 3, '0')
            || right(replace(gen_random_uuid()::text, '-', ''), 16))::uuid
          from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as us) as clock
        $sql$;
      end if;
    end $body$`.execute(db);
  await sql`
    create function first_id_at(at timestamptz) returns uuid language sql immutable parallel safe as $sql$
      select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
    $sql$`.execute(db);
  await sql`
    create function ensure_partitions(months_ahead int) returns void language plpgsql as $body$
    declare
      parent text;
      month timestamptz;
    begin
      perform pg_advisory_xact_lock(hashtextextended('edgr ensure_partitions', 0));
      foreach parent in array array['event_log', 'activity'] loop
        for offset_months in 0..months_ahead loop
          month := (date_trunc('month', now() at time zone 'utc') + make_interval(months => offset_months)) at time zone 'utc';
          execute format('create table if not exists %I partition of %I for values from (%L) to (%L)',
            parent || '_' || to_char(month at time zone 'utc', 'YYYY_MM'), parent,
            first_id_at(month), first_id_at((month at time zone 'utc' + interval '1 month') at time zone 'utc'));
        end loop;
      end loop;
    end $body$`.execute(db);
}

async function tenancy(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table customer (
      customer_id uuid primary key,
      name text not null unique,
      ip_policy text not null default 'whole' check (ip_policy in ('whole', 'truncated', 'none')),
      confirm_unsubscribe boolean not null default false,
      postal_address text,
      created_at timestamptz not null default now()
    )`.execute(db);
  await sql`
    create table api_key (
      customer_id uuid not null references customer,
      id uuid not null,
      name text not null,
      prefix text not null,
      hash bytea not null unique,
      created_at timestamptz not null default now(),
      last_used_at timestamptz,
      revoked_at timestamptz,
      primary key (customer_id, id)
    )`.execute(db);
  await sql`
    create table idempotency_key (
      customer_id uuid not null,
      key text not null,
      fingerprint text not null,
      status int,
      body text,
      created_at timestamptz not null default now(),
      primary key (customer_id, key)
    )`.execute(db);
  await sql`create index idempotency_key_created_at on idempotency_key (created_at)`.execute(db);
}

async function audience(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table contact (
      customer_id uuid not null,
      id uuid not null,
      email text,
      telegram_chat_id bigint,
      time_zone text,
      attributes jsonb not null default '{}' check (jsonb_typeof(attributes) = 'object'),
      tags text[] not null default '{}',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (customer_id, id),
      check (email is not null or telegram_chat_id is not null)
    )`.execute(db);
  await sql`create unique index contact_email on contact (customer_id, lower(email))`.execute(db);
  await sql`create unique index contact_telegram on contact (customer_id, telegram_chat_id)`.execute(db);
  await sql`create index contact_tags on contact using gin (tags)`.execute(db);
  // One row per reason: lifting an unsubscribe must not lift the bounce beside it.
  await sql`
    create table suppression (
      customer_id uuid not null,
      id uuid not null default new_id(),
      channel text not null check (channel in ('email', 'telegram')),
      address text not null,
      reason text not null check (reason in ('unsubscribe', 'bounce', 'complaint', 'blocked', 'manual')),
      contact_id uuid,
      message_id uuid,
      created_at timestamptz not null default now(),
      primary key (customer_id, id),
      unique (customer_id, channel, address, reason),
      check (channel <> 'email' or address = lower(address))
    )`.execute(db);
  await sql`
    create table credential (
      customer_id uuid not null,
      id uuid not null,
      type text not null check (type in ('smtp', 'telegram')),
      name text not null,
      settings jsonb not null,
      secret bytea not null,
      status text not null default 'active' check (status in ('active', 'failing', 'disabled')),
      status_reason text,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (customer_id, id)
    )`.execute(db);
}

async function campaigns(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table campaign (
      customer_id uuid not null,
      id uuid not null,
      name text not null,
      status text not null default 'draft' check (status in ('draft', 'active', 'paused')),
      nodes jsonb not null,
      edges jsonb not null,
      count_automatic_hits boolean not null default false,
      version int not null default 0,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (customer_id, id),
      check ((status = 'draft') = (version = 0))
    )`.execute(db);
  await sql`
    create table campaign_node (
      customer_id uuid not null,
      campaign_id uuid not null,
      version int not null,
      node_id text not null,
      type text not null check (type in ('message', 'wait', 'exit')),
      is_entry boolean not null,
      credential_id uuid,
      wait interval,
      settings jsonb not null,
      primary key (customer_id, campaign_id, version, node_id),
      check ((type = 'wait') = (wait is not null)),
      check ((type = 'message') = (credential_id is not null))
    )`.execute(db);
  await sql`
    create unique index campaign_node_entry on campaign_node (customer_id, campaign_id, version) where is_entry`.execute(
    db,
  );
  await sql`
    create table campaign_edge (
      customer_id uuid not null,
      campaign_id uuid not null,
      version int not null,
      edge_id text not null,
      from_node text not null,
      to_node text not null,
      event_types text[] not null,
      url text,
      primary key (customer_id, campaign_id, version, from_node, edge_id)
    )`.execute(db);
  await sql`
    create table enrollment (
      customer_id uuid not null,
      id uuid not null,
      campaign_id uuid not null,
      version int not null,
      contact_id uuid not null,
      status text not null default 'active' check (status in ('active', 'completed')),
      created_at timestamptz not null default now(),
      completed_at timestamptz,
      primary key (customer_id, id),
      unique (customer_id, campaign_id, contact_id),
      check ((status = 'completed') = (completed_at is not null))
    )`.execute(db);
  await sql`
    create index enrollment_campaign on enrollment (customer_id, campaign_id, status, id)`.execute(db);
  // `seen` keeps which kinds of hit a run has had (1 opened, 2 opened by a person, 4 and 8 clicked, 16 and 32
  // unsubscribed), so that the unique counters need no look-up in the activity.
  await sql`
    create table node_run (
      customer_id uuid not null,
      id uuid not null,
      enrollment_id uuid not null,
      contact_id uuid not null,
      campaign_id uuid not null,
      version int not null,
      node_id text not null,
      status text not null check (status in ('running', 'waiting', 'completed', 'failed', 'cancelled')),
      output jsonb not null default '{}',
      seen smallint not null default 0,
      due_at timestamptz,
      created_at timestamptz not null default now(),
      finished_at timestamptz,
      primary key (customer_id, id),
      unique (customer_id, enrollment_id, node_id),
      check (due_at is null or status = 'waiting')
    ) with (fillfactor = 80)`.execute(db);
  await sql`create index node_run_due on node_run (customer_id, campaign_id, due_at) where due_at is not null`.execute(
    db,
  );
  await sql`
    create table edge_firing (
      customer_id uuid not null,
      enrollment_id uuid not null,
      edge_id text not null,
      event_id uuid not null,
      fired_at timestamptz not null,
      primary key (customer_id, enrollment_id, edge_id)
    )`.execute(db);
  // `status` is the projector's and only moves forward. `due_at`, `claimed_by`, `claimed_at` and `attempts` are
  // the sender's queue: a queued message without a claim is waiting for its turn, one with a claim is being
  // handed to the mail server by the worker whose advisory lock is `claimed_by`.
  await sql`
    create table message (
      customer_id uuid not null,
      id uuid not null,
      direction text not null check (direction in ('outbound', 'inbound')),
      channel text not null check (channel in ('email', 'telegram')),
      campaign_id uuid,
      version int,
      node_id text,
      run_id uuid,
      enrollment_id uuid,
      contact_id uuid not null,
      credential_id uuid not null,
      to_address text not null,
      subject text,
      status text not null default 'queued' check (status in
        ('queued', 'suppressed', 'cancelled', 'failed', 'uncertain', 'sent', 'delivered', 'bounced', 'complained')),
      provider_message_id text,
      error text,
      attempts int not null default 0,
      due_at timestamptz not null default now(),
      claimed_by int,
      claimed_at timestamptz,
      queued_at timestamptz not null default now(),
      sent_at timestamptz,
      primary key (customer_id, id),
      unique (customer_id, run_id),
      check ((claimed_by is null) = (claimed_at is null))
    ) with (fillfactor = 80)`.execute(db);
  await sql`
    create index message_queue on message (customer_id, credential_id, campaign_id, due_at)
    where status = 'queued' and claimed_by is null`.execute(db);
  await sql`
    create index message_claimed on message (claimed_by)
    where status = 'queued' and claimed_by is not null`.execute(db);
  await sql`create index message_campaign on message (customer_id, campaign_id, status, id)`.execute(db);
  await sql`create index message_contact on message (customer_id, contact_id, id)`.execute(db);
}

async function eventLog(db: Kysely<unknown>): Promise<void> {
  await sql`create sequence event_log_position`.execute(db);
  await sql`
    create table event_log (
      customer_id uuid not null,
      id uuid not null,
      position bigint not null default nextval('event_log_position'),
      type text not null,
      at timestamptz not null,
      campaign_id uuid,
      run_id uuid,
      message_id uuid,
      contact_id uuid,
      agent text check (agent in ('human', 'proxy', 'prefetch', 'scanner')),
      agent_rule text,
      user_agent text,
      ip inet,
      data jsonb not null default '{}',
      primary key (customer_id, id)
    ) partition by range (id)`.execute(db);
  await sql`create index event_log_by_position on event_log (position)`.execute(db);
  // A clock that is wrong by months must not lose a fact: what fits no month lands here.
  await sql`create table event_log_other partition of event_log default`.execute(db);
}

async function projections(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table activity (
      customer_id uuid not null,
      contact_id uuid not null,
      id uuid not null,
      type text not null,
      at timestamptz not null,
      campaign_id uuid,
      node_id text,
      run_id uuid,
      message_id uuid,
      agent text,
      agent_rule text,
      user_agent text,
      ip inet,
      data jsonb not null,
      primary key (customer_id, contact_id, id)
    ) partition by range (id)`.execute(db);
  await sql`create table activity_other partition of activity default`.execute(db);
  await sql`
    create table counter (
      customer_id uuid not null,
      campaign_id uuid not null,
      node_id text not null,
      type text not null,
      hour timestamptz not null,
      total bigint not null,
      unique_total bigint not null,
      unique_human bigint not null,
      human bigint not null,
      proxy bigint not null,
      prefetch bigint not null,
      scanner bigint not null,
      primary key (customer_id, campaign_id, node_id, type, hour)
    ) with (fillfactor = 70)`.execute(db);
  await sql`
    create table edge_counter (
      customer_id uuid not null,
      campaign_id uuid not null,
      edge_id text not null,
      hour timestamptz not null,
      fired bigint not null,
      primary key (customer_id, campaign_id, edge_id, hour)
    ) with (fillfactor = 70)`.execute(db);
  await sql`create table projector_cursor (name text primary key, position bigint not null)`.execute(db);
  await sql`insert into projector_cursor values ('projector', 0)`.execute(db);
  // Events the projector could not take: kept here with the reason, so that one of them never holds up the rest.
  await sql`
    create table projector_refusal (
      customer_id uuid not null,
      event_id uuid not null,
      reason text not null,
      refused_at timestamptz not null default now(),
      primary key (customer_id, event_id)
    )`.execute(db);
  await sql`select ensure_partitions(3)`.execute(db);
}
