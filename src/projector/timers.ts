import { sql } from "kysely";
import type { EventType } from "../events/event.ts";
import type { Db } from "../storage/pool.ts";

/** Which event it is that an edge `e` waits for, or waits for the absence of. */
const eventOfKind = sql`case e.kind when 'opened' then 'email_opened' when 'clicked' then 'email_clicked'
  else 'message_received' end`;
/** The bits of `node_run.met`: such an event has counted; and, times eight, a timer of that kind was up before. */
const kindBit = sql`case e.kind when 'opened' then 1 when 'clicked' then 2 else 4 end`;

const negativeEdges = sql`campaign_edge e on e.customer_id = b.customer_id and e.campaign_id = b.campaign_id
  and e.version = b.version and e.from_node = b.node_id and e.is_negative`;

/**
 * Keeps the timers of edges that wait for something not to happen: they begin when the message is sent, or perhaps
 * is, and end early when it does happen.
 * @param types those of the batch
 */
export async function keepTimers(db: Db, types: ReadonlySet<EventType>): Promise<void> {
  const has = (...asked: EventType[]) => asked.some((type) => types.has(type));
  if (has("message_sent", "message_uncertain")) await beginTimers(db);
  if (has("email_opened", "email_clicked", "message_received")) await endTimers(db);
}

async function beginTimers(db: Db): Promise<void> {
  await sql`
    insert into edge_timer (customer_id, run_id, edge_id, enrollment_id, campaign_id, contact_id, kind, due_at)
    select distinct on (b.customer_id, b.run_id, e.edge_id)
      b.customer_id, b.run_id, e.edge_id, b.enrollment_id, b.campaign_id, b.contact_id, e.kind,
      add_interval(b.at, e.within)
    from batch b
    join ${negativeEdges}
    join enrollment en on en.customer_id = b.customer_id and en.id = b.enrollment_id and en.status = 'active'
      and en.version = b.version
    where b.type in ('message_sent', 'message_uncertain') and b.met & (64 | ${kindBit}) = 0
    order by b.customer_id, b.run_id, e.edge_id, b.position
    on conflict do nothing`.execute(db);
}

async function endTimers(db: Db): Promise<void> {
  await sql`
    delete from edge_timer t
    using (
      select distinct b.customer_id, b.run_id, e.edge_id
      from batch b
      join ${negativeEdges} and ${eventOfKind} = b.type
      where b.type in ('email_opened', 'email_clicked', 'message_received') and b.counts
    ) as ended
    where t.customer_id = ended.customer_id and t.run_id = ended.run_id and t.edge_id = ended.edge_id`.execute(
    db,
  );
}

/**
 * Of an event and the end of the time it had, the first in the log moves the campaign and the other does not: what
 * comes behind its opposite counts for nothing from here on. Whether the opposite was in an earlier batch, the run
 * has kept. Rows find each other by windows and by their place in the table, because the planner takes the joined
 * rows for one and would compare 5,000 with 5,000.
 * @param types those of the batch
 */
export async function discountLate(db: Db, types: ReadonlySet<EventType>): Promise<void> {
  if (!types.has("timer_elapsed")) return;
  await sql`
    with opposed as (
      select b.ctid as place, b.customer_id, b.run_id, b.position, b.met, ${kindBit} as bit, true as is_elapsed
      from batch b
      join ${negativeEdges} and e.edge_id = b.data->>'edgeId'
      where b.type = 'timer_elapsed'
      union all
      select b.ctid, b.customer_id, b.run_id, b.position, b.met,
        case b.type when 'email_opened' then 1 when 'email_clicked' then 2 else 4 end, false
      from batch b
      where b.type in ('email_opened', 'email_clicked', 'message_received') and b.counts
    ), happened as (
      select *, is_elapsed and met & bit = 0 and coalesce(position < min(position) filter (where not is_elapsed)
        over (partition by customer_id, run_id, bit), true) as is_first
      from opposed
    ), elapsed as materialized (
      select *, min(position) filter (where is_first) over (partition by customer_id, run_id, bit) as elapsed_position
      from happened
    ), kept as (
      update node_run r set met = r.met | n.bits
      from (
        select customer_id, run_id, bit_or(bit * 8)::smallint as bits from elapsed where is_first
        group by customer_id, run_id
      ) as n
      where r.customer_id = n.customer_id and r.id = n.run_id
    )
    update batch b set counts = false
    from elapsed
    where b.ctid = elapsed.place
      and case when is_elapsed then not is_first else elapsed_position < elapsed.position end`.execute(db);
}
