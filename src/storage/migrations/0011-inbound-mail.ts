import { type Kysely, sql } from "kysely";

/** Mail that people send: what of it is read, and the keys it is fetched with. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table credential add aws_secret bytea`.execute(db);
  await reading(db);
  await mail(db);
  await sql`
    alter table message drop constraint message_status_check`.execute(db);
  await sql`
    alter table message add constraint message_status_check check (status in ('queued', 'suppressed', 'cancelled',
      'failed', 'uncertain', 'sent', 'rejected', 'delivered', 'bounced', 'complained', 'received'))`.execute(
    db,
  );
}

/** When the mail that a notification is about is to be read (again), and how often that was begun. */
async function reading(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table inbound_event
      add read_at timestamptz not null default now(),
      add read_attempts int not null default 0`.execute(db);
  await sql`
    create index inbound_event_read on inbound_event (read_at)
    where status = 'waiting' and name = 'Received'`.execute(db);
}

/**
 * Mail of contacts: what the inbound message `message_id` is beside its place in the conversation. `text` is what the
 * person wrote, `whole_text` with what is quoted. `html` is as it came: nothing may show it as it is.
 */
async function mail(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table inbound_mail (
      customer_id uuid not null,
      message_id uuid not null,
      inbound_event_id uuid not null,
      kind text not null check (kind in ('person', 'auto_reply', 'delivery_report')),
      answers_message_id uuid,
      matched_by text not null check (matched_by in ('reply_address', 'references', 'sender')),
      ses_message_id text not null,
      from_address text not null,
      from_name text not null,
      message_id_header text,
      mail_references text[] not null,
      text text not null,
      whole_text text not null,
      html text,
      attachments jsonb not null check (jsonb_typeof(attachments) = 'array'),
      primary key (customer_id, message_id),
      foreign key (customer_id, message_id) references message on delete cascade,
      check ((answers_message_id is null) <= (matched_by = 'sender'))
    )`.execute(db);
}
