import { sql } from "kysely";
import type { Json } from "../events/event.ts";
import type { MessageStatus } from "../messages/status.ts";
import type { Db } from "../storage/pool.ts";
import { microsOf, momentOf } from "./conversation-queries.ts";
import type { Place } from "./cursor.ts";

/** A message of a conversation with what its channel knows of it. `media` and `keyboard` are as they are stored. */
export type Said = {
  id: string;
  direction: "inbound" | "outbound";
  channel: "email" | "telegram";
  at: Date;
  status: MessageStatus;
  error: string | null;
  to: string;
  credentialId: string;
  author: string | null;
  from: { address: string; name: string } | null;
  subject: string | null;
  text: string | null;
  html: string | null;
  hasHtml: boolean;
  isAutomatic: boolean;
  media: unknown;
  photo: string | null;
  attachments: { name: string | null; contentType: string; bytes: number }[];
  keyboard: unknown;
  reactions: { fromId: number; reactions: string[]; at: string }[];
  replyToMessageId: string | null;
  mediaGroupId: string | null;
  editedAt: Date | null;
  campaignId: string | null;
  nodeId: string | null;
  runId: string | null;
};

const LISTED_CHARS = 10_000;
const MAX_REACTIONS = 100;
const moment = sql`coalesce(sent_at, queued_at)`;
const messageColumns = sql`customer_id, id, direction, channel, contact_id, credential_id, campaign_id, node_id, run_id,
  to_address, subject, status, error, sent_at, queued_at`;

/** Telegram's number of a message, in its chat, as the message of ours that it is. */
const numbered = (number: string) => {
  const chat = (table: string) => sql`
    select x.message_id from ${sql.table(table)} x
    where x.customer_id = m.customer_id and x.credential_id = t.credential_id and x.chat_id = t.chat_id
      and x.telegram_message_id = ${sql.ref(number)}`;
  return sql`coalesce((${chat("outbound_telegram")}), (${chat("inbound_telegram")}))`;
};

/** What the reactions to message `m` are now, those that were taken back left out. */
export const reactionsOf = sql`coalesce((
  select jsonb_agg(jsonb_build_object('fromId', e.from_id, 'reactions', e.reactions, 'at',
    to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by e.at, e.from_id)
  from (
    select from_id, reactions, at from telegram_reaction
    where customer_id = m.customer_id and message_id = m.id and reactions <> '{}'
    limit ${MAX_REACTIONS}
  ) as e), '[]')`;

/**
 * What was said in a conversation, the newest first, one more than the page holds: what the contact wrote and people
 * answered, whatever became of it, and of campaigns what was sent.
 */
export async function selectSaid(
  db: Db,
  customerId: string,
  contactId: string,
  { limit, cursor }: { limit: number; cursor: Place | null },
): Promise<(Said & { place: Place })[]> {
  const after =
    cursor === null ? sql`` : sql`and (${moment}, id) < (${momentOf(cursor)}, ${cursor.id}::uuid)`;
  return select(
    db,
    sql`
      select ${messageColumns} from message
      where customer_id = ${customerId} and contact_id = ${contactId}
        and (sent_at is not null or campaign_id is null) ${after}
      order by ${moment} desc, id desc limit ${limit + 1}`,
  );
}

export async function findSaid(db: Db, customerId: string, messageId: string): Promise<Said | null> {
  const found = await select(
    db,
    sql`select ${messageColumns} from message where customer_id = ${customerId} and id = ${messageId}`,
  );
  return found[0] ?? null;
}

async function select(db: Db, messages: ReturnType<typeof sql>): Promise<(Said & { place: Place })[]> {
  const { rows } = await sql<Said & { micros: string }>`
    select m.id, m.direction, m.channel, coalesce(m.sent_at, m.queued_at) as at, m.status, m.error,
      m.to_address as "to", m.credential_id as "credentialId", r.author,
      case when i.message_id is not null then jsonb_build_object('address', i.from_address, 'name', i.from_name) end as "from",
      coalesce(r.subject, m.subject) as subject, left(coalesce(t.text, i.text, r.text), ${LISTED_CHARS}) as text,
      coalesce(t.html, o.html) as html, coalesce(i.html is not null, false) as "hasHtml",
      coalesce(i.kind <> 'person', false) as "isAutomatic", coalesce(t.media, '[]') as media, o.photo,
      coalesce(i.attachments, '[]') as attachments, coalesce(o.keyboard, '[]') as keyboard, ${reactionsOf} as reactions,
      coalesce(r.answers_message_id, case when i.matched_by <> 'sender' then i.answers_message_id end,
        case when t.reply_to_message_id is not null then ${numbered("t.reply_to_message_id")} end) as "replyToMessageId",
      t.media_group_id as "mediaGroupId", t.edited_at as "editedAt", m.campaign_id as "campaignId",
      m.node_id as "nodeId", m.run_id as "runId",
      ${microsOf(sql`coalesce(m.sent_at, m.queued_at)`)} as micros
    from (${messages}) as m
    left join inbound_telegram t on t.customer_id = m.customer_id and t.message_id = m.id
    left join inbound_mail i on i.customer_id = m.customer_id and i.message_id = m.id
    left join conversation_reply r on r.customer_id = m.customer_id and r.message_id = m.id
    left join outbound_telegram o on o.customer_id = m.customer_id and o.message_id = m.id
    order by coalesce(m.sent_at, m.queued_at) desc, m.id desc`.execute(db);
  return rows.map(({ micros, ...said }) => ({ ...said, place: { micros, id: said.id } }));
}

/** What somebody wrote to a bot, as it is stored. */
export type StoredTelegram = {
  messageId: string;
  kind: string;
  fromId: number | null;
  chatId: number;
  telegramMessageId: number;
  text: string | null;
  html: string | null;
  media: Json;
  answersMessageId: string | null;
  matchedBy: "reply" | "sender" | null;
  mediaGroupId: string | null;
  editedAt: Date | null;
  reactions: { fromId: number; reactions: string[]; at: string }[];
};

/** What of these messages somebody wrote to a bot, by message. */
export async function findReceivedTelegrams(
  db: Db,
  customerId: string,
  messageIds: readonly string[],
): Promise<StoredTelegram[]> {
  if (messageIds.length === 0) return [];
  const { rows } = await sql<StoredTelegram>`
    select m.id as "messageId", t.kind, t.from_id as "fromId", t.chat_id as "chatId",
      t.telegram_message_id as "telegramMessageId", t.text, t.html, t.media, t.answers_message_id as "answersMessageId",
      t.matched_by as "matchedBy", t.media_group_id as "mediaGroupId", t.edited_at as "editedAt",
      ${reactionsOf} as reactions
    from unnest(${messageIds}::uuid[]) as asked(id)
    join message m on m.customer_id = ${customerId} and m.id = asked.id
    join inbound_telegram t on t.customer_id = m.customer_id and t.message_id = m.id`.execute(db);
  return rows;
}
