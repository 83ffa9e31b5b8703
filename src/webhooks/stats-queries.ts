import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";

export type EndpointStats = {
  pending: number;
  oldestPendingSeconds: number | null;
  delivered: number;
  failed: number;
  p50Ms: number | null;
  p95Ms: number | null;
};

/** What is counted at most: an endpoint of a million attempts a day is judged by its newest. */
const MAX_ATTEMPTS = 100_000;

/** How deliveries to an endpoint go. What is a test or a digest has no position in the log, and is found beside. */
export async function readStats(db: Db, customerId: string, endpointId: string): Promise<EndpointStats> {
  const pending = sql`webhook_delivery d
    where d.customer_id = ${customerId} and d.endpoint_id = ${endpointId} and d.status = 'pending'`;
  const { rows } = await sql<EndpointStats>`
    select (select count(*) from ${pending}) as pending,
      extract(epoch from now() - least(
        (select d.schedule_at from ${pending} and d.position > 0 order by d.position limit 1),
        (select min(d.schedule_at) from ${pending} and d.position = 0)))::float as "oldestPendingSeconds",
      a.*
    from (
      select count(*) filter (where outcome = 'delivered') as delivered,
        count(*) filter (where outcome <> 'delivered') as failed,
        round((percentile_cont(0.5) within group (order by ms) filter (where status is not null))::numeric, 1)::float as "p50Ms",
        round((percentile_cont(0.95) within group (order by ms) filter (where status is not null))::numeric, 1)::float as "p95Ms"
      from (
        select outcome, status, (timings ->> 'totalMs')::float as ms from webhook_attempt
        where customer_id = ${customerId} and endpoint_id = ${endpointId} and outcome <> 'running'
          and id >= first_id_at(now() - interval '24 hours')
        order by id desc limit ${MAX_ATTEMPTS}
      ) as latest
    ) as a`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error("a select of aggregates gives one row");
  return row;
}
