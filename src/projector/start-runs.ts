import { sql } from "kysely";
import type { EventType } from "../events/event.ts";
import type { Db } from "../storage/pool.ts";
import { countStartedRuns } from "./count-runs.ts";

/**
 * Puts the entry node of every enrollment that the batch begins into `starting`, and into `completing` those that
 * end there.
 * @param types those of the batch
 */
export async function startEnrollments(
  db: Db,
  types: ReadonlySet<EventType>,
): Promise<{ starting: number; completing: number }> {
  if (!types.has("campaign_started")) return { starting: 0, completing: 0 };
  const { rows } = await sql<{ starting: number; completing: number }>`
    with entering as materialized (
      select en.customer_id, en.id, en.campaign_id, en.version, n.node_id, n.type, en.contact_id, b.at
      from batch b
      join enrollment en on en.customer_id = b.customer_id and en.id = (b.data->>'enrollmentId')::uuid
        and en.status = 'active'
      join campaign_node n on n.customer_id = en.customer_id and n.campaign_id = en.campaign_id
        and n.version = en.version and n.is_entry
      where b.type = 'campaign_started'
    ), begun as (
      insert into starting (customer_id, enrollment_id, campaign_id, version, node_id, round, contact_id, at)
      select customer_id, id, campaign_id, version, node_id, 1, contact_id, at from entering
      returning 1
    ), ended as (
      insert into completing (customer_id, enrollment_id, reason, exit_node, exit_round)
      select customer_id, id, 'exit', node_id, 1 from entering where type = 'exit'
      returning 1
    )
    select (select count(*) from begun) as starting, (select count(*) from ended) as completing`.execute(db);
  return rows[0] ?? { starting: 0, completing: 0 };
}

/**
 * Begins the nodes in `starting`, each once per enrollment and round because `node_run`'s key says so: a message is
 * queued, a wait gets its due time, what a worker does at once is due at once. What follows from a beginning goes to
 * the log and is projected in turn. It takes its positions without the append lock: gaps are looked for only by
 * whoever holds the cursor, which is us until these are committed.
 */
export async function startRuns(db: Db): Promise<void> {
  await sql`
    with started as (
      insert into node_run (customer_id, id, enrollment_id, contact_id, campaign_id, version, node_id, node_type,
        round, recipient_domain, status, due_at, created_at, finished_at)
      select s.customer_id, new_id(), s.enrollment_id, s.contact_id, s.campaign_id, s.version, s.node_id, n.type,
        s.round, case n.channel when 'email' then lower(substring(c.email from '[^@]*$')) end,
        case n.type when 'message' then 'running' when 'exit' then 'completed' else 'waiting' end,
        case
          when n.type in ('message', 'exit') then null
          when n.type <> 'wait' then s.at
          when n.wait is not null then add_interval(s.at, n.wait)
          else wait_ends(n.settings, n.wait, s.at, known_zone(c.time_zone, k.time_zone))
        end,
        s.at, case n.type when 'exit' then s.at end
      from starting s
      join campaign_node n on n.customer_id = s.customer_id and n.campaign_id = s.campaign_id
        and n.version = s.version and n.node_id = s.node_id
      join campaign k on k.customer_id = s.customer_id and k.id = s.campaign_id
      left join contact c on c.customer_id = s.customer_id and c.id = s.contact_id
      on conflict (customer_id, enrollment_id, node_id, round) do nothing
      returning customer_id, id, enrollment_id, contact_id, campaign_id, version, node_id, round, status,
        created_at
    ), ${countStartedRuns}, queued as (
      insert into message (customer_id, id, direction, channel, campaign_id, version, node_id, run_id,
        enrollment_id, contact_id, credential_id, to_address)
      select r.customer_id, new_id(), 'outbound', n.channel, r.campaign_id, r.version, r.node_id, r.id,
        r.enrollment_id, r.contact_id, n.credential_id,
        coalesce(case n.channel when 'telegram' then c.telegram_chat_id::text else c.email end, '')
      from started r
      join campaign_node n on n.customer_id = r.customer_id and n.campaign_id = r.campaign_id
        and n.version = r.version and n.node_id = r.node_id
      left join contact c on c.customer_id = r.customer_id and c.id = r.contact_id
      where r.status = 'running'
      returning customer_id, id, campaign_id, run_id, contact_id
    )
    insert into event_log (customer_id, id, type, at, campaign_id, run_id, message_id, contact_id)
    select customer_id, new_id(), 'message_queued', now(), campaign_id, run_id, id, contact_id
    from queued`.execute(db);
}
