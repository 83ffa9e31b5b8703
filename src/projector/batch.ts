import { sql } from "kysely";
import type { EventType } from "../events/event.ts";
import { LOCKS } from "../storage/locks.ts";
import type { Db } from "../storage/pool.ts";

/** Positions `from` (exclusive) to `to` (inclusive) of the event log. */
export type Range = { from: number; to: number };

const FENCE_POLL_MS = 5;

/**
 * The cursor's position, locked until the transaction ends; null when another process is projecting.
 */
export async function lockCursor(db: Db): Promise<number | null> {
  const { rows } = await sql<{ position: number }>`
    select position from projector_cursor where name = 'projector' for update skip locked`.execute(db);
  return rows[0]?.position ?? null;
}

export async function moveCursor(db: Db, position: number): Promise<void> {
  await sql`update projector_cursor set position = ${position} where name = 'projector'`.execute(db);
}

/**
 * The next events that are safe to project: at most `limit`, and none behind a position that is still being
 * written. Positions are taken before they are committed, so "greater than the last one seen" would skip what
 * commits late; a gap therefore waits for every appender that could still fill it.
 * @returns null when there is nothing new
 */
export async function nextRange(db: Db, from: number, limit: number): Promise<Range | null> {
  const { rows } = await sql<{ last: number | null; gapless: number | null }>`
    select max(position) as last, max(position) filter (where position - ${from} = number) as gapless
    from (
      select position, row_number() over (order by position) as number
      from event_log where position > ${from} order by position limit ${limit}
    ) as next`.execute(db);
  const last = rows[0]?.last ?? null;
  if (last === null) return null;
  const gapless = rows[0]?.gapless ?? null;
  if (gapless !== null) return { from, to: gapless };
  await waitForAppenders(db);
  return { from, to: last };
}

// Whoever may still commit a position below one that is visible holds the append lock now. Waiting for exactly
// those, instead of asking for the lock, keeps the queue of new appenders moving.
async function waitForAppenders(db: Db): Promise<void> {
  const before = new Set(await appenders(db));
  while ((await appenders(db)).some((holder) => before.has(holder))) {
    await new Promise((resolve) => setTimeout(resolve, FENCE_POLL_MS));
  }
}

async function appenders(db: Db): Promise<string[]> {
  const { rows } = await sql<{ holder: string }>`
    select virtualtransaction as holder from pg_locks
    where locktype = 'advisory' and granted and classid = ${LOCKS.append} and objid = 0
      and database = (select oid from pg_database where datname = current_database())`.execute(db);
  return rows.map((row) => row.holder);
}

/**
 * Three tables of the connection's own, emptied at each commit: `batch` holds the events with what their run says
 * of them, `starting` the nodes that they make begin, `completing` the enrollments that they end: at an exit, or by
 * what happened to a run. Every projection reads the first instead of repeating the joins; none is logged or seen by anybody else.
 */
export async function createBatchTables(db: Db): Promise<void> {
  await sql`
    create temporary table if not exists batch (
      position bigint not null,
      customer_id uuid not null,
      event_id uuid not null,
      type text not null,
      at timestamptz not null,
      campaign_id uuid,
      version int,
      node_id text,
      round int,
      recipient_domain text,
      enrollment_id uuid,
      run_id uuid,
      message_id uuid,
      contact_id uuid,
      seen smallint,
      met smallint,
      agent text,
      agent_rule text,
      user_agent text,
      ip inet,
      data jsonb not null,
      by_person boolean not null,
      counts boolean not null
    ) on commit delete rows`.execute(db);
  await sql`
    create temporary table if not exists starting (
      customer_id uuid not null,
      enrollment_id uuid not null,
      campaign_id uuid not null,
      version int not null,
      node_id text not null,
      round int not null,
      contact_id uuid not null,
      at timestamptz not null
    ) on commit delete rows`.execute(db);
  await sql`
    create temporary table if not exists completing (
      customer_id uuid not null,
      enrollment_id uuid not null,
      reason text not null,
      run_id uuid,
      exit_node text,
      exit_round int
    ) on commit delete rows`.execute(db);
}

/**
 * Reads a range into `batch`. `by_person`: not a machine's hit. `counts`: may set outputs and fire edges, which
 * machines' hits do only where the campaign says so; a reply does whoever wrote it.
 * @returns the types of the events in it, so that what only concerns others is not asked of the database
 */
export async function fillBatch(db: Db, range: Range): Promise<ReadonlySet<EventType>> {
  await sql`
    insert into batch
    select e.position, e.customer_id, e.id, e.type, e.at, coalesce(r.campaign_id, e.campaign_id), r.version,
      r.node_id, r.round, r.recipient_domain,
      coalesce(r.enrollment_id, case e.type when 'campaign_completed' then (e.data->>'enrollmentId')::uuid end), e.run_id, e.message_id,
      coalesce(r.contact_id, e.contact_id), r.seen, r.met,
      e.agent, e.agent_rule, e.user_agent, e.ip, e.data,
      coalesce(e.agent in ('human', 'proxy'), true),
      coalesce(e.agent in ('human', 'proxy'), true) or e.type = 'message_received'
        or coalesce(c.count_automatic_hits, false)
    from event_log e
    left join node_run r on r.customer_id = e.customer_id and r.id = e.run_id
    left join campaign c on c.customer_id = r.customer_id and c.id = r.campaign_id
    where e.position > ${range.from} and e.position <= ${range.to}`.execute(db);
  // Without statistics the planner takes a temporary table for ten rows or a thousand, and joins it row by row.
  await sql`analyze batch (type)`.execute(db);
  const { rows } = await sql<{ type: EventType }>`select distinct type from batch`.execute(db);
  return new Set(rows.map(({ type }) => type));
}
