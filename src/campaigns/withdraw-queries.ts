import { type RawBuilder, sql } from "kysely";
import { isWaitingToBeSent } from "../messages/queries.ts";
import type { Db } from "../storage/pool.ts";

/**
 * Waits until the projector, whose the statuses of enrollments, runs and messages are, is between two batches, and
 * keeps it there until the transaction ends. Who then adds to the log takes no append lock: the projector alone
 * looks for gaps.
 */
export async function holdProjector(db: Db): Promise<void> {
  await sql`select from projector_cursor where name = 'projector' for update`.execute(db);
}

/**
 * Withdraws what enrollments still had ahead of them: messages that nobody has begun to send, steps and waits that
 * are to come, timers. The run of a message that is in a worker's hands goes on until the worker says how it went.
 * @param enrollments rows of `customer_id` and `enrollment_id`
 */
export async function withdrawWork(db: Db, enrollments: RawBuilder<unknown>): Promise<void> {
  await sql`
    with ended as materialized (${enrollments}), unfinished as materialized (
      select r.customer_id, r.id, r.status
      from ended e
      join node_run r on r.customer_id = e.customer_id and r.enrollment_id = e.enrollment_id
      where r.status in ('running', 'waiting')
    ), messages as (
      update message m set status = 'cancelled'
      from unfinished u
      where u.status = 'running' and m.customer_id = u.customer_id and m.run_id = u.id and ${isWaitingToBeSent("m")}
      returning m.customer_id, m.run_id
    ), timers as (
      delete from edge_timer t using ended e
      where t.customer_id = e.customer_id and t.enrollment_id = e.enrollment_id
    ), cancelled as (
      select customer_id, id from unfinished where status = 'waiting'
      union all
      select customer_id, run_id from messages
      union all
      select u.customer_id, u.id
      from unfinished u
      join message m on m.customer_id = u.customer_id and m.run_id = u.id and m.status <> 'queued'
      where u.status = 'running'
    )
    update node_run r set status = 'cancelled', due_at = null, finished_at = now()
    from cancelled c
    where r.customer_id = c.customer_id and r.id = c.id`.execute(db);
}
