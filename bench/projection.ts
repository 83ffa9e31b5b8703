import { sql } from "kysely";
import { newEvent } from "../src/events/event.ts";
import { newId } from "../src/events/id.ts";
import { appendEvents } from "../src/events/queries.ts";
import { projectNext } from "../src/projector/project.ts";
import type { Database } from "../src/storage/pool.ts";
import type { Audience } from "./audience.ts";

const EVENTS = 100_000;
const BATCH = 5_000;

export type ProjectionResult = { projectedPerSecond: number; copiedPerSecond: number };

/**
 * Opens over all runs, projected (activity, outputs, counters, edges, the runs these begin), and beside it the
 * activity's rows written by a plain COPY into one table with the same indexes.
 */
export async function measureProjection(database: Database, audience: Audience): Promise<ProjectionResult> {
  for (let done = 0; done < EVENTS; done += BATCH) {
    const events = Array.from({ length: BATCH }, (_, number) => {
      const run = audience.runs[(done + number) % audience.runs.length];
      if (run === undefined) throw new Error("the audience is empty");
      return newEvent({
        id: newId(),
        type: "email_opened",
        at: new Date(),
        customerId: audience.customerId,
        campaignId: audience.campaignId,
        runId: run.id,
        messageId: run.messageId,
        agent: "human",
        agentRule: "no-rule",
        userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0",
        ip: "203.0.113.9",
      });
    });
    await database.db.transaction().execute((db) => appendEvents(db, events));
  }
  const projecting = await timed(() =>
    database.db.connection().execute(async (connection) => {
      let projected = 0;
      for (;;) {
        const count = await projectNext(connection, BATCH);
        if (count === 0) return projected;
        projected += count;
      }
    }),
  );
  return { projectedPerSecond: projecting, copiedPerSecond: await copyActivity(database, audience) };
}

/**
 * Rows a second of the audience's hits, as activity has them, through COPY. It reads and writes a file of the
 * server's, so that neither the client nor the wire is part of the reference.
 */
export async function copyActivity({ db, pool }: Database, audience: Audience): Promise<number> {
  await sql`create table bench_copy (like activity including all)`.execute(db);
  await sql`create table bench_source as
    select * from activity where customer_id = ${audience.customerId} and type in ('email_opened', 'email_clicked')`.execute(
    db,
  );
  const file = (
    await sql<{ file: string }>`
    select current_setting('data_directory') || '/bench_copy' as file`.execute(db)
  ).rows[0]?.file;
  if (file === undefined) throw new Error("the data directory is unknown");
  await sql`copy bench_source to ${sql.lit(file)}`.execute(db);
  const rate = await timed(async () => {
    const result = await pool.query(`copy bench_copy from '${file}'`);
    return result.rowCount ?? 0;
  });
  await sql`drop table bench_copy, bench_source`.execute(db);
  return rate;
}

async function timed(work: () => Promise<number>): Promise<number> {
  const begun = performance.now();
  const count = await work();
  return (count / (performance.now() - begun)) * 1000;
}
