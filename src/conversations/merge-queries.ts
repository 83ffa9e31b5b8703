import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import { MAX_UNREAD } from "./unread-queries.ts";

/** A contact who turned out to be another: `from` keeps no conversation. */
export type MergedContact = { customerId: string; from: string; to: string };

/**
 * Joins conversations of contacts whose messages have gone over to others. What one of them has to be done about stays
 * to be done: open when one was, unread what was unread.
 * @param db the transaction in which the messages went over, and which holds both contacts
 */
export async function mergeConversations(db: Db, merged: readonly MergedContact[]): Promise<void> {
  if (merged.length === 0) return;
  await sql`
    with gone as (
      delete from conversation c
      using jsonb_to_recordset(${JSON.stringify(merged)}::jsonb) as g("customerId" uuid, "from" uuid, "to" uuid)
      where c.customer_id = g."customerId" and c.contact_id = g."from"
      returning c.*, g."to"
    )
    insert into conversation as c (customer_id, contact_id, status, assignee, unread, read_up_to, last_message_id,
      last_message_at, last_direction, last_channel)
    select customer_id, "to", status, assignee, unread, read_up_to, last_message_id, last_message_at, last_direction,
      last_channel
    from gone order by customer_id, "to"
    on conflict (customer_id, contact_id) do update set
      status = case when 'open' in (c.status, excluded.status) then 'open' else 'closed' end,
      assignee = coalesce(c.assignee, excluded.assignee),
      unread = least(${MAX_UNREAD}, c.unread + excluded.unread),
      read_up_to = case when c.unread + excluded.unread = 0 then greatest(c.read_up_to, excluded.read_up_to)
        else least(c.read_up_to, excluded.read_up_to) end,
      (last_message_id, last_message_at, last_direction, last_channel) = (
        select l.id, l.at, l.direction, l.channel
        from (values
          (c.last_message_id, c.last_message_at, c.last_direction, c.last_channel),
          (excluded.last_message_id, excluded.last_message_at, excluded.last_direction, excluded.last_channel)
        ) as l(id, at, direction, channel)
        order by l.at desc nulls last, l.id desc limit 1)`.execute(db);
}
