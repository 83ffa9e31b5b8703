import { type RawBuilder, sql } from "kysely";
import type { MessageStatus } from "../messages/status.ts";
import type { Db } from "../storage/pool.ts";
import type { Place } from "./cursor.ts";
import { countUnread, isByPerson } from "./unread-queries.ts";

export type Channel = "email" | "telegram";
export type ConversationStatus = "open" | "closed";

export type Conversation = {
  id: string;
  email: string | null;
  telegramChatId: number | null;
  firstName: string | null;
  lastName: string | null;
  otherName: string | null;
  status: ConversationStatus;
  assignee: string | null;
  unread: number;
  lastMessage: {
    id: string;
    direction: "inbound" | "outbound";
    channel: Channel;
    at: Date;
    status: MessageStatus;
    subject: string | null;
    text: string | null;
  } | null;
};

type Row = Omit<Conversation, "lastMessage"> & {
  lastId: string | null;
  lastDirection: "inbound" | "outbound";
  lastChannel: Channel;
  lastAt: Date;
  lastStatus: MessageStatus;
  lastSubject: string | null;
  lastText: string | null;
};

/** `assignee`: null for nobody. What is not given is not asked. */
export type ConversationFilter = {
  status?: ConversationStatus | undefined;
  assignee?: string | null | undefined;
  channel?: Channel | undefined;
  isUnread: boolean;
};

const SNIPPET_CHARS = 200;

/** A string attribute of a contact, as much of it as a name may have. */
const attribute = (name: string) =>
  sql`case when jsonb_typeof(ct.attributes->${name}) = 'string' then left(ct.attributes->>${name}, 256) end`;

/** Of a contact `ct`, its conversation `c`, should there be one yet, and that one's last message. */
const columns = sql`ct.id, ct.email, ct.telegram_chat_id as "telegramChatId", ${attribute("firstName")} as "firstName",
  ${attribute("lastName")} as "lastName", coalesce(${attribute("name")}, ${attribute("username")}) as "otherName",
  coalesce(c.status, 'open') as status, c.assignee, coalesce(c.unread, 0) as unread, m.id as "lastId",
  m.direction as "lastDirection", m.channel as "lastChannel", c.last_message_at as "lastAt", m.status as "lastStatus",
  coalesce(r.subject, m.subject) as "lastSubject", left(coalesce(t.text, i.text, r.text), ${SNIPPET_CHARS}) as "lastText"`;

const lastMessage = sql`
  left join message m on m.customer_id = c.customer_id and m.id = c.last_message_id
  left join inbound_telegram t on t.customer_id = m.customer_id and t.message_id = m.id
  left join inbound_mail i on i.customer_id = m.customer_id and i.message_id = m.id
  left join conversation_reply r on r.customer_id = m.customer_id and r.message_id = m.id`;

/** Those with the newest message first, one more than the page holds. Every filter has an index in that order, by status. */
export async function selectConversations(
  db: Db,
  customerId: string,
  filter: ConversationFilter,
  page: { limit: number; cursor: Place | null },
): Promise<(Conversation & { place: Place })[]> {
  const newest = sql`order by last_message_at desc, contact_id desc limit ${page.limit + 1}`;
  const { rows } = await sql<Row & { micros: string }>`
    select ${columns}, ${microsOf(sql`c.last_message_at`)} as micros
    from (
      select found.* from unnest(${filter.status === undefined ? ["open", "closed"] : [filter.status]}::text[]) as asked
      cross join lateral (
        select customer_id, contact_id, status, assignee, unread, last_message_id, last_message_at
        from conversation
        where ${sql.join(conditions(customerId, filter, page.cursor), sql` and `)} and status = asked ${newest}
      ) as found ${newest}
    ) as c
    join contact ct on ct.customer_id = c.customer_id and ct.id = c.contact_id
    ${lastMessage}
    order by c.last_message_at desc, c.contact_id desc`.execute(db);
  return rows.map(({ micros, ...row }) => ({ ...toConversation(row), place: { micros, id: row.id } }));
}

function conditions(
  customerId: string,
  { assignee, channel, isUnread }: ConversationFilter,
  cursor: Place | null,
): RawBuilder<unknown>[] {
  return [
    sql`customer_id = ${customerId}`,
    sql`last_message_id is not null`,
    ...(channel === undefined ? [] : [sql`last_channel = ${channel}`]),
    ...(assignee === undefined
      ? []
      : [assignee === null ? sql`assignee is null` : sql`assignee = ${assignee}`]),
    ...(isUnread ? [sql`unread > 0`] : []),
    ...(cursor === null
      ? []
      : [sql`(last_message_at, contact_id) < (${momentOf(cursor)}, ${cursor.id}::uuid)`]),
  ];
}

/** A place's time as it travels in a cursor. */
export function microsOf(moment: RawBuilder<unknown>) {
  return sql`(extract(epoch from ${moment}) * 1000000)::bigint::text`;
}

/** Exactly: a number of seconds could not name every microsecond. */
export function momentOf({ micros }: Place) {
  return sql`(timestamptz 'epoch' + ${micros}::bigint * interval '1 microsecond')`;
}

/** The conversation with a contact, who may have none yet: it is open then. Null without the contact. */
export async function findConversation(db: Db, customerId: string, id: string): Promise<Conversation | null> {
  const { rows } = await sql<Row>`
    select ${columns}
    from contact ct
    left join conversation c on c.customer_id = ct.customer_id and c.contact_id = ct.id
    ${lastMessage}
    where ct.customer_id = ${customerId} and ct.id = ${id}`.execute(db);
  return rows[0] === undefined ? null : toConversation(rows[0]);
}

/**
 * Keeps the contact from being deleted or merged until the transaction ends. To be called before anything is written
 * of a conversation: who merges two holds their contacts first, too.
 * @returns false when there is none
 */
export async function holdContact(db: Db, customerId: string, id: string): Promise<boolean> {
  const { rows } = await sql`
    select from contact where customer_id = ${customerId} and id = ${id} for key share`.execute(db);
  return rows.length > 0;
}

/** What is not given stays; `assignee`: null for nobody. */
export type ConversationChange = {
  status?: ConversationStatus | undefined;
  assignee?: string | null | undefined;
};

/** @param db a transaction that holds the contact */
export async function changeConversation(
  db: Db,
  customerId: string,
  id: string,
  { status, assignee }: ConversationChange,
): Promise<void> {
  await sql`
    insert into conversation as c (customer_id, contact_id, status, assignee)
    values (${customerId}, ${id}, coalesce(${status ?? null}, 'open'), ${assignee ?? null})
    on conflict (customer_id, contact_id) do update set
      status = coalesce(${status ?? null}, c.status),
      assignee = case when ${assignee === undefined} then c.assignee else excluded.assignee end`.execute(db);
}

/** What a person wrote last, or next to last, as EDGR learnt of it; null when there is none. */
const receivedFromLast = (place: 0 | 1) => sql`(
  select n.id from unnest(array['email', 'telegram']) as asked(channel)
  cross join lateral (
    select m.id from message m
    where m.customer_id = c.customer_id and m.contact_id = c.contact_id and m.channel = asked.channel
      and m.direction = 'inbound' and ${isByPerson("m")}
    order by m.id desc limit ${place + 1}
  ) as n
  order by n.id desc offset ${place} limit 1)`;

/**
 * Marks what is there, or was there when this message was, as read; what was read stays read.
 * @param db a transaction
 */
export async function markRead(
  db: Db,
  customerId: string,
  ids: readonly string[],
  messageId: string | null,
): Promise<void> {
  await setMark(
    db,
    customerId,
    ids,
    sql`greatest(c.read_up_to, coalesce(${messageId}::uuid, ${receivedFromLast(0)}))`,
  );
}

/**
 * Makes what the contact wrote last unread again.
 * @param db a transaction
 */
export async function markUnread(db: Db, customerId: string, id: string): Promise<void> {
  const before = receivedFromLast(1);
  const mark = sql`case when c.read_up_to is null or c.read_up_to < ${before} then c.read_up_to else ${before} end`;
  await setMark(db, customerId, [id], mark);
}

async function setMark(
  db: Db,
  customerId: string,
  ids: readonly string[],
  mark: RawBuilder<unknown>,
): Promise<void> {
  await holdConversations(db, customerId, ids);
  await sql`
    update conversation c set read_up_to = ${mark}
    where c.customer_id = ${customerId} and c.contact_id = any (${ids}::uuid[])`.execute(db);
  await sql`
    update conversation c set unread = ${countUnread("c")}
    where c.customer_id = ${customerId} and c.contact_id = any (${ids}::uuid[])`.execute(db);
}

/** In one order, as the projector does, so that nobody waits for another in a circle. */
async function holdConversations(db: Db, customerId: string, ids: readonly string[]): Promise<void> {
  await sql`
    select from conversation where customer_id = ${customerId} and contact_id = any (${ids}::uuid[])
    order by contact_id for update`.execute(db);
}

/**
 * Changes those of these conversations that there are.
 * @param db a transaction
 * @returns how many
 */
export async function changeConversations(
  db: Db,
  customerId: string,
  ids: readonly string[],
  { status, assignee }: ConversationChange,
): Promise<number> {
  await holdConversations(db, customerId, ids);
  const result = await sql`
    update conversation
    set status = coalesce(${status ?? null}, status),
      assignee = case when ${assignee === undefined} then assignee else ${assignee ?? null} end
    where customer_id = ${customerId} and contact_id = any (${ids}::uuid[])`.execute(db);
  return Number(result.numAffectedRows ?? 0);
}

/** Whether this message is of the contact's conversation. */
export async function isInConversation(
  db: Db,
  customerId: string,
  contactId: string,
  messageId: string,
): Promise<boolean> {
  const { rows } = await sql`
    select from message
    where customer_id = ${customerId} and id = ${messageId} and contact_id = ${contactId}`.execute(db);
  return rows.length > 0;
}

function toConversation(row: Row): Conversation {
  const { lastId, lastDirection, lastChannel, lastAt, lastStatus, lastSubject, lastText, ...rest } = row;
  if (lastId === null) return { ...rest, lastMessage: null };
  const last = { direction: lastDirection, channel: lastChannel, at: lastAt, status: lastStatus };
  return { ...rest, lastMessage: { id: lastId, ...last, subject: lastSubject, text: lastText } };
}
