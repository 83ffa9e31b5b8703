import { sql } from "kysely";
import { MESSAGE_STATUSES } from "../messages/status.ts";
import type { Db } from "../storage/pool.ts";

/**
 * Moves messages forward; a status that lies behind the present one and arrives late changes nothing. A message
 * that left the queue gives its claim back.
 */
export async function updateMessages(db: Db): Promise<void> {
  await sql`
    with news as (
      select b.customer_id, b.message_id, b.at, b.data, b.position, case b.type
        when 'contact_suppressed' then 'suppressed' when 'message_failed' then 'failed'
        when 'message_uncertain' then 'uncertain' when 'message_sent' then 'sent' end as status
      from batch b
      where b.message_id is not null
        and b.type in ('contact_suppressed', 'message_failed', 'message_uncertain', 'message_sent')
    ), furthest as (
      select distinct on (customer_id, message_id) * from news
      order by customer_id, message_id, array_position(${MESSAGE_STATUSES}::text[], status) desc, position
    )
    update message m
    set status = f.status,
      claimed_by = null,
      claimed_at = null,
      subject = coalesce(f.data->>'subject', m.subject),
      provider_message_id = coalesce(f.data->>'providerMessageId', m.provider_message_id),
      error = case when f.status = 'sent' then null else coalesce(f.data->>'reason', m.error) end,
      sent_at = case when f.status = 'sent' then f.at else m.sent_at end
    from furthest f
    where m.customer_id = f.customer_id and m.id = f.message_id
      and array_position(${MESSAGE_STATUSES}::text[], f.status) > array_position(${MESSAGE_STATUSES}::text[], m.status)`.execute(
    db,
  );
}
