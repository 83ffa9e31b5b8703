import { sql } from "kysely";
import type { EventType } from "../events/event.ts";
import type { Db } from "../storage/pool.ts";

const SUPPRESSING: readonly EventType[] = [
  "message_bounced",
  "message_complained",
  "provider_preferences_changed",
];

/**
 * Suppresses the addresses of messages whose events say so in `suppress`, each once for each reason. What happened
 * before the address was last given free does nothing. A bounce or complaint that the provider made up from its own
 * list is told apart (`provider_suppressed`), and gives way to a real one, as what came of soft bounces does.
 *
 * Who unsubscribed at the provider becomes `unsubscribed` in the log, as if by the link of that message: the event
 * that told it is a bounce, or a provider's matter, and fires no edge of that kind itself.
 * @param types those of the batch
 */
export async function suppress(db: Db, types: ReadonlySet<EventType>): Promise<void> {
  if (!SUPPRESSING.some((type) => types.has(type))) return;
  await sql`
    with telling as (
      select b.customer_id, lower(m.to_address) as address, b.data->>'suppress' as reason,
        case when b.data->>'bounceSubType' in ('OnAccountSuppressionList', 'Suppressed')
          or b.data->>'complaintSubType' = 'OnAccountSuppressionList' then 'provider_suppressed' end as detail,
        m.contact_id, m.id as message_id, m.campaign_id, m.run_id, b.event_id, b.at
      from batch b
      join message m on m.customer_id = b.customer_id and m.id = b.message_id
        and m.direction = 'outbound' and m.channel = 'email' and m.to_address <> ''
      where b.type = any (${SUPPRESSING}::text[]) and b.data->>'suppress' in ('bounce', 'complaint', 'unsubscribe')
    ), news as materialized (
      select distinct on (t.customer_id, t.address, t.reason) t.*
      from telling t
      left join suppression_lift l on l.customer_id = t.customer_id and l.channel = 'email'
        and l.address = t.address and l.reason = t.reason and l.lifted_at >= t.at
      where l.customer_id is null
      order by t.customer_id, t.address, t.reason, t.detail nulls first, t.at, t.event_id
    ), added as (
      insert into suppression as s
        (customer_id, channel, address, reason, detail, contact_id, message_id, event_id, created_at)
      select customer_id, 'email', address, reason, detail, contact_id, message_id, event_id, at
      from news order by customer_id, address, reason
      on conflict (customer_id, channel, address, reason) do update
        set detail = excluded.detail, message_id = excluded.message_id, event_id = excluded.event_id
        where s.detail = 'soft_bounces' or (s.detail = 'provider_suppressed' and excluded.detail is null)
      returning s.customer_id, s.reason, s.event_id
    )
    insert into event_log (customer_id, id, type, at, campaign_id, run_id, message_id, contact_id, data)
    select n.customer_id, new_id(), 'unsubscribed', n.at, n.campaign_id, n.run_id, n.message_id, n.contact_id,
      '{"via": "provider"}'
    from added a
    join news n on n.customer_id = a.customer_id and n.event_id = a.event_id
    where a.reason = 'unsubscribe'`.execute(db);
}
