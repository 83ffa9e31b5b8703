import { sql } from "kysely";
import type { Json } from "../events/event.ts";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import { MAX_ATTRIBUTES_BYTES, MAX_TAGS } from "./schema.ts";

export type Contact = {
  id: string;
  email: string | null;
  telegramChatId: number | null;
  timeZone: string | null;
  attributes: { [key: string]: Json };
  tags: string[];
  createdAt: Date;
  updatedAt: Date;
};

export type ContactFields = Omit<Contact, "createdAt" | "updatedAt">;

export type Rival = Pick<Contact, "id" | "email" | "telegramChatId">;

export type BulkRow = ContactFields & { email: string };

export type BulkOutcome = "created" | "updated" | "chat_taken" | "too_much";

const columns = sql`id, email, telegram_chat_id as "telegramChatId", time_zone as "timeZone", attributes, tags,
  created_at as "createdAt", updated_at as "updatedAt"`;

/** @returns null when its email or its chat belongs to another contact */
export async function insertContact(
  db: Db,
  customerId: string,
  contact: ContactFields,
): Promise<Contact | null> {
  const { rows } = await sql<Contact>`
    insert into contact (customer_id, id, email, telegram_chat_id, time_zone, attributes, tags)
    values (${customerId}, ${contact.id}, ${contact.email}, ${contact.telegramChatId}, ${contact.timeZone},
      ${JSON.stringify(contact.attributes)}::jsonb, ${contact.tags}::text[])
    on conflict do nothing
    returning ${columns}`.execute(db);
  return rows[0] ?? null;
}

/** Contacts other than this one that have its email, in whatever case, or its chat. */
export async function findRivals(db: Db, customerId: string, contact: Rival): Promise<Rival[]> {
  const { rows } = await sql<Rival>`
    select id, email, telegram_chat_id as "telegramChatId" from contact
    where customer_id = ${customerId} and id <> ${contact.id}
      and (lower(email) = lower(${contact.email}) or telegram_chat_id = ${contact.telegramChatId})`.execute(
    db,
  );
  return rows;
}

export async function findContact(db: Db, customerId: string, id: string): Promise<Contact | null> {
  const { rows } = await sql<Contact>`
    select ${columns} from contact where customer_id = ${customerId} and id = ${id}`.execute(db);
  return rows[0] ?? null;
}

/** The contact with its row locked, so that a change made of what was read loses no other change. */
export async function lockContact(db: Db, customerId: string, id: string): Promise<Contact | null> {
  const { rows } = await sql<Contact>`
    select ${columns} from contact where customer_id = ${customerId} and id = ${id} for update`.execute(db);
  return rows[0] ?? null;
}

/** Writes every field of a contact as it is given. */
export async function saveContact(
  db: Db,
  customerId: string,
  contact: ContactFields,
): Promise<Contact | null> {
  const { rows } = await sql<Contact>`
    update contact set email = ${contact.email}, telegram_chat_id = ${contact.telegramChatId},
      time_zone = ${contact.timeZone}, attributes = ${JSON.stringify(contact.attributes)}::jsonb,
      tags = ${contact.tags}::text[], updated_at = now()
    where customer_id = ${customerId} and id = ${contact.id}
    returning ${columns}`.execute(db);
  return rows[0] ?? null;
}

export async function deleteContact(db: Db, customerId: string, id: string): Promise<boolean> {
  const { rows } = await sql`
    delete from contact where customer_id = ${customerId} and id = ${id} returning id`.execute(db);
  return rows.length === 1;
}

/** Newest first, one more than the page holds. */
export async function selectContacts(
  db: Db,
  customerId: string,
  filter: { email: string | null; tag: string | null },
  page: Page,
): Promise<Contact[]> {
  const { rows } = await sql<Contact>`
    select ${columns} from contact
    where customer_id = ${customerId}
      and (${filter.email}::text is null or lower(email) = lower(${filter.email}))
      and (${filter.tag}::text is null or tags @> array[${filter.tag}::text])
      and (${page.cursor}::uuid is null or id < ${page.cursor}::uuid)
    order by id desc limit ${page.limit + 1}`.execute(db);
  return rows;
}

/**
 * Inserts or updates by email, in one statement. Attributes are merged into those there and tags united with them;
 * a chat or time zone that is null leaves what is there.
 * @param rows no email (in whatever case) and no chat twice
 * @returns what became of each row, in the order given
 */
export async function upsertContacts(
  db: Db,
  customerId: string,
  rows: readonly BulkRow[],
): Promise<BulkOutcome[]> {
  const merged = sql`${withoutNulls(sql`contact.attributes || excluded.attributes`)}`;
  const united = sql`array(select tag from unnest(contact.tags || excluded.tags) with ordinality as t(tag, place)
    group by tag order by min(place))`;
  // Rows are locked in the order of their email, so that two requests with the same people cannot deadlock.
  // A row that the insert itself made has no xmax yet.
  const result = await sql<{ outcome: BulkOutcome }>`
    with input as (
      select * from unnest(
        ${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => row.email)}::text[],
        ${rows.map((row) => row.telegramChatId)}::bigint[], ${rows.map((row) => row.timeZone)}::text[],
        ${rows.map((row) => JSON.stringify(row.attributes))}::jsonb[],
        ${rows.map((row) => JSON.stringify(row.tags))}::jsonb[]
      ) with ordinality as i(id, email, telegram_chat_id, time_zone, attributes, tags, place)
    ), chat_taken as (
      select i.place from input i join contact c
        on c.customer_id = ${customerId} and c.telegram_chat_id = i.telegram_chat_id
        and lower(c.email) is distinct from lower(i.email)
    ), upserted as (
      insert into contact (customer_id, id, email, telegram_chat_id, time_zone, attributes, tags)
      select ${customerId}::uuid, i.id, i.email, i.telegram_chat_id, i.time_zone, ${withoutNulls(sql`i.attributes`)},
        array(select jsonb_array_elements_text(i.tags))
      from input i where i.place not in (select place from chat_taken)
      order by lower(i.email)
      on conflict (customer_id, lower(email)) do update set
        telegram_chat_id = coalesce(excluded.telegram_chat_id, contact.telegram_chat_id),
        time_zone = coalesce(excluded.time_zone, contact.time_zone),
        attributes = ${merged}, tags = ${united}, updated_at = now()
      where octet_length((${merged})::text) <= ${MAX_ATTRIBUTES_BYTES} and cardinality(${united}) <= ${MAX_TAGS}
      returning lower(email) as email, xmax = 0 as created
    )
    select case when u.created then 'created' when not u.created then 'updated'
      when t.place is not null then 'chat_taken' else 'too_much' end as outcome
    from input i left join upserted u on u.email = lower(i.email) left join chat_taken t on t.place = i.place
    order by i.place`.execute(db);
  return result.rows.map((row) => row.outcome);
}

function withoutNulls(attributes: ReturnType<typeof sql>) {
  return sql`(select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(${attributes}) where value <> 'null')`;
}
