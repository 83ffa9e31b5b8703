import { type Kysely, sql } from "kysely";

/** Conversations with contacts: who writes, who has read it, who is to answer, and what was answered. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await messages(db);
  await conversations(db);
  await replies(db);
  await fill(db);
}

/**
 * A conversation shows what people wrote to each other and what of campaigns was sent, in the order in which it was said.
 * What nobody has read is counted by id, which is when EDGR learnt of it: a mail that comes late is unread.
 */
async function messages(db: Kysely<unknown>): Promise<void> {
  await sql`
    create index message_conversation on message (customer_id, contact_id, (coalesce(sent_at, queued_at)), id)
    where sent_at is not null or campaign_id is null`.execute(db);
  await sql`
    create index message_inbound on message (customer_id, contact_id, channel, id)
    where direction = 'inbound'`.execute(db);
  // What people at a keyboard wrote goes before campaigns.
  await sql`
    create index message_reply_queue on message (customer_id, credential_id, due_at)
    where status = 'queued' and claimed_by is null and campaign_id is null`.execute(db);
}

/**
 * One for each contact that wrote, or was written to by a person; its id is the contact's. `last_…` is the last such
 * message: campaigns bring no conversation to the top. `unread` is how many of the contact's messages are newer than
 * `read_up_to`, counted up to 1000.
 */
async function conversations(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table conversation (
      customer_id uuid not null,
      contact_id uuid not null,
      status text not null default 'open' check (status in ('open', 'closed')),
      assignee text,
      unread int not null default 0 check (unread between 0 and 1000),
      read_up_to uuid,
      last_message_id uuid,
      last_message_at timestamptz,
      last_direction text check (last_direction in ('inbound', 'outbound')),
      last_channel text check (last_channel in ('email', 'telegram')),
      primary key (customer_id, contact_id),
      foreign key (customer_id, contact_id) references contact on delete cascade,
      check (num_nulls(last_message_id, last_message_at, last_direction, last_channel) in (0, 4))
    )`.execute(db);
  // Each for one question; one that does not ask for a status reads both ends.
  const inOrder = sql`status, last_message_at, contact_id`;
  const isListed = sql`where last_message_id is not null`;
  await sql`
    create index conversation_status on conversation (customer_id, ${inOrder}) ${isListed}`.execute(db);
  await sql`
    create index conversation_assignee on conversation (customer_id, assignee, ${inOrder}) ${isListed}`.execute(
    db,
  );
  await sql`
    create index conversation_channel on conversation (customer_id, last_channel, ${inOrder}) ${isListed}`.execute(
    db,
  );
  await sql`
    create index conversation_unread on conversation (customer_id, ${inOrder}) ${isListed} and unread > 0`.execute(
    db,
  );
}

/** What somebody at a keyboard wrote, and what he answered: a message of ours, and that one's name in its channel. */
async function replies(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table conversation_reply (
      customer_id uuid not null,
      message_id uuid not null,
      text text not null,
      subject text,
      author text,
      answers_message_id uuid,
      in_reply_to text,
      reference_ids text[] not null default '{}',
      telegram_reply_to bigint,
      primary key (customer_id, message_id),
      foreign key (customer_id, message_id) references message on delete cascade
    )`.execute(db);
}

/** Whoever wrote before there were conversations has one that is open and that nobody has read. */
async function fill(db: Kysely<unknown>): Promise<void> {
  await sql`
    insert into conversation (customer_id, contact_id, unread, last_message_id, last_message_at, last_direction,
      last_channel)
    select distinct on (m.customer_id, m.contact_id) m.customer_id, m.contact_id,
      least(1000, count(*) over (partition by m.customer_id, m.contact_id)), m.id, coalesce(m.sent_at, m.queued_at),
      m.direction, m.channel
    from message m
    join contact c on c.customer_id = m.customer_id and c.id = m.contact_id
    left join inbound_mail i on i.customer_id = m.customer_id and i.message_id = m.id
    where m.direction = 'inbound' and coalesce(i.kind, 'person') = 'person'
    order by m.customer_id, m.contact_id, coalesce(m.sent_at, m.queued_at) desc, m.id desc`.execute(db);
}
