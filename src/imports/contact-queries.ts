import { type RawBuilder, sql } from "kysely";
import { MAX_ATTRIBUTES_BYTES, MAX_TAGS } from "../contacts/schema.ts";
import type { Db } from "../storage/pool.ts";
import type { ImportedContact } from "./contact-row.ts";

export type ContactOutcome = "created" | "updated" | "unchanged" | "chat_taken" | "too_much";

/**
 * Inserts contacts or merges rows into those there, matched by email, in one statement.
 * @param rows no email (in whatever case) and no chat twice
 * @returns what became of each row, in the order given
 */
export async function upsertImported(
  db: Db,
  customerId: string,
  rows: readonly ImportedContact[],
  onExisting: "update" | "skip",
): Promise<ContactOutcome[]> {
  const there = merge(sql`contact`, sql`excluded`);
  const seen = merge(sql`c`, sql`i`);
  // What changes nothing is told by the row as it was when the statement began, and left alone: locking it would cost
  // as much as changing it. Should somebody change it at this moment, the row of the file came first. The others are
  // locked in the order of their email, as by every other statement on many contacts. A row that the insert itself
  // made has no xmax yet.
  const result = await sql<{ outcome: ContactOutcome }>`
    with input as materialized (
      select i.* from rows from (jsonb_to_recordset(${JSON.stringify(rows.map(inputOf))}::jsonb)
        as (email text, zone text, chat bigint, attributes jsonb, tags text[])) with ordinality
        as i(email, time_zone, telegram_chat_id, attributes, tags, place)
    ), verdict as materialized (
      select i.*, case
        when i.telegram_chat_id is not null and exists (select from contact o
          where o.customer_id = ${customerId} and o.telegram_chat_id = i.telegram_chat_id
            and lower(o.email) is distinct from lower(i.email)) then 'chat_taken'
        when c.id is null then null
        when ${onExisting === "skip"} or not (${seen.changes}) then 'unchanged'
        when not (${seen.fits}) then 'too_much'
      end as outcome
      from input i
      left join contact c on c.customer_id = ${customerId} and lower(c.email) = lower(i.email)
    ), upserted as (
      insert into contact (customer_id, id, email, telegram_chat_id, time_zone, attributes, tags)
      select ${customerId}::uuid, new_id(), v.email, v.telegram_chat_id, v.time_zone, v.attributes, v.tags
      from verdict v where v.outcome is null
      order by lower(v.email)
      on conflict (customer_id, lower(email)) do update set
        telegram_chat_id = coalesce(excluded.telegram_chat_id, contact.telegram_chat_id),
        time_zone = coalesce(excluded.time_zone, contact.time_zone),
        attributes = ${there.attributes}, tags = ${there.tags}, updated_at = now()
      where ${onExisting === "update"} and (${there.changes}) and ${there.fits}
      returning lower(email) as email, xmax = 0 as created
    )
    select case when v.outcome is not null then v.outcome when u.created then 'created'
      when not u.created then 'updated' else 'unchanged' end as outcome
    from verdict v left join upserted u on v.outcome is null and u.email = lower(v.email)
    order by v.place`.execute(db);
  return result.rows.map((row) => row.outcome);
}

/** What becomes of a contact by a row: nothing that is there is lost, and tags that are there keep their place. */
function merge(existing: RawBuilder<unknown>, row: RawBuilder<unknown>) {
  const attributes = sql`${existing}.attributes || ${row}.attributes`;
  const tags = sql`${existing}.tags || array(select tag from unnest(${row}.tags) with ordinality as t(tag, place)
    where tag <> all (${existing}.tags) order by place)`;
  return {
    attributes,
    tags,
    changes: sql`${row}.time_zone is distinct from coalesce(${existing}.time_zone, '') and ${row}.time_zone is not null
      or ${row}.telegram_chat_id is distinct from coalesce(${existing}.telegram_chat_id, 0)
        and ${row}.telegram_chat_id is not null
      or not ${existing}.tags @> ${row}.tags or ${attributes} <> ${existing}.attributes`,
    fits: sql`(octet_length((${attributes})::text) <= ${MAX_ATTRIBUTES_BYTES} and cardinality(${tags}) <= ${MAX_TAGS})`,
  };
}

function inputOf({ email, timeZone, telegramChatId, attributes, tags }: ImportedContact) {
  return { email, zone: timeZone, chat: telegramChatId, attributes, tags };
}
