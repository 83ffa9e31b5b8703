import { sql } from "kysely";
import { isWaitingToBeSent } from "../messages/queries.ts";
import type { Db } from "../storage/pool.ts";

/**
 * Puts the entry node of every enrollment that the batch begins into `starting`.
 * @returns how many
 */
export async function startEnrollments(db: Db): Promise<number> {
  const result = await sql`
    insert into starting (customer_id, enrollment_id, campaign_id, version, node_id, contact_id, at)
    select en.customer_id, en.id, en.campaign_id, en.version, n.node_id, en.contact_id, b.at
    from batch b
    join enrollment en on en.customer_id = b.customer_id and en.id = (b.data->>'enrollmentId')::uuid
      and en.status = 'active'
    join campaign_node n on n.customer_id = en.customer_id and n.campaign_id = en.campaign_id
      and n.version = en.version and n.is_entry
    where b.type = 'campaign_started'`.execute(db);
  return Number(result.numAffectedRows ?? 0);
}

/**
 * Begins the nodes in `starting`, each once per enrollment because `node_run`'s key says so: a message is queued,
 * a wait gets its due time, an exit completes the enrollment. What follows from a beginning goes to the log and
 * is projected in turn. It takes its positions without the append lock: gaps are looked for only by whoever holds
 * the cursor, which is us until these are committed.
 */
export async function startRuns(db: Db): Promise<void> {
  await sql`
    with started as (
      insert into node_run (customer_id, id, enrollment_id, contact_id, campaign_id, version, node_id,
        status, due_at, created_at, finished_at)
      select s.customer_id, new_id(), s.enrollment_id, s.contact_id, s.campaign_id, s.version, s.node_id,
        case n.type when 'message' then 'running' when 'wait' then 'waiting' else 'completed' end,
        s.at + n.wait, s.at, case n.type when 'exit' then s.at end
      from starting s
      join campaign_node n on n.customer_id = s.customer_id and n.campaign_id = s.campaign_id
        and n.version = s.version and n.node_id = s.node_id
      on conflict (customer_id, enrollment_id, node_id) do nothing
      returning customer_id, id, enrollment_id, contact_id, campaign_id, version, node_id, status
    ), queued as (
      insert into message (customer_id, id, direction, channel, campaign_id, version, node_id, run_id,
        enrollment_id, contact_id, credential_id, to_address)
      select r.customer_id, new_id(), 'outbound', 'email', r.campaign_id, r.version, r.node_id, r.id,
        r.enrollment_id, r.contact_id, n.credential_id, coalesce(c.email, '')
      from started r
      join campaign_node n on n.customer_id = r.customer_id and n.campaign_id = r.campaign_id
        and n.version = r.version and n.node_id = r.node_id
      left join contact c on c.customer_id = r.customer_id and c.id = r.contact_id
      where r.status = 'running'
      returning customer_id, id, campaign_id, run_id, contact_id
    ), completed as (
      update enrollment en set status = 'completed', completed_at = now()
      from started r
      where r.status = 'completed' and en.customer_id = r.customer_id and en.id = r.enrollment_id
        and en.status = 'active'
      returning en.customer_id, en.id, en.campaign_id, en.contact_id, r.id as run_id
    )
    insert into event_log (customer_id, id, type, at, campaign_id, run_id, message_id, contact_id, data)
    select customer_id, new_id(), 'message_queued', now(), campaign_id, run_id, id, contact_id, '{}'
    from queued
    union all
    select customer_id, new_id(), 'campaign_completed', now(), campaign_id, run_id, null, contact_id,
      jsonb_build_object('enrollmentId', id)
    from completed`.execute(db);
}

/**
 * Withdraws what enrollments that reach an exit still had ahead of them: messages that nobody has begun to send,
 * and waits.
 */
export async function cancelRemainingWork(db: Db): Promise<void> {
  await sql`
    with exits as materialized (
      select distinct s.customer_id, s.enrollment_id
      from starting s
      join campaign_node n on n.customer_id = s.customer_id and n.campaign_id = s.campaign_id
        and n.version = s.version and n.node_id = s.node_id and n.type = 'exit'
    ), unfinished as materialized (
      select r.customer_id, r.id, r.status
      from exits e
      join node_run r on r.customer_id = e.customer_id and r.enrollment_id = e.enrollment_id
      where r.status in ('running', 'waiting')
    ), messages as (
      update message m set status = 'cancelled'
      from unfinished u
      where u.status = 'running' and m.customer_id = u.customer_id and m.run_id = u.id and ${isWaitingToBeSent("m")}
      returning m.customer_id, m.run_id
    ), cancelled as (
      select customer_id, id from unfinished where status = 'waiting'
      union all
      select customer_id, run_id from messages
    )
    update node_run r set status = 'cancelled', due_at = null, finished_at = now()
    from cancelled c
    where r.customer_id = c.customer_id and r.id = c.id`.execute(db);
}
