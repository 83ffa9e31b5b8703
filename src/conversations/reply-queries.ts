import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import type { StoredReply } from "./compose-reply.ts";
import type { Channel } from "./conversation-queries.ts";
import { isByPerson } from "./unread-queries.ts";

/** What this outbound message says; null when nobody at a keyboard wrote it. */
export async function findReply(db: Db, customerId: string, messageId: string): Promise<StoredReply | null> {
  const { rows } = await sql<StoredReply>`
    select m.channel, r.text, r.subject, r.in_reply_to as "inReplyTo", r.reference_ids as "references",
      r.telegram_reply_to as "telegramReplyTo"
    from conversation_reply r
    join message m on m.customer_id = r.customer_id and m.id = r.message_id
    where r.customer_id = ${customerId} and r.message_id = ${messageId}`.execute(db);
  return rows[0] ?? null;
}

/** Where a contact can be written to; null without the contact, which stays as it is until the transaction ends. */
export async function holdAddresses(
  db: Db,
  customerId: string,
  contactId: string,
): Promise<{ email: string | null; telegramChatId: number | null } | null> {
  const { rows } = await sql<{ email: string | null; telegramChatId: number | null }>`
    select email, telegram_chat_id as "telegramChatId" from contact
    where customer_id = ${customerId} and id = ${contactId} for key share`.execute(db);
  return rows[0] ?? null;
}

/** A message of a conversation that can be answered. `mail` and `chat` are of its channel, where EDGR knows them. */
export type Answerable = {
  messageId: string;
  direction: "inbound" | "outbound";
  channel: Channel;
  credentialId: string;
  mail: { from: string; subject: string | null; messageId: string | null; references: string[] } | null;
  chat: { credentialId: string; chatId: number; number: number } | null;
};

const answerable = sql`
  m.id as "messageId", m.direction, m.channel, m.credential_id as "credentialId",
  case when i.message_id is not null then jsonb_build_object('from', i.from_address, 'subject', m.subject,
    'messageId', i.message_id_header, 'references', to_jsonb(i.mail_references)) end as mail,
  case when t.message_id is not null then jsonb_build_object('credentialId', t.credential_id, 'chatId', t.chat_id,
    'number', t.telegram_message_id) end as chat`;

const ofChannel = sql`
  left join inbound_mail i on i.customer_id = m.customer_id and i.message_id = m.id
  left join (
    select customer_id, message_id, credential_id, chat_id, telegram_message_id from inbound_telegram
    union all
    select customer_id, message_id, credential_id, chat_id, telegram_message_id from outbound_telegram
  ) as t on t.customer_id = m.customer_id and t.message_id = m.id`;

export async function findAnswerable(
  db: Db,
  customerId: string,
  contactId: string,
  messageId: string,
): Promise<Answerable | null> {
  const { rows } = await sql<Answerable>`
    select ${answerable}
    from message m ${ofChannel}
    where m.customer_id = ${customerId} and m.id = ${messageId} and m.contact_id = ${contactId}`.execute(db);
  return rows[0] ?? null;
}

/** What the contact wrote last in each channel, the newest first; what machines wrote in a person's place is left out. */
export async function findLastReceived(db: Db, customerId: string, contactId: string): Promise<Answerable[]> {
  const { rows } = await sql<Answerable>`
    select ${answerable}
    from unnest(array['email', 'telegram']) as asked(channel)
    cross join lateral (
      select * from message n
      where n.customer_id = ${customerId} and n.contact_id = ${contactId} and n.channel = asked.channel
        and n.direction = 'inbound' and ${isByPerson("n")}
      order by n.id desc limit 1
    ) as m
    ${ofChannel}
    order by coalesce(m.sent_at, m.queued_at) desc, m.id desc`.execute(db);
  return rows;
}

export type Sender = { id: string; isDisabled: boolean };

/**
 * The credentials that messages of a channel can go through: this one, or all, two at most. They stay until the
 * transaction ends.
 */
export async function holdSenders(
  db: Db,
  customerId: string,
  channel: Channel,
  credentialId: string | null,
): Promise<Sender[]> {
  const { rows } = await sql<Sender>`
    select id, status = 'disabled' as "isDisabled" from credential
    where customer_id = ${customerId} and type = ${channel === "email" ? "smtp" : "telegram"}
      and (${credentialId}::uuid is null or id = ${credentialId}::uuid)
    order by id limit 2 for key share`.execute(db);
  return rows;
}

export type QueuedReply = {
  messageId: string;
  contactId: string;
  channel: Channel;
  credentialId: string;
  to: string;
  text: string;
  subject: string | null;
  author: string | null;
  answersMessageId: string | null;
  inReplyTo: string | null;
  references: string[];
  telegramReplyTo: number | null;
};

/** Queues an answer to be sent at once. */
export async function insertReply(db: Db, customerId: string, reply: QueuedReply): Promise<void> {
  await sql`
    insert into message (customer_id, id, direction, channel, contact_id, credential_id, to_address, subject)
    values (${customerId}, ${reply.messageId}, 'outbound', ${reply.channel}, ${reply.contactId}, ${reply.credentialId},
      ${reply.to}, ${reply.subject})`.execute(db);
  await sql`
    insert into conversation_reply (customer_id, message_id, text, subject, author, answers_message_id, in_reply_to,
      reference_ids, telegram_reply_to)
    values (${customerId}, ${reply.messageId}, ${reply.text}, ${reply.subject}, ${reply.author},
      ${reply.answersMessageId}, ${reply.inReplyTo}, ${reply.references}::text[], ${reply.telegramReplyTo})`.execute(
    db,
  );
}
