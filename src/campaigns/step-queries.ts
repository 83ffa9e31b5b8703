import { type RawBuilder, sql } from "kysely";
import type { Filter } from "../contacts/filter.ts";
import { filterSql } from "../contacts/filter-queries.ts";
import type { Db } from "../storage/pool.ts";

/** What this worker does; webhooks have one of their own. */
const STEP_TYPES = ["wait", "split", "condition", "update-contact"] as const;

export type StepType = (typeof STEP_TYPES)[number];

/** A node of a version that has runs among those taken. */
export type StepNode = {
  customerId: string;
  campaignId: string;
  version: number;
  nodeId: string;
  type: StepType;
  settings: unknown;
};

/**
 * Whether running campaigns have runs and timers that are due. Asks for the oldest, though any would do: that takes
 * the planner to the indexes. What another worker is about to take may be among it.
 */
export async function findDue(db: Db): Promise<{ steps: boolean; timers: boolean }> {
  const { rows } = await sql<{ steps: boolean; timers: boolean }>`
    select
      exists (
        select from campaign c
        cross join unnest(${STEP_TYPES}::text[]) as asked(type)
        cross join lateral (
          select from node_run
          where customer_id = c.customer_id and campaign_id = c.id and node_type = asked.type and due_at <= now()
          order by due_at limit 1
        ) as oldest
        where c.status = 'active') as steps,
      exists (
        select from campaign c
        cross join lateral (
          select from edge_timer
          where customer_id = c.customer_id and campaign_id = c.id and due_at <= now()
          order by due_at limit 1
        ) as oldest
        where c.status = 'active') as timers`.execute(db);
  return rows[0] ?? { steps: false, timers: false };
}

/**
 * Takes runs of running campaigns that are due, at most `limit`, each for one worker only, into the table
 * `due_step` of the connection's own, which the transaction's end empties.
 * @param db a transaction that holds the append lock
 * @returns how many
 */
export async function takeDueSteps(db: Db, limit: number): Promise<number> {
  await sql`
    create temporary table if not exists due_step (
      customer_id uuid not null,
      id uuid not null,
      campaign_id uuid not null,
      version int not null,
      node_id text not null,
      node_type text not null,
      enrollment_id uuid not null,
      contact_id uuid not null
    ) on commit delete rows`.execute(db);
  const result = await sql`
    with due as (
      select r.customer_id, r.id
      from campaign c
      cross join unnest(${STEP_TYPES}::text[]) as asked(type)
      cross join lateral (
        select customer_id, id from node_run
        where customer_id = c.customer_id and campaign_id = c.id and node_type = asked.type and due_at <= now()
        order by due_at limit ${limit}
        for update skip locked
      ) r
      where c.status = 'active'
      limit ${limit}
    ), taken as (
      update node_run r set due_at = null from due
      where r.customer_id = due.customer_id and r.id = due.id
      returning r.customer_id, r.id, r.campaign_id, r.version, r.node_id, r.node_type, r.enrollment_id, r.contact_id
    )
    insert into due_step (customer_id, id, campaign_id, version, node_id, node_type, enrollment_id, contact_id)
    select customer_id, id, campaign_id, version, node_id, node_type, enrollment_id, contact_id from taken`.execute(
    db,
  );
  const taken = Number(result.numAffectedRows ?? 0);
  if (taken > 0) await sql`analyze due_step (node_type)`.execute(db);
  return taken;
}

/** The nodes whose runs `takeDueSteps` has taken. */
export async function selectStepNodes(db: Db): Promise<StepNode[]> {
  const { rows } = await sql<StepNode>`
    select n.customer_id as "customerId", n.campaign_id as "campaignId", n.version, n.node_id as "nodeId", n.type,
      n.settings
    from (select distinct customer_id, campaign_id, version, node_id from due_step) as d
    join campaign_node n on n.customer_id = d.customer_id and n.campaign_id = d.campaign_id
      and n.version = d.version and n.node_id = d.node_id`.execute(db);
  return rows;
}

/** Ends the taken waits. */
export async function completeWaits(db: Db): Promise<void> {
  await sql`
    insert into event_log (customer_id, id, type, at, campaign_id, run_id, contact_id)
    select customer_id, new_id(), 'run_completed', now(), campaign_id, id, contact_id
    from due_step where node_type = 'wait'`.execute(db);
}

/**
 * Gives the taken runs of a split their variants. The hash of contact, campaign and node says which, so that a
 * contact gets the same one in every round and version, and another in another campaign.
 */
export async function completeSplit(
  db: Db,
  node: StepNode,
  variants: readonly { id: string; weight: number }[],
): Promise<void> {
  await sql`
    with variant as (
      select id, sum(weight) over (order by number) as upto, sum(weight) over () as total
      from unnest(${variants.map(({ id }) => id)}::text[], ${variants.map(({ weight }) => weight)}::int[])
        with ordinality as v(id, weight, number)
    ), drawn as (
      select *, ('x' || substr(md5(contact_id::text || ':' || campaign_id::text || ':' || node_id), 1, 8))::bit(32)::bigint
        as hash
      from due_step d where ${isOfNode(node)}
    )
    insert into event_log (customer_id, id, type, at, campaign_id, run_id, contact_id, data)
    select customer_id, new_id(), 'run_completed', now(), campaign_id, id, contact_id,
      jsonb_build_object('variant', (
        select v.id from variant v where d.hash % v.total < v.upto order by v.upto limit 1))
    from drawn d`.execute(db);
}

/** Says of the taken runs of a condition whether their contact fits the filter; one that was deleted does not. */
export async function completeCondition(
  db: Db,
  node: StepNode,
  filter: Filter,
  at: { now: Date },
): Promise<void> {
  await sql`
    insert into event_log (customer_id, id, type, at, campaign_id, run_id, contact_id, data)
    select d.customer_id, new_id(), 'run_completed', now(), d.campaign_id, d.id, d.contact_id,
      jsonb_build_object('result', c.id is not null and ${filterSql(filter, at)})
    from due_step d
    join enrollment en on en.customer_id = d.customer_id and en.id = d.enrollment_id
    left join contact c on c.customer_id = d.customer_id and c.id = d.contact_id
    where ${isOfNode(node)}`.execute(db);
}

/** Says of the taken runs of a node why they can't be done. */
export async function failSteps(db: Db, node: StepNode, reason: string): Promise<void> {
  await sql`
    insert into event_log (customer_id, id, type, at, campaign_id, run_id, contact_id, data)
    select customer_id, new_id(), 'run_failed', now(), campaign_id, id, contact_id,
      jsonb_build_object('reason', ${reason}::text)
    from due_step d where ${isOfNode(node)}`.execute(db);
}

/** Taken runs of a node: a condition on the row `d` of `due_step`. */
export function isOfNode(node: StepNode): RawBuilder<boolean> {
  return sql`d.customer_id = ${node.customerId} and d.campaign_id = ${node.campaignId}
    and d.version = ${node.version} and d.node_id = ${node.nodeId}`;
}

/**
 * Does something that PostgreSQL may refuse without the transaction being lost with it.
 * @throws what `work` threw, its changes undone
 */
export async function inSavepoint(db: Db, work: () => Promise<void>): Promise<void> {
  await sql`savepoint step`.execute(db);
  try {
    await work();
  } catch (error) {
    await sql`rollback to savepoint step`.execute(db);
    throw error;
  }
  await sql`release savepoint step`.execute(db);
}

/**
 * Ends the timers of running campaigns that are due, at most `limit`, and says so in the log.
 * @param db a transaction that holds the append lock
 * @returns how many
 */
export async function elapseDueTimers(db: Db, limit: number): Promise<number> {
  const result = await sql`
    with due as (
      select t.customer_id, t.run_id, t.edge_id
      from campaign c
      cross join lateral (
        select customer_id, run_id, edge_id from edge_timer
        where customer_id = c.customer_id and campaign_id = c.id and due_at <= now()
        order by due_at limit ${limit}
        for update skip locked
      ) t
      where c.status = 'active'
      limit ${limit}
    ), ended as (
      delete from edge_timer t using due
      where t.customer_id = due.customer_id and t.run_id = due.run_id and t.edge_id = due.edge_id
      returning t.customer_id, t.run_id, t.edge_id, t.campaign_id, t.contact_id
    )
    insert into event_log (customer_id, id, type, at, campaign_id, run_id, contact_id, data)
    select customer_id, new_id(), 'timer_elapsed', now(), campaign_id, run_id, contact_id,
      jsonb_build_object('edgeId', edge_id)
    from ended`.execute(db);
  return Number(result.numAffectedRows ?? 0);
}
