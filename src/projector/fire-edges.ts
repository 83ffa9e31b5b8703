import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import { countFiredEdges } from "./count-edges.ts";

/** In which round an edge `e` makes its target begin, from the run of an event `b`. */
const targetRound = sql`case when e.within_cycle then b.round + e.closes_cycle::int else 1 end`;
/** The bit of `node_run.met` that says that time was up for what the edge waits for. */
const lateBit = sql`case e.kind when 'opened' then 8 when 'clicked' then 16 when 'replied' then 32 else 0 end`;
const leftFor = sql`case b.type when 'unsubscribed' then 'unsubscribed' else 'replied' end`;

/**
 * Fires the edges that the batch's events match (`campaigns/graph.ts` says which in words), and puts the nodes
 * they lead to into `starting`, the enrollments that end into `completing`.
 *
 * An edge fires once per enrollment and round of the node it leads to because `edge_firing`'s key says so; outside
 * of cycles every round is the first. An enrollment ends at an exit, at an edge into one round too many, and at what
 * its campaign's `exit_on` names; what came later in the log fires nothing any more, in whatever batch it is.
 *
 * Whoever holds the cursor is alone here, so what `edge_firing` does not have is really inserted, and need not be
 * joined with what was: the planner takes both for one row and compares 5,000 with 5,000.
 * @returns how many nodes are to start, and how many enrollments to complete
 */
export async function fireEdges(db: Db): Promise<{ starting: number; completing: number }> {
  const { rows } = await sql<{ starting: number; completing: number }>`
    with matching as materialized (
      select distinct on (b.customer_id, b.enrollment_id, e.edge_id, ${targetRound})
        b.customer_id, b.enrollment_id, e.edge_id, ${targetRound} as round, e.to_node, null as left_for,
        b.campaign_id, b.version, b.run_id, b.contact_id, b.event_id, b.at, b.position
      from batch b
      join campaign_edge e on e.customer_id = b.customer_id and e.campaign_id = b.campaign_id
        and e.version = b.version and e.from_node = b.node_id
        and b.type = any (e.event_types) and (e.url is null or e.url = b.data->>'clickedUrl')
        and (e.variant is null or e.variant = b.data->>'variant')
        and (e.fires_when not in ('true', 'false') or e.fires_when = b.data->>'result')
        and case when e.is_negative then e.edge_id = b.data->>'edgeId' else b.met & ${lateBit} = 0 end
      where b.counts and not exists (
        select from edge_firing f where f.customer_id = b.customer_id and f.enrollment_id = b.enrollment_id
          and f.edge_id = e.edge_id and f.round = ${targetRound})
      order by b.customer_id, b.enrollment_id, e.edge_id, ${targetRound}, b.position
    ), leaving as (
      select b.customer_id, b.enrollment_id, null as edge_id, 0 as round, null as to_node, ${leftFor} as left_for,
        b.campaign_id, b.version, b.run_id, b.contact_id, b.event_id, b.at, b.position
      from batch b
      join campaign c on c.customer_id = b.customer_id and c.id = b.campaign_id
      where b.type in ('unsubscribed', 'message_received') and b.enrollment_id is not null
        and ${leftFor} = any (c.exit_on)
    ), judged as (
      select m.*, n.type = 'exit' as is_exit, m.round > c.max_rounds as is_over
      from (table matching union all table leaving) as m
      join enrollment en on en.customer_id = m.customer_id and en.id = m.enrollment_id and en.status = 'active'
      join campaign c on c.customer_id = m.customer_id and c.id = m.campaign_id
      left join campaign_node n on n.customer_id = m.customer_id and n.campaign_id = m.campaign_id
        and n.version = m.version and n.node_id = m.to_node
      where en.version = m.version or m.left_for is not null
    ), reachable as materialized (
      select *,
        min(position) filter (where left_for is not null or is_over or is_exit)
          over (partition by customer_id, enrollment_id) as end_position,
        min(position) filter (where left_for is not null)
          over (partition by customer_id, enrollment_id) as left_position
      from judged
    ), firing as materialized (
      select * from reachable
      where left_for is null and not is_over and (end_position is null or position <= end_position)
        and (left_position is null or position < left_position)
    ), fired as (
      insert into edge_firing (customer_id, enrollment_id, edge_id, round, event_id, fired_at)
      select customer_id, enrollment_id, edge_id, round, event_id, at from firing
    ), counted as (
      insert into edge_counter (customer_id, campaign_id, edge_id, hour, fired)
      select customer_id, campaign_id, edge_id, date_trunc('hour', at, 'UTC'), count(*)
      from firing
      group by 1, 2, 3, 4
      on conflict (customer_id, campaign_id, edge_id, hour) do update set fired = edge_counter.fired + excluded.fired
    ), ${countFiredEdges}, ended as (
      insert into completing (customer_id, enrollment_id, reason, run_id, exit_node, exit_round)
      select distinct on (customer_id, enrollment_id) customer_id, enrollment_id,
        coalesce(left_for, case when is_exit and not is_over then 'exit' else 'round_limit' end), run_id,
        case when is_exit and not is_over then to_node end, round
      from reachable
      where position = end_position and (left_for is not null or is_over or is_exit)
      order by customer_id, enrollment_id, left_for nulls last, is_exit and not is_over desc
      returning 1
    ), begun as (
      insert into starting (customer_id, enrollment_id, campaign_id, version, node_id, round, contact_id, at)
      select distinct on (customer_id, enrollment_id, to_node, round)
        customer_id, enrollment_id, campaign_id, version, to_node, round, contact_id, at
      from firing
      order by customer_id, enrollment_id, to_node, round, position
      returning 1
    )
    select (select count(*) from begun) as starting, (select count(*) from ended) as completing`.execute(db);
  return rows[0] ?? { starting: 0, completing: 0 };
}
