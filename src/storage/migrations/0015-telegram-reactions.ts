import { type Kysely, sql } from "kysely";

/** What people say in Telegram to what they were sent: answers, reactions, and who they are. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await answers(db);
  await reactions(db);
  await contacts(db);
}

/** The outbound message that an inbound one answers: the one it names (`reply`), or the last before it (`sender`). */
async function answers(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table inbound_telegram
      add answers_message_id uuid,
      add matched_by text check (matched_by in ('reply', 'sender')),
      add constraint inbound_telegram_answer_check check ((answers_message_id is null) = (matched_by is null))`.execute(
    db,
  );
}

/**
 * What somebody's reactions to a message are now, inbound or outbound: none when he took them back. Telegram tells
 * their time in seconds; within one, `update_id` says which is newer.
 */
async function reactions(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table telegram_reaction (
      customer_id uuid not null,
      message_id uuid not null,
      from_id bigint not null,
      reactions text[] not null,
      at timestamptz not null,
      update_id bigint not null,
      primary key (customer_id, message_id, from_id),
      foreign key (customer_id, message_id) references message on delete cascade
    )`.execute(db);
}

/**
 * `made_by_chat`: nobody entered this contact, somebody wrote to a bot. When he says by a link who he is, the chat goes
 * over to that contact, and this one stays with what it has done, and without a chat.
 */
async function contacts(db: Kysely<unknown>): Promise<void> {
  await sql`alter table contact drop constraint contact_check`.execute(db);
  await sql`
    alter table contact
      add made_by_chat boolean not null default false,
      add constraint contact_reachable_check
        check (email is not null or telegram_chat_id is not null or made_by_chat)`.execute(db);
  await sql`
    update contact c set made_by_chat = true
    where email is null and telegram_chat_id > 0 and tags = '{}' and time_zone is null
      and attributes - array['firstName', 'lastName', 'username'] = '{}'
      and exists (
        select from message m
        where m.customer_id = c.customer_id and m.contact_id = c.id and m.direction = 'inbound'
          and m.channel = 'telegram' and m.queued_at <= c.created_at)`.execute(db);
}
