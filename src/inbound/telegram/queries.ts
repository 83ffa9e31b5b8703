import { sql } from "kysely";
import type { Db } from "../../storage/pool.ts";
import type { Answered } from "./answer-queries.ts";
import type { Entity } from "./entities.ts";
import type { Media } from "./media.ts";
import type { TelegramMessage } from "./message.ts";

/** The credential that a request names, by what proves that it is Telegram's. */
export type Webhook = { customerId: string; credentialId: string; botId: string; secretHash: Buffer };

/** @returns null when there is none */
export async function findWebhook(db: Db, credentialId: string): Promise<Webhook | null> {
  const { rows } = await sql<Webhook>`
    select customer_id as "customerId", id as "credentialId", coalesce(settings->>'botId', id::text) as "botId",
      webhook_secret_hash as "secretHash"
    from credential
    where id = ${credentialId} and webhook_secret_hash is not null and type = 'telegram'`.execute(db);
  return rows[0] ?? null;
}

/** The customer's bots, the oldest first. */
export async function selectBots(
  db: Db,
  customerId: string,
): Promise<{ credentialId: string; botUsername: string }[]> {
  const { rows } = await sql<{ credentialId: string; botUsername: string }>`
    select id as "credentialId", settings->>'botUsername' as "botUsername" from credential
    where customer_id = ${customerId} and type = 'telegram' and settings->>'botUsername' is not null
    order by id`.execute(db);
  return rows;
}

/** A chat of a customer's, with who is in it when it is a private one. */
export type ChatOf = { customerId: string; chatId: number };

export type Person = ChatOf & { contactId: string; attributes: { [name: string]: string } };

/** Gives contacts the chat that they opened by their own link; one that has a chat keeps it, and so does a chat. */
export async function linkChats(db: Db, links: readonly (ChatOf & { contactId: string })[]): Promise<void> {
  if (links.length === 0) return;
  await sql`
    update contact c set telegram_chat_id = l."chatId", updated_at = now()
    from (
      select distinct on ("customerId", "chatId") *
      from (
        select distinct on ("customerId", "contactId") * from jsonb_to_recordset(${JSON.stringify(links)}::jsonb)
          as given("customerId" uuid, "chatId" bigint, "contactId" uuid)
        order by "customerId", "contactId"
      ) as by_contact
      order by "customerId", "chatId"
    ) as l
    where c.customer_id = l."customerId" and c.id = l."contactId" and c.telegram_chat_id is null
      and not exists (
        select from contact other
        where other.customer_id = l."customerId" and other.telegram_chat_id = l."chatId")`.execute(db);
}

/** Makes a contact of everybody who is none. In one order, so that two processes do not wait for each other for ever. */
export async function makeContacts(db: Db, people: readonly Person[]): Promise<void> {
  if (people.length === 0) return;
  await sql`
    insert into contact (customer_id, id, telegram_chat_id, attributes, made_by_chat)
    select "customerId", "contactId", "chatId", attributes, true
    from jsonb_to_recordset(${JSON.stringify(people)}::jsonb)
      as p("customerId" uuid, "contactId" uuid, "chatId" bigint, attributes jsonb)
    order by "customerId", "chatId"
    on conflict (customer_id, telegram_chat_id) do nothing`.execute(db);
}

/** A group that became another chat stays the same contact, unless the new chat has one already. */
export async function migrateChats(
  db: Db,
  migrations: readonly { customerId: string; from: number; to: number }[],
): Promise<void> {
  if (migrations.length === 0) return;
  await sql`
    update contact c set telegram_chat_id = m."to", updated_at = now()
    from (
      select distinct on ("customerId", "to") *
      from jsonb_to_recordset(${JSON.stringify(migrations)}::jsonb)
        as given("customerId" uuid, "from" bigint, "to" bigint)
      order by "customerId", "to", "from"
    ) as m
    where c.customer_id = m."customerId" and c.telegram_chat_id = m."from"
      and not exists (
        select from contact other
        where other.customer_id = m."customerId" and other.telegram_chat_id = m."to")`.execute(db);
}

/** The contacts of these chats. */
export async function findContacts(
  db: Db,
  chats: readonly ChatOf[],
): Promise<(ChatOf & { contactId: string })[]> {
  if (chats.length === 0) return [];
  const { rows } = await sql<ChatOf & { contactId: string }>`
    select c.customer_id as "customerId", c.telegram_chat_id as "chatId", c.id as "contactId"
    from (
      select distinct * from jsonb_to_recordset(${JSON.stringify(chats)}::jsonb)
        as given("customerId" uuid, "chatId" bigint)
    ) as asked
    join contact c on c.customer_id = asked."customerId" and c.telegram_chat_id = asked."chatId"`.execute(db);
  return rows;
}

/** A message of a contact's, or its newest edit, and its place in the conversation. */
export type Bubble = {
  customerId: string;
  /** A new one, for when it is not there yet. */
  messageId: string;
  credentialId: string;
  botId: string;
  contactId: string;
  chatId: number;
  telegramMessageId: number;
  /** Of the message that it answers. */
  campaignId: string | null;
  answersMessageId: string | null;
  matchedBy: Answered["matchedBy"] | null;
  at: Date;
  kind: TelegramMessage["kind"];
  fromId: number | null;
  text: string | null;
  html: string | null;
  entities: Entity[];
  media: Media[];
  replyToMessageId: number | null;
  mediaGroupId: string | null;
  editedAt: Date | null;
  raw: string;
};

/**
 * Puts messages into their conversations, each once: of a message and its edits the newest counts, in whatever order
 * they come. In one order, for the same reason as contacts.
 * @param bubbles no message twice
 */
export async function saveBubbles(db: Db, bubbles: readonly Bubble[]): Promise<void> {
  if (bubbles.length === 0) return;
  await sql`
    with told as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(bubbles)}::jsonb) as b("customerId" uuid, "messageId" uuid,
        "credentialId" uuid, "botId" text, "contactId" uuid, "chatId" bigint, "telegramMessageId" bigint,
        at timestamptz, kind text, "fromId" bigint, text text, html text, entities jsonb, media jsonb,
        "replyToMessageId" bigint, "mediaGroupId" text, "editedAt" timestamptz, raw text, "campaignId" uuid,
        "answersMessageId" uuid, "matchedBy" text)
    ), saved as (
      insert into inbound_telegram as t (customer_id, message_id, credential_id, chat_id, telegram_message_id, kind,
        from_id, text, html, entities, media, reply_to_message_id, media_group_id, edited_at, raw, answers_message_id,
        matched_by)
      select "customerId", "messageId", "credentialId", "chatId", "telegramMessageId", kind, "fromId", text, html,
        entities, media, "replyToMessageId", "mediaGroupId", "editedAt", raw, "answersMessageId", "matchedBy"
      from told order by "customerId", "credentialId", "chatId", "telegramMessageId"
      on conflict (customer_id, credential_id, chat_id, telegram_message_id) do update set
        kind = excluded.kind, from_id = excluded.from_id, text = excluded.text, html = excluded.html,
        entities = excluded.entities, media = excluded.media, reply_to_message_id = excluded.reply_to_message_id,
        media_group_id = excluded.media_group_id, edited_at = excluded.edited_at, raw = excluded.raw,
        answers_message_id = excluded.answers_message_id, matched_by = excluded.matched_by
        where excluded.edited_at > coalesce(t.edited_at, '-infinity')
      returning t.customer_id, t.message_id, t.credential_id, t.chat_id, t.telegram_message_id
    ), changed as (
      update message m set campaign_id = t."campaignId"
      from told t join saved s on s.customer_id = t."customerId" and s.credential_id = t."credentialId"
        and s.chat_id = t."chatId" and s.telegram_message_id = t."telegramMessageId"
      where m.customer_id = s.customer_id and m.id = s.message_id and m.campaign_id is distinct from t."campaignId"
    )
    insert into message (customer_id, id, direction, channel, campaign_id, contact_id, credential_id, to_address,
      status, queued_at, sent_at)
    select t."customerId", t."messageId", 'inbound', 'telegram', t."campaignId", t."contactId", t."credentialId",
      t."botId", 'received', t.at, t.at
    from told t join saved s on s.customer_id = t."customerId" and s.message_id = t."messageId"`.execute(db);
}

export type MessageOf = ChatOf & { credentialId: string; telegramMessageId: number };

/** Which messages of ours these are. */
export async function findBubbles(
  db: Db,
  asked: readonly MessageOf[],
): Promise<(MessageOf & { messageId: string })[]> {
  if (asked.length === 0) return [];
  const { rows } = await sql<MessageOf & { messageId: string }>`
    select t.customer_id as "customerId", t.credential_id as "credentialId", t.chat_id as "chatId",
      t.telegram_message_id as "telegramMessageId", t.message_id as "messageId"
    from jsonb_to_recordset(${JSON.stringify(asked)}::jsonb)
      as a("customerId" uuid, "credentialId" uuid, "chatId" bigint, "telegramMessageId" bigint)
    join inbound_telegram t on t.customer_id = a."customerId" and t.credential_id = a."credentialId"
      and t.chat_id = a."chatId" and t.telegram_message_id = a."telegramMessageId"`.execute(db);
  return rows;
}

/** `messageId`: by which he says so, or whose button he pressed. */
export type Stopped = ChatOf & {
  contactId: string | null;
  eventId: string;
  messageId: string | null;
  at: Date;
};

/** Somebody wants nothing more in a chat; what was said before that was taken back does nothing. */
export async function suppressStopped(db: Db, stopped: readonly Stopped[]): Promise<void> {
  if (stopped.length === 0) return;
  await sql`
    insert into suppression (customer_id, channel, address, reason, contact_id, message_id, event_id, created_at)
    select distinct on (s."customerId", s."chatId") s."customerId", 'telegram', s."chatId"::text, 'unsubscribe',
      s."contactId", s."messageId", s."eventId", s.at
    from jsonb_to_recordset(${JSON.stringify(stopped)}::jsonb) as s("customerId" uuid, "chatId" bigint,
      "contactId" uuid, "messageId" uuid, "eventId" uuid, at timestamptz)
    left join suppression_lift l on l.customer_id = s."customerId" and l.channel = 'telegram'
      and l.address = s."chatId"::text and l.reason = 'unsubscribe' and l.lifted_at >= s.at
    where l.customer_id is null
    order by s."customerId", s."chatId", s.at
    on conflict (customer_id, channel, address, reason) do nothing`.execute(db);
}

/** An update that becomes nothing else, for a person to see; or not yet, and is looked at again (`waiting`). */
export type KeptUpdate = {
  id: string;
  customerId: string;
  credentialId: string;
  updateId: number;
  name: string;
  status: "waiting" | "unmatched" | "odd" | "ignored";
  reason: string | null;
  sentAt: Date;
  raw: string;
};

export async function keepUpdates(db: Db, kept: readonly KeptUpdate[]): Promise<void> {
  if (kept.length === 0) return;
  await sql`
    insert into inbound_event (customer_id, id, source, status, reason, name, credential_id, envelope_id, sent_at, raw,
      look_at)
    select "customerId", id, 'telegram', status, reason, name, "credentialId", "updateId", "sentAt", raw,
      case status when 'waiting' then now() + interval '1 second' end
    from jsonb_to_recordset(${JSON.stringify(kept)}::jsonb) as k("customerId" uuid, id uuid, status text, reason text,
      name text, "credentialId" uuid, "updateId" text, "sentAt" timestamptz, raw text)`.execute(db);
}
