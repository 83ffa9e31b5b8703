import { type Kysely, sql } from "kysely";

/** What others tell EDGR: who may (the topics of Amazon SNS), what they told already, and what fits no message. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await topics(db);
  await inbound(db);
  await bouncePolicy(db);
  // What a provider says of a message names it by the id that the provider gave it.
  await sql`
    create index message_provider on message (customer_id, provider_message_id)
    where provider_message_id is not null`.execute(db);
}

/**
 * `ses_topic` is the allow-list: whose word may touch which customer. A topic that two customers name is the first
 * one's. `ses_asking`: topics that are not on it and whose messages SNS signed. The `confirm_` columns are a
 * subscription's confirmation that is still to be made, or that the topic being allowed would make.
 */
async function topics(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table ses_topic (
      customer_id uuid not null,
      topic_arn text not null unique,
      credential_id uuid not null,
      allowed_at timestamptz not null default now(),
      subscription text not null default 'none'
        check (subscription in ('none', 'pending', 'confirmed', 'unsubscribed')),
      subscription_at timestamptz,
      last_message_at timestamptz,
      last_error text,
      confirm_origin text,
      confirm_token text,
      confirm_attempts int not null default 0,
      confirm_due_at timestamptz,
      primary key (customer_id, topic_arn),
      check ((subscription = 'pending') = (confirm_token is not null)),
      check ((confirm_token is null) = (confirm_due_at is null))
    )`.execute(db);
  await sql`
    create index ses_topic_confirm on ses_topic (confirm_due_at) where confirm_due_at is not null`.execute(
    db,
  );
  await sql`
    insert into ses_topic (customer_id, topic_arn, credential_id)
    select distinct on (topic_arn) customer_id, topic_arn, c.id
    from credential c
    cross join lateral jsonb_array_elements_text(
      case jsonb_typeof(settings->'ses'->'topicArns') when 'array' then settings->'ses'->'topicArns' else '[]' end
    ) as named(topic_arn)
    order by topic_arn, c.id`.execute(db);
  await sql`
    create table ses_asking (
      topic_arn text primary key,
      account_id text not null,
      first_at timestamptz not null default now(),
      last_at timestamptz not null default now(),
      messages int not null,
      confirm_token text,
      confirm_origin text,
      confirm_token_at timestamptz,
      check ((confirm_token is null) = (confirm_token_at is null))
    )`.execute(db);
  await sql`create index ses_asking_account on ses_asking (account_id, last_at)`.execute(db);
}

/**
 * `inbound_seen`: what was taken already, as digests of its names: the envelope's (`sns`) and each fact's (`ses`).
 * Old rows are found by a summary of ranges, which costs an insert next to nothing. `inbound_event`: facts that fit
 * no message yet and are looked for again (`waiting`) at `look_at`, and what is for a person to see.
 */
async function inbound(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table inbound_seen (
      customer_id uuid not null,
      source text not null check (source in ('sns', 'ses')),
      key bytea not null,
      at timestamptz not null default now(),
      primary key (customer_id, source, key)
    )`.execute(db);
  await sql`create index inbound_seen_at on inbound_seen using brin (at)`.execute(db);
  await sql`
    create table inbound_event (
      customer_id uuid not null,
      id uuid not null,
      source text not null check (source in ('ses')),
      status text not null check (status in ('waiting', 'matched', 'unmatched', 'odd', 'ignored')),
      reason text,
      name text,
      topic_arn text not null,
      envelope_id text not null,
      sent_at timestamptz not null,
      received_at timestamptz not null default now(),
      ses_message_id text,
      mail jsonb,
      facts jsonb,
      raw text,
      look_at timestamptz,
      primary key (customer_id, id),
      check (look_at is null or status = 'waiting')
    )`.execute(db);
  await sql`create index inbound_event_status on inbound_event (customer_id, status, id)`.execute(db);
  await sql`create index inbound_event_look on inbound_event (look_at) where look_at is not null`.execute(db);
  await sql`create index inbound_event_received on inbound_event using brin (received_at)`.execute(db);
}

/** How many soft bounces, in how many days, an address is given before it is mailed no more; null: any number. */
async function bouncePolicy(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table soft_bounce (
      customer_id uuid not null,
      address text not null,
      event_id uuid not null,
      at timestamptz not null,
      primary key (customer_id, address, event_id)
    )`.execute(db);
  await sql`
    alter table customer
      add soft_bounces int default 3 check (soft_bounces > 0),
      add soft_bounce_days int default 30 check (soft_bounce_days > 0),
      add check ((soft_bounces is null) = (soft_bounce_days is null))`.execute(db);
}
