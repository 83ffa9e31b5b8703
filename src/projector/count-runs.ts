import { sql } from "kysely";
import { addCounts, countColumns, hourOf } from "./breakdown.ts";

/**
 * Counts the runs that begin, which no event says: a part of the statement that begins them, reading what its
 * `started` returns. Unique is a node's first run for its enrollment; the rounds of a cycle bring more.
 */
export const countStartedRuns = sql`
  cyclic as materialized (
    select distinct e.customer_id, e.campaign_id, e.version, e.to_node
    from (select distinct customer_id, campaign_id, version from started) as v
    join campaign_edge e on e.customer_id = v.customer_id and e.campaign_id = v.campaign_id
      and e.version = v.version and e.within_cycle
  ), again as materialized (
    select s.customer_id, s.campaign_id, s.node_id, ${hourOf(sql`s.created_at`)} as hour, count(*) as runs
    from cyclic c
    join started s on s.customer_id = c.customer_id and s.campaign_id = c.campaign_id and s.version = c.version
      and s.node_id = c.to_node
    where exists (
        select from node_run r
        where r.customer_id = s.customer_id and r.enrollment_id = s.enrollment_id and r.node_id = s.node_id)
      or exists (
        select from started o
        where o.customer_id = s.customer_id and o.enrollment_id = s.enrollment_id and o.node_id = s.node_id
          and o.round < s.round)
    group by 1, 2, 3, 4
  ), begun as materialized (
    select s.*, s.total - coalesce(a.runs, 0) as firsts
    from (
      select customer_id, campaign_id, node_id, ${hourOf(sql`created_at`)} as hour, count(*) as total
      from started
      group by 1, 2, 3, 4
    ) as s
    left join again a on a.customer_id = s.customer_id and a.campaign_id = s.campaign_id
      and a.node_id = s.node_id and a.hour = s.hour
  ), begun_by_hour as (
    insert into counter (customer_id, campaign_id, node_id, type, hour, ${countColumns})
    select customer_id, campaign_id, node_id, 'run_started', hour, total, firsts, firsts, 0, 0, 0, 0 from begun
    on conflict (customer_id, campaign_id, node_id, type, hour) do update set ${addCounts("counter")}
  ), begun_by_campaign_hour as (
    insert into campaign_hour (customer_id, campaign_id, hour, type, ${countColumns})
    select customer_id, campaign_id, hour, 'run_started', sum(total), sum(firsts), sum(firsts), 0, 0, 0, 0
    from begun
    group by customer_id, campaign_id, hour
    on conflict (customer_id, campaign_id, hour, type) do update set ${addCounts("campaign_hour")}
  ), begun_in_all as (
    insert into breakdown (customer_id, campaign_id, dimension, value, node_id, type, ${countColumns})
    select customer_id, campaign_id, 'all', '', node_id, 'run_started', sum(total), sum(firsts), sum(firsts), 0, 0, 0, 0
    from begun
    group by customer_id, campaign_id, node_id
    on conflict (customer_id, campaign_id, dimension, value, node_id, type) do update set ${addCounts("breakdown")}
  )`;
