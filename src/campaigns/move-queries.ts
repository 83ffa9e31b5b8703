import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";

export type Move = {
  customerId: string;
  campaignId: string;
  /** The version that enrollments go to. */
  version: number;
  /** Only enrollments of this version; null: of every other. */
  fromVersion: number | null;
};

/** Enrollments in the order of their ids, after `after`. */
export type Page = { after: string | null; limit: number };

/** `last`: the id that the next page begins after; null when there are no more. */
export type Moved = { moved: number; stayed: number; last: string | null };

/**
 * Moves active enrollments of a page to another version of their campaign. One moves when each of its unfinished runs stands at a node that the version has with the same type; then
 * its runs at such nodes go along, finished ones too, because late events may fire edges of them. Runs at nodes that
 * are no more stay as they were and fire nothing.
 * @param db a transaction that holds the projector
 */
export async function moveEnrollments(db: Db, move: Move, { after, limit }: Page): Promise<Moved> {
  await sql`
    create temporary table if not exists moving (id uuid not null, can_move boolean not null) on commit delete rows`.execute(
    db,
  );
  await sql`delete from moving`.execute(db);
  await chooseEnrollments(db, move, { after, limit });
  await moveRuns(db, move);
  await moveTimers(db, move);
  const { rows } = await sql<Moved>`
    with moved as (
      update enrollment en set version = ${move.version}
      from moving m where m.can_move and en.customer_id = ${move.customerId} and en.id = m.id
    )
    select count(*) filter (where can_move) as moved, count(*) filter (where not can_move) as stayed,
      case when count(*) = ${limit} then max(id::text) end as last
    from moving`.execute(db);
  return rows[0] ?? { moved: 0, stayed: 0, last: null };
}

async function chooseEnrollments(db: Db, move: Move, { after, limit }: Page): Promise<void> {
  await sql`
    insert into moving (id, can_move)
    select en.id, not exists (
      select from node_run r
      join campaign_node was on was.customer_id = r.customer_id and was.campaign_id = r.campaign_id
        and was.version = r.version and was.node_id = r.node_id
      left join campaign_node now on now.customer_id = r.customer_id and now.campaign_id = r.campaign_id
        and now.version = ${move.version} and now.node_id = r.node_id and now.type = was.type
      where r.customer_id = en.customer_id and r.enrollment_id = en.id and r.status in ('running', 'waiting')
        and now.node_id is null)
    from enrollment en
    where en.customer_id = ${move.customerId} and en.campaign_id = ${move.campaignId} and en.status = 'active'
      and en.version <> ${move.version}
      and (${move.fromVersion}::int is null or en.version = ${move.fromVersion}::int)
      and (${after}::uuid is null or en.id > ${after}::uuid)
    order by en.id limit ${limit}`.execute(db);
  await sql`analyze moving`.execute(db);
}

async function moveRuns(db: Db, move: Move): Promise<void> {
  await sql`
    with moved as (
      update node_run r set version = ${move.version}
      from moving m, campaign_node was, campaign_node now
      where m.can_move and r.customer_id = ${move.customerId} and r.enrollment_id = m.id
        and was.customer_id = r.customer_id and was.campaign_id = r.campaign_id and was.version = r.version
        and was.node_id = r.node_id
        and now.customer_id = r.customer_id and now.campaign_id = r.campaign_id and now.version = ${move.version}
        and now.node_id = r.node_id and now.type = was.type
      returning r.id
    )
    update message m set version = ${move.version}
    from moved
    where m.customer_id = ${move.customerId} and m.run_id = moved.id and m.status = 'queued'`.execute(db);
}

/**
 * Timers of edges that are no more end; edges that the enrollment's version, which still is the old one here, did not
 * have get theirs.
 */
async function moveTimers(db: Db, move: Move): Promise<void> {
  await sql`
    delete from edge_timer t
    using moving m, node_run r
    where m.can_move and t.customer_id = ${move.customerId} and t.enrollment_id = m.id
      and r.customer_id = t.customer_id and r.id = t.run_id
      and (r.version <> ${move.version} or not exists (
        select from campaign_edge e
        where e.customer_id = t.customer_id and e.campaign_id = t.campaign_id and e.version = ${move.version}
          and e.from_node = r.node_id and e.edge_id = t.edge_id and e.is_negative and e.kind = t.kind))`.execute(
    db,
  );
  await sql`
    insert into edge_timer (customer_id, run_id, edge_id, enrollment_id, campaign_id, contact_id, kind, due_at)
    select r.customer_id, r.id, e.edge_id, r.enrollment_id, r.campaign_id, r.contact_id, e.kind,
      add_interval(coalesce((r.output->>'sentAt')::timestamptz, r.finished_at, r.created_at), e.within)
    from moving m
    join enrollment en on en.customer_id = ${move.customerId} and en.id = m.id
    join node_run r on r.customer_id = en.customer_id and r.enrollment_id = en.id and r.version = ${move.version}
    join campaign_edge e on e.customer_id = r.customer_id and e.campaign_id = r.campaign_id
      and e.version = r.version and e.from_node = r.node_id and e.is_negative
    where m.can_move and r.met & 64 <> 0 and r.met & case e.kind when 'opened' then 1 when 'clicked' then 2 else 4 end = 0
      and not exists (
        select from campaign_edge was
        where was.customer_id = r.customer_id and was.campaign_id = r.campaign_id and was.version = en.version
          and was.from_node = r.node_id and was.edge_id = e.edge_id and was.is_negative and was.kind = e.kind)
    on conflict do nothing`.execute(db);
}
