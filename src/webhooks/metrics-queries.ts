import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import { owedEndpoints } from "./claim-queries.ts";

/** What waits for an endpoint. */
export type Backlog = {
  customerId: string;
  endpointId: string;
  /** As far as the limits let it be counted. */
  pending: number;
  /** Seconds since the schedule of the one that waits longest began; 0 when none waits. */
  oldestPendingS: number;
  isDisabled: boolean;
};

/** How far it is looked, so that it takes about a second at the most. */
export type BacklogLimits = {
  endpoints: number;
  /** Of one endpoint: more than so many say the same. */
  counted: number;
  /** Of all together, in equal parts. */
  countedInAll: number;
};

export const BACKLOG_LIMITS: BacklogLimits = { endpoints: 1_000, counted: 100_000, countedInAll: 500_000 };

/**
 * The lowest in the log are the oldest, but for what a replay opened again: among so many of them there is one that
 * has been waiting all the time.
 */
const MAX_LOOKED_AT = 100;

/**
 * What waits for the endpoints of the installation: of so many at most, those first for which anything does. It
 * goes from one of these to the next in the index, and costs the same however much waits for each. The count has an
 * order to be made by the index: where most of the table waits for one endpoint, the planner would read all of it for
 * each of the others.
 */
export async function selectBacklogs(
  db: Db,
  { endpoints, counted, countedInAll }: BacklogLimits = BACKLOG_LIMITS,
): Promise<Backlog[]> {
  const { rows } = await sql<Backlog>`
    with recursive ${owedEndpoints(endpoints)}, listed as (
      select customer_id, endpoint_id, true as has_pending from owed
      union all
      (select customer_id, id, false from webhook_endpoint order by customer_id, id limit ${endpoints})
    ), chosen as (
      select customer_id, endpoint_id, bool_or(has_pending) as has_pending from listed
      group by customer_id, endpoint_id order by has_pending desc, customer_id, endpoint_id
      limit ${endpoints}
    )
    select e.customer_id as "customerId", e.id as "endpointId", e.status = 'disabled' as "isDisabled",
      counted.pending, coalesce(extract(epoch from now() - oldest.since)::float, 0) as "oldestPendingS"
    from chosen
    join webhook_endpoint e on e.customer_id = chosen.customer_id and e.id = chosen.endpoint_id
    cross join lateral (
      select count(*) as pending from (
        select from webhook_delivery d
        where chosen.has_pending
          and d.customer_id = e.customer_id and d.endpoint_id = e.id and d.status = 'pending'
        order by d.position
        limit least(${counted}::int, greatest(1, ${countedInAll}::int / nullif((select count(*) from owed), 0)))
      ) as waiting
    ) as counted
    cross join lateral (
      select min(first.schedule_at) as since from (
        select d.schedule_at from webhook_delivery d
        where chosen.has_pending
          and d.customer_id = e.customer_id and d.endpoint_id = e.id and d.status = 'pending'
        order by d.position limit ${MAX_LOOKED_AT}
      ) as first
    ) as oldest`.execute(db);
  return rows;
}
