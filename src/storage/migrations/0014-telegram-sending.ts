import { type Kysely, sql } from "kysely";

/** Messages of bots: what was sent into which chat. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await nodes(db);
  await resting(db);
  await outboundTelegram(db);
}

/** Beside the settings, because those of an email may have a megabyte, and every begun run asks for the channel. */
async function nodes(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table campaign_node add channel text
      generated always as (case type when 'message' then coalesce(settings ->> 'channel', 'email') end) stored`.execute(
    db,
  );
}

/** Until when a bot has been told to send nothing (429), whichever process sends for it. */
async function resting(db: Kysely<unknown>): Promise<void> {
  await sql`alter table credential add rests_until timestamptz`.execute(db);
}

/**
 * What the outbound message `message_id` is in its chat: it is there before its event is, so that an answer that
 * comes at once finds it. Telegram numbers messages by chat, and another bot of the same person numbers its own.
 */
async function outboundTelegram(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table outbound_telegram (
      customer_id uuid not null,
      message_id uuid not null,
      credential_id uuid not null,
      chat_id bigint not null,
      telegram_message_id bigint not null,
      html text not null,
      photo text,
      keyboard jsonb not null check (jsonb_typeof(keyboard) = 'array'),
      sent_at timestamptz not null,
      primary key (customer_id, message_id),
      unique (customer_id, credential_id, chat_id, telegram_message_id),
      foreign key (customer_id, message_id) references message on delete cascade
    )`.execute(db);
}
