import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import { createBatchTables, fillBatch, lockCursor } from "./batch.ts";
import { countColumns, hourOf } from "./breakdown.ts";
import { countEvents } from "./count-events.ts";
import { countLinks } from "./count-links.ts";

/**
 * Counts the log again from its beginning up to the cursor, in one transaction: every counter is what it would be had
 * it been there from the first event, so also for links, domains and devices of what happened before there were
 * counters for them. Nothing is projected meanwhile. What retention has dropped from the log is lost to the counters.
 * @param connection one connection, as for `projectNext`
 * @param limit of positions counted at once
 * @returns how many positions there were; null when another process is projecting
 * @throws what PostgreSQL refused; nothing has changed then
 */
export async function recount(connection: Db, limit: number): Promise<number | null> {
  return connection.transaction().execute(async (db) => {
    const cursor = await lockCursor(db);
    if (cursor === null) return null;
    // Longer than the pool gives a statement: every run forgets what it has seen.
    await sql`set local statement_timeout = 0`.execute(db);
    await forget(db);
    await createBatchTables(db);
    for (let from = 0; from < cursor; from += limit) {
      const types = await fillBatch(db, { from, to: Math.min(from + limit, cursor) });
      await sql`delete from batch b using projector_refusal r
        where r.customer_id = b.customer_id and r.event_id = b.event_id`.execute(db);
      await countEvents(db, types);
      await countLinks(db, types);
      await remember(db);
      await sql`truncate batch`.execute(db);
    }
    await countRuns(db);
    await countFirings(db);
    return cursor;
  });
}

async function forget(db: Db): Promise<void> {
  // Not truncated: who reads meanwhile still has the counters as they were.
  for (const table of [
    "counter",
    "campaign_hour",
    "breakdown",
    "breakdown_value",
    "run_link",
    "edge_counter",
  ]) {
    await sql`delete from ${sql.table(table)}`.execute(db);
  }
  await sql`update node_run set seen = 0 where seen <> 0`.execute(db);
}

async function remember(db: Db): Promise<void> {
  await sql`
    update node_run r set seen = r.seen | news.seen
    from (
      select customer_id, run_id, bit_or(case type
          when 'email_opened' then 1 when 'email_clicked' then 4 when 'unsubscribed' then 16 else 0 end
          * case when by_person then 3 else 1 end
          | case type when 'message_delivered' then 64 when 'message_bounced' then 128
            when 'message_complained' then 256 when 'message_received' then 512 else 0 end)::smallint as seen
      from batch
      where enrollment_id is not null
      group by customer_id, run_id
    ) as news
    where r.customer_id = news.customer_id and r.id = news.run_id and r.seen | news.seen <> r.seen`.execute(
    db,
  );
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
