import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";

/**
 * Fires the edges that the batch's events match (`campaigns/graph.ts` says which in words), and puts the nodes
 * they lead to into `starting`. An edge fires once per enrollment because `edge_firing`'s key says so. When an
 * exit is reached, what came later in the log fires nothing any more, in whatever batch it is.
 */
export async function fireEdges(db: Db): Promise<void> {
  await sql`
    with matching as (
      select distinct on (b.customer_id, b.enrollment_id, e.edge_id)
        b.customer_id, b.enrollment_id, e.edge_id, b.campaign_id, b.version, e.to_node, b.contact_id,
        b.event_id, b.at, b.position, n.type = 'exit' as is_exit
      from batch b
      join campaign_edge e on e.customer_id = b.customer_id and e.campaign_id = b.campaign_id
        and e.version = b.version and e.from_node = b.node_id
        and b.type = any (e.event_types) and (e.url is null or e.url = b.data->>'clickedUrl')
      join campaign_node n on n.customer_id = e.customer_id and n.campaign_id = e.campaign_id
        and n.version = e.version and n.node_id = e.to_node
      join enrollment en on en.customer_id = b.customer_id and en.id = b.enrollment_id and en.status = 'active'
      where b.counts and not exists (
        select from edge_firing f where f.customer_id = b.customer_id
          and f.enrollment_id = b.enrollment_id and f.edge_id = e.edge_id)
      order by b.customer_id, b.enrollment_id, e.edge_id, b.position
    ), reachable as (
      select *, min(position) filter (where is_exit) over (partition by customer_id, enrollment_id) as exit_position
      from matching
    ), fired as (
      insert into edge_firing (customer_id, enrollment_id, edge_id, event_id, fired_at)
      select customer_id, enrollment_id, edge_id, event_id, at
      from reachable
      where exit_position is null or position <= exit_position
      on conflict do nothing
      returning customer_id, enrollment_id, edge_id
    ), counted as (
      insert into edge_counter (customer_id, campaign_id, edge_id, hour, fired)
      select r.customer_id, r.campaign_id, r.edge_id, date_trunc('hour', r.at, 'UTC'), count(*)
      from reachable r join fired using (customer_id, enrollment_id, edge_id)
      group by 1, 2, 3, 4
      on conflict (customer_id, campaign_id, edge_id, hour) do update set fired = edge_counter.fired + excluded.fired
    )
    insert into starting (customer_id, enrollment_id, campaign_id, version, node_id, contact_id, at)
    select r.customer_id, r.enrollment_id, r.campaign_id, r.version, r.to_node, r.contact_id, min(r.at)
    from reachable r join fired using (customer_id, enrollment_id, edge_id)
    group by 1, 2, 3, 4, 5, 6`.execute(db);
}
