import { type Kysely, sql } from "kysely";

/** Bots: the secret that Telegram proves itself with, and what people write to them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await credentials(db);
  await inbound(db);
  await messages(db);
}

/**
 * `webhook_secret`: what Telegram sends along, sealed; `webhook_secret_hash`: its SHA-256. A request names the credential and no customer, so it
 * is found by its id alone.
 */
async function credentials(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table credential
      add webhook_secret bytea,
      add webhook_secret_hash bytea check (octet_length(webhook_secret_hash) = 32)`.execute(db);
  await sql`create unique index credential_webhook on credential (id) where webhook_secret_hash is not null`.execute(
    db,
  );
  // A bot has one webhook: two credentials of it would take it from each other.
  await sql`
    create unique index credential_bot on credential (customer_id, (settings ->> 'botId')) where type = 'telegram'`.execute(
    db,
  );
}

/** What is taken already and what is kept may be Telegram's: updates, named by their number, of a credential. */
async function inbound(db: Kysely<unknown>): Promise<void> {
  await sql`alter table inbound_seen drop constraint inbound_seen_source_check`.execute(db);
  await sql`
    alter table inbound_seen add constraint inbound_seen_source_check check (source in ('sns', 'ses', 'telegram'))`.execute(
    db,
  );
  await sql`alter table inbound_event drop constraint inbound_event_source_check`.execute(db);
  await sql`
    alter table inbound_event
      alter topic_arn drop not null,
      add credential_id uuid,
      add constraint inbound_event_source_check check (source in ('ses', 'telegram')),
      add constraint inbound_event_origin_check
        check (case source when 'ses' then topic_arn is not null else credential_id is not null end)`.execute(
    db,
  );
}

/**
 * What the inbound message `message_id` is beside its place in the conversation. Telegram numbers messages by chat. An
 * edit that comes late does not undo a later one: `edited_at` says which is newer. `raw` is the update as it came, as
 * text: it may hold what jsonb does not take.
 */
async function messages(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table inbound_telegram (
      customer_id uuid not null,
      message_id uuid not null,
      credential_id uuid not null,
      chat_id bigint not null,
      telegram_message_id bigint not null,
      kind text not null check (kind in ('text', 'photo', 'animation', 'audio', 'document', 'sticker', 'video',
        'video_note', 'voice', 'contact', 'location', 'other')),
      from_id bigint,
      text text,
      html text,
      entities jsonb not null check (jsonb_typeof(entities) = 'array'),
      media jsonb not null check (jsonb_typeof(media) = 'array'),
      reply_to_message_id bigint,
      media_group_id text,
      edited_at timestamptz,
      raw text not null,
      primary key (customer_id, message_id),
      unique (customer_id, credential_id, chat_id, telegram_message_id),
      foreign key (customer_id, message_id) references message on delete cascade
    )`.execute(db);
}
