import { sql } from "kysely";
import { addCounts, countColumns } from "./breakdown.ts";

/**
 * Counts the edges that fire over all time, beside `edge_counter`'s hours: a part of the statement that fires them,
 * reading its `firing`.
 */
export const countFiredEdges = sql`
  fired_in_all as (
    insert into breakdown (customer_id, campaign_id, dimension, value, node_id, type, ${countColumns})
    select customer_id, campaign_id, 'edge', edge_id, '', 'edge_fired', count(*), 0, 0, 0, 0, 0, 0
    from firing
    group by customer_id, campaign_id, edge_id
    on conflict (customer_id, campaign_id, dimension, value, node_id, type) do update set ${addCounts("breakdown")}
  )`;
