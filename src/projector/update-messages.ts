import { sql } from "kysely";
import type { EventType } from "../events/event.ts";
import { MESSAGE_STATUSES, type MessageStatus } from "../messages/status.ts";
import type { Db } from "../storage/pool.ts";

/** What an event makes of its message. `message_delayed` moves nothing: the mail server goes on trying. */
const STATUS_AFTER: Partial<Record<EventType, MessageStatus>> = {
  contact_suppressed: "suppressed",
  message_failed: "failed",
  message_uncertain: "uncertain",
  message_sent: "sent",
  message_rejected: "rejected",
  message_delivered: "delivered",
  message_bounced: "bounced",
  message_complained: "complained",
};

/** What whoever has the message in hand says when he is done with it. */
const ENDINGS: readonly MessageStatus[] = ["suppressed", "failed", "uncertain", "sent"];

/**
 * Moves messages forward; a status that lies behind the present one and arrives late changes nothing, but that it
 * was sent is kept. A message gives its claim back when its sender says what he did: the provider may be heard first,
 * and should the sender die then, the run still waits to be told.
 * @param types those of the batch
 */
export async function updateMessages(db: Db, types: ReadonlySet<EventType>): Promise<void> {
  const news = Object.entries(STATUS_AFTER);
  if (!news.some(([type]) => [...types].some((other) => other === type))) return;
  const rank = (status: string) => sql`array_position(${MESSAGE_STATUSES}::text[], ${sql.ref(status)})`;
  await sql`
    with news as (
      select b.customer_id, b.message_id, b.at, b.data, b.position, b.type = 'message_sent' as is_sent, s.status,
        s.status = any (${ENDINGS}::text[]) as is_ending
      from batch b
      join unnest(${news.map(([type]) => type)}::text[], ${news.map(([, status]) => status)}::text[])
        as s(type, status) on s.type = b.type
      where b.message_id is not null
    ), furthest as (
      select distinct on (customer_id, message_id) customer_id, message_id, status, data,
        bool_or(is_ending) over message as is_done,
        min(at) filter (where is_sent) over message as sent_at,
        min(data->>'subject') filter (where is_sent) over message as subject,
        min(data->>'providerMessageId') filter (where is_sent) over message as provider_message_id
      from news
      window message as (partition by customer_id, message_id)
      order by customer_id, message_id, ${rank("status")} desc, position
    )
    update message m
    set status = case when ${rank("f.status")} > ${rank("m.status")} then f.status else m.status end,
      claimed_by = case when not f.is_done then m.claimed_by end,
      claimed_at = case when not f.is_done then m.claimed_at end,
      subject = coalesce(f.subject, m.subject),
      provider_message_id = coalesce(f.provider_message_id, m.provider_message_id),
      error = case when ${rank("f.status")} <= ${rank("m.status")} then m.error
        when f.status in ('sent', 'delivered', 'complained') then null
        when f.status = 'bounced' then f.data->>'diagnosticCode'
        else coalesce(f.data->>'reason', m.error) end,
      sent_at = coalesce(f.sent_at, m.sent_at)
    from furthest f
    where m.customer_id = f.customer_id and m.id = f.message_id
      and (${rank("f.status")} > ${rank("m.status")} or (f.sent_at is not null and m.sent_at is null)
        or (f.is_done and m.claimed_by is not null))`.execute(db);
}
