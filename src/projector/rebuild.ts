import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import { createBatchTables, fillBatch } from "./batch.ts";
import { countColumns, hourOf } from "./breakdown.ts";
import { compare, type TableComparison } from "./compare-rebuilt.ts";
import { countEvents } from "./count-events.ts";
import { countLinks } from "./count-links.ts";
import { recordActivity } from "./record-activity.ts";
import { discountLate } from "./timers.ts";
import { updateRuns } from "./update-runs.ts";

export type Rebuilt = {
  /** The position up to which the log was read: as far as it is projected. */
  position: number;
  tables: TableComparison[];
};

export type RebuildOptions = {
  /** How many positions are projected at once. */
  limit: number;
  /** How far it is, after each of these. */
  onProgress: (progress: { position: number; of: number }) => void;
};

/**
 * Derives activity, counters and the outputs of runs from the log again, beside those that are there, and compares. It
 * sees everything as it was at one moment, so sending and projecting go on, and changes nothing: what it makes is in
 * temporary tables that have the names of the real ones, and the transaction is taken back.
 *
 * Runs themselves are taken as they are, and so are the edges that fired: their ids are in the log, and what began them
 * is not derived again. Campaigns count machines' hits as they do now.
 * @param db the transaction lasts as long as all this does, and keeps dead rows from being cleared away meanwhile
 * @throws what PostgreSQL refused
 */
export async function rebuild(db: Db, options: RebuildOptions): Promise<Rebuilt> {
  const transaction = await db.startTransaction().setIsolationLevel("repeatable read").execute();
  try {
    // Longer than the pool gives a statement: a million runs are copied, and compared.
    await sql`set local statement_timeout = 0`.execute(transaction);
    const position = await cursorOf(transaction);
    await createShadows(transaction);
    await createBatchTables(transaction);
    for (let from = 0; from < position; from += options.limit) {
      const to = Math.min(from + options.limit, position);
      await projectAgain(transaction, from, to);
      options.onProgress({ position: to, of: position });
    }
    await countRuns(transaction);
    await countFirings(transaction);
    return { position, tables: await compare(transaction) };
  } finally {
    await transaction.rollback().execute();
  }
}

async function cursorOf(db: Db): Promise<number> {
  const { rows } = await sql<{ position: number }>`
    select position from projector_cursor where name = 'projector'`.execute(db);
  return rows[0]?.position ?? 0;
}

const SHADOWED = [
  "activity",
  "counter",
  "campaign_hour",
  "breakdown",
  "breakdown_value",
  "run_link",
  "edge_counter",
  "node_run",
];

/** From here on these names mean the transaction's own tables; the real ones are reached by their schema. */
async function createShadows(db: Db): Promise<void> {
  for (const table of SHADOWED) {
    await sql`
      create temporary table ${sql.table(table)} (
        like public.${sql.table(table)} including defaults including generated including indexes
      ) on commit drop`.execute(db);
  }
  await sql`
    insert into node_run (customer_id, id, enrollment_id, contact_id, campaign_id, version, node_id, node_type, round,
      recipient_domain, status, created_at)
    select customer_id, id, enrollment_id, contact_id, campaign_id, version, node_id, node_type, round,
      recipient_domain, 'running', created_at
    from public.node_run`.execute(db);
  await sql`analyze node_run (customer_id, id)`.execute(db);
}

/** A message that somebody sent again makes its run forget how it failed, at that place of the log. */
async function projectAgain(db: Db, from: number, to: number): Promise<void> {
  let done = from;
  for (const retry of await selectRetries(db, from, to)) {
    await projectRange(db, done, retry.position - 1);
    await sql`
      update node_run set output = output - array['failed', 'uncertain', 'reason']
      where customer_id = ${retry.customerId} and id = ${retry.runId}`.execute(db);
    done = retry.position - 1;
  }
  await projectRange(db, done, to);
}

type Retry = { position: number; customerId: string; runId: string };

async function selectRetries(db: Db, from: number, to: number): Promise<Retry[]> {
  const { rows } = await sql<Retry>`
    select position, customer_id as "customerId", run_id as "runId" from event_log
    where position > ${from} and position <= ${to} and type = 'message_queued' and run_id is not null and data ? 'retry'
    order by position`.execute(db);
  return rows;
}

async function projectRange(db: Db, from: number, to: number): Promise<void> {
  if (from === to) return;
  const types = await fillBatch(db, { from, to });
  await sql`
    delete from batch b using projector_refusal r
    where r.customer_id = b.customer_id and r.event_id = b.event_id`.execute(db);
  await recordActivity(db);
  await updateRuns(db, types);
  await countEvents(db, types);
  await countLinks(db, types);
  await discountLate(db, types);
  await sql`truncate batch`.execute(db);
}

/** As `countStartedRuns` counts them when they begin. */
async function countRuns(db: Db): Promise<void> {
  await sql`
    with begun as materialized (
      select customer_id, campaign_id, node_id, ${hourOf(sql`created_at`)} as hour, count(*) as total,
        count(*) filter (where is_first) as firsts
      from (
        select customer_id, campaign_id, node_id, created_at,
          row_number() over (partition by customer_id, enrollment_id, node_id order by id, round) = 1 as is_first
        from node_run
      ) as run
      group by 1, 2, 3, 4
    ), by_hour as (
      insert into counter (customer_id, campaign_id, node_id, type, hour, ${countColumns})
      select customer_id, campaign_id, node_id, 'run_started', hour, total, firsts, firsts, 0, 0, 0, 0 from begun
    ), by_campaign_hour as (
      insert into campaign_hour (customer_id, campaign_id, hour, type, ${countColumns})
      select customer_id, campaign_id, hour, 'run_started', sum(total), sum(firsts), sum(firsts), 0, 0, 0, 0
      from begun
      group by customer_id, campaign_id, hour
    )
    insert into breakdown (customer_id, campaign_id, dimension, value, node_id, type, ${countColumns})
    select customer_id, campaign_id, 'all', '', node_id, 'run_started', sum(total), sum(firsts), sum(firsts), 0, 0, 0, 0
    from begun
    group by customer_id, campaign_id, node_id`.execute(db);
}

async function countFirings(db: Db): Promise<void> {
  await sql`
    insert into edge_counter (customer_id, campaign_id, edge_id, hour, fired)
    select f.customer_id, en.campaign_id, f.edge_id, ${hourOf(sql`f.fired_at`)}, count(*)
    from edge_firing f
    join enrollment en on en.customer_id = f.customer_id and en.id = f.enrollment_id
    group by 1, 2, 3, 4`.execute(db);
  await sql`
    insert into breakdown (customer_id, campaign_id, dimension, value, node_id, type, ${countColumns})
    select customer_id, campaign_id, 'edge', edge_id, '', 'edge_fired', sum(fired), 0, 0, 0, 0, 0, 0
    from edge_counter
    group by customer_id, campaign_id, edge_id`.execute(db);
}
