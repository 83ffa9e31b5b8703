import { sql } from "kysely";
import type { EventType } from "../events/event.ts";
import type { Db } from "../storage/pool.ts";

/**
 * Suppresses the addresses that have bounced softly as often, in as many days, as their customer allows, with no
 * delivery in between. What counts is when each of them happened, not when it was told: of the same bounces and
 * deliveries the same comes in any order. So a delivery that is told late may give an address free again, one that
 * nothing but soft bounces had suppressed.
 * @param types those of the batch
 */
export async function limitSoftBounces(db: Db, types: ReadonlySet<EventType>): Promise<void> {
  if (types.has("message_bounced")) await recordSoftBounces(db);
  if (types.has("message_bounced") || types.has("message_delivered")) await judgeAddresses(db);
}

/** Whether or not there is a limit now: there may be one later. */
async function recordSoftBounces(db: Db): Promise<void> {
  await sql`
    insert into soft_bounce (customer_id, address, event_id, at, contact_id, message_id)
    select b.customer_id, lower(m.to_address), b.event_id, b.at, m.contact_id, m.id
    from batch b
    join message m on m.customer_id = b.customer_id and m.id = b.message_id
      and m.direction = 'outbound' and m.channel = 'email' and m.to_address <> ''
    where b.type = 'message_bounced' and b.data->'soft' = 'true' and not exists (
      select from suppression_lift l
      where l.customer_id = b.customer_id and l.channel = 'email' and l.address = lower(m.to_address)
        and l.reason = 'bounce' and l.lifted_at >= b.at)
    on conflict do nothing`.execute(db);
}

/**
 * A soft bounce may suppress its address, a delivery may give one free that soft bounces had suppressed, so of most
 * deliveries no more is asked than whether there is such a suppression. Those that count are found in the activity, which
 * has this batch's already, contact by contact: the planner would rather read all of it for a few addresses.
 */
async function judgeAddresses(db: Db): Promise<void> {
  await sql`
    with changed as (
      select s.customer_id, s.address
      from batch b
      join soft_bounce s on s.customer_id = b.customer_id and s.contact_id = b.contact_id
      where b.type = 'message_bounced' and b.data->'soft' = 'true'
      union
      select s.customer_id, s.address
      from batch b
      join suppression s on s.customer_id = b.customer_id and s.contact_id = b.contact_id
        and s.channel = 'email' and s.reason = 'bounce' and s.detail = 'soft_bounces'
      where b.type = 'message_delivered'
    ), touched as materialized (
      select t.customer_id, t.address, c.soft_bounces, c.soft_bounce_days
      from changed t
      join customer c on c.customer_id = t.customer_id and c.soft_bounces is not null
    ), bounces as materialized (
      select t.soft_bounces, t.soft_bounce_days, s.*
      from touched t
      join soft_bounce s on s.customer_id = t.customer_id and s.address = t.address
    ), deliveries as (
      select s.customer_id, s.address, a.at
      from (select distinct customer_id, address, contact_id from bounces) as s
      cross join lateral (
        select at, message_id from activity
        where customer_id = s.customer_id and contact_id = s.contact_id and type = 'message_delivered' offset 0
      ) as a
      where s.address = coalesce((
        select lower(m.to_address) from message m where m.customer_id = s.customer_id and m.id = a.message_id), s.address)
    ), marks as (
      select customer_id, address, at, event_id, contact_id, message_id, soft_bounces, soft_bounce_days from bounces
      union all
      select customer_id, address, at, null, null, null, null, null from deliveries
    ), rows_of_bounces as (
      select *, count(*) filter (where event_id is null) over (partition by customer_id, address order by at) as row
      from marks
    ), counted as (
      select *, lag(at, soft_bounces - 1) over (partition by customer_id, address, row order by at, event_id) as since
      from rows_of_bounces
      where event_id is not null
    ), reached as materialized (
      select distinct on (customer_id, address) customer_id, address, at, event_id, contact_id, message_id
      from counted
      where at - since <= make_interval(days => soft_bounce_days)
      order by customer_id, address, at, event_id
    ), freed as (
      delete from suppression s
      using touched t
      where s.customer_id = t.customer_id and s.channel = 'email' and s.address = t.address and s.reason = 'bounce'
        and s.detail = 'soft_bounces' and not exists (
          select from reached r where r.customer_id = t.customer_id and r.address = t.address)
    )
    insert into suppression (customer_id, channel, address, reason, detail, contact_id, message_id, event_id, created_at)
    select customer_id, 'email', address, 'bounce', 'soft_bounces', contact_id, message_id, event_id, at
    from reached order by customer_id, address
    on conflict (customer_id, channel, address, reason) do nothing`.execute(db);
}
