import { type RawBuilder, sql } from "kysely";
import type { Filter } from "../contacts/filter.ts";
import { filterSql } from "../contacts/filter-queries.ts";
import type { Db } from "../storage/pool.ts";
import type { Reason } from "../suppressions/reasons.ts";
import { type ExportedContact, MAX_ATTRIBUTE_COLUMNS, type Shape } from "./contact-columns.ts";

export type Selection = { customerId: string; filter: Filter; now: Date };

export type ExportedSuppression = {
  address: string;
  channel: "email" | "telegram";
  reason: Reason;
  createdAt: Date;
};

const selected = ({ customerId, filter, now }: Selection): RawBuilder<unknown> =>
  sql`from contact c where c.customer_id = ${customerId} and ${filterSql(filter, { now })}`;

/** Looks at everybody selected once. */
export async function findShape(db: Db, selection: Selection): Promise<Shape> {
  const keys = await sql<{ key: string; isText: boolean }>`
    select a.key, bool_and(jsonb_typeof(a.value) = 'string' and a.value <> '""'::jsonb) as "isText"
    from (select c.attributes ${selected(selection)}) as c, jsonb_each(c.attributes) as a
    group by a.key order by a.key limit ${MAX_ATTRIBUTE_COLUMNS + 1}`.execute(db);
  const tags = await sql<{ isAmbiguous: boolean }>`
    select exists (
      select from (select c.tags ${selected(selection)}) as c where position(',' in array_to_string(c.tags, '')) > 0
    ) as "isAmbiguous"`.execute(db);
  return { keys: keys.rows, hasAmbiguousTags: tags.rows[0]?.isAmbiguous === true };
}

/** Begins to read the selected contacts, oldest first; `fetchExport` goes on in the same transaction. */
export async function openContacts(db: Db, selection: Selection): Promise<void> {
  await sql`
    declare export no scroll cursor for
    select c.email, c.time_zone as "timeZone", c.telegram_chat_id as "telegramChatId", c.tags, c.attributes
    ${selected(selection)} order by c.id`.execute(db);
}

export async function openSuppressions(db: Db, customerId: string): Promise<void> {
  await sql`
    declare export no scroll cursor for
    select address, channel, reason, created_at as "createdAt"
    from suppression where customer_id = ${customerId} order by id`.execute(db);
}

/** @returns none at the end */
export async function fetchContacts(db: Db, count: number): Promise<ExportedContact[]> {
  return (await sql<ExportedContact>`fetch forward ${sql.lit(count)} from export`.execute(db)).rows;
}

/** @returns none at the end */
export async function fetchSuppressions(db: Db, count: number): Promise<ExportedSuppression[]> {
  return (await sql<ExportedSuppression>`fetch forward ${sql.lit(count)} from export`.execute(db)).rows;
}
