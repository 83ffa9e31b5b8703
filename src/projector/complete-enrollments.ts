import { sql } from "kysely";
import { withdrawWork } from "../campaigns/withdraw-queries.ts";
import type { Db } from "../storage/pool.ts";

/** Completes the enrollments in `completing`, says so in the log, and withdraws what they had ahead of them. */
export async function completeEnrollments(db: Db): Promise<void> {
  await sql`
    with completed as (
      update enrollment en set status = 'completed', completed_at = now(), completed_reason = c.reason
      from completing c
      where en.customer_id = c.customer_id and en.id = c.enrollment_id and en.status = 'active'
      returning en.customer_id, en.id, en.campaign_id, en.contact_id, c.run_id, c.exit_node, c.exit_round, c.reason
    )
    insert into event_log (customer_id, id, type, at, campaign_id, run_id, contact_id, data)
    select c.customer_id, new_id(), 'campaign_completed', now(), c.campaign_id, coalesce(r.id, c.run_id), c.contact_id,
      jsonb_build_object('enrollmentId', c.id, 'reason', c.reason)
    from completed c
    left join node_run r on r.customer_id = c.customer_id and r.enrollment_id = c.id and r.node_id = c.exit_node
      and r.round = c.exit_round`.execute(db);
  await withdrawWork(db, sql`select customer_id, enrollment_id from completing`);
}
