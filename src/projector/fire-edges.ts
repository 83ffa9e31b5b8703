import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";

/**
 * Fires the edges that the batch's events match (`campaigns/graph.ts` says which in words), and puts the nodes
 * they lead to into `starting`. An edge fires once per enrollment because `edge_firing`'s key says so. When an
 * exit is reached, what came later in the log fires nothing any more, in whatever batch it is.
 *
 * Whoever holds the cursor is alone here, so what `edge_firing` does not have is really inserted, and need not be
 * joined with what was: the planner takes both for one row and compares 5,000 with 5,000.
 * @returns how many nodes are to start
 */
export async function fireEdges(db: Db): Promise<number> {
  const result = await sql`
    with matching as materialized (
      select distinct on (b.customer_id, b.enrollment_id, e.edge_id)
        b.customer_id, b.enrollment_id, e.edge_id, b.campaign_id, b.version, e.to_node, b.contact_id,
        b.event_id, b.at, b.position
      from batch b
      join campaign_edge e on e.customer_id = b.customer_id and e.campaign_id = b.campaign_id
        and e.version = b.version and e.from_node = b.node_id
        and b.type = any (e.event_types) and (e.url is null or e.url = b.data->>'clickedUrl')
      where b.counts and not exists (
        select from edge_firing f where f.customer_id = b.customer_id
          and f.enrollment_id = b.enrollment_id and f.edge_id = e.edge_id)
      order by b.customer_id, b.enrollment_id, e.edge_id, b.position
    ), reachable as (
      select m.*, min(m.position) filter (where n.type = 'exit')
        over (partition by m.customer_id, m.enrollment_id) as exit_position
      from matching m
      join enrollment en on en.customer_id = m.customer_id and en.id = m.enrollment_id and en.status = 'active'
      join campaign_node n on n.customer_id = m.customer_id and n.campaign_id = m.campaign_id
        and n.version = m.version and n.node_id = m.to_node
    ), firing as materialized (
      select * from reachable where exit_position is null or position <= exit_position
    ), fired as (
      insert into edge_firing (customer_id, enrollment_id, edge_id, event_id, fired_at)
      select customer_id, enrollment_id, edge_id, event_id, at from firing
    ), counted as (
      insert into edge_counter (customer_id, campaign_id, edge_id, hour, fired)
      select customer_id, campaign_id, edge_id, date_trunc('hour', at, 'UTC'), count(*)
      from firing
      group by 1, 2, 3, 4
      on conflict (customer_id, campaign_id, edge_id, hour) do update set fired = edge_counter.fired + excluded.fired
    )
    insert into starting (customer_id, enrollment_id, campaign_id, version, node_id, contact_id, at)
    select customer_id, enrollment_id, campaign_id, version, to_node, contact_id, min(at)
    from firing
    group by 1, 2, 3, 4, 5, 6`.execute(db);
  return Number(result.numAffectedRows ?? 0);
}
