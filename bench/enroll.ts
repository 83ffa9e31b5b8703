import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { createApiKey } from "../src/customers/api-keys.ts";
import type { Db } from "../src/storage/pool.ts";
import { freePort, type Place } from "./place.ts";
import { type BenchServer, startServer } from "./server.ts";
import { type Row, round, row } from "./table.ts";

const CONTACTS = Number(process.env.BENCH_CONTACTS ?? 1_000_000);
const CUSTOMER = "bench enroll";
const POLL_MS = 200;
const MAX_MS = 600_000;

/**
 * Everybody enrolled over HTTP in a campaign that begins with a wait, by a running server, and the same enrollments
 * and events by plain COPY.
 */
export async function measureEnroll({ dataDir, withDatabase }: Place): Promise<Row[]> {
  const server = await startServer(dataDir, await freePort());
  const { job, copyMs } = await withDatabase(async ({ db }) => {
    const enrolled = await enrollAll(db, server);
    return { job: enrolled, copyMs: await copy(db, enrolled.campaignId) };
  });
  const peakMiB = await server.peakRssMiB();
  await server.stop();
  return [
    row(
      "enroll against COPY",
      `${round((CONTACTS / job.enrollMs) * 1000)}/s`,
      `${round((CONTACTS / copyMs) * 1000)}/s`,
      copyMs / job.enrollMs,
      "—",
    ),
    row(
      "enroll, all of them",
      `${(job.enrollMs / 1000).toFixed(1)} s`,
      `${round(CONTACTS)} people`,
      null,
      "—",
    ),
    row("answer with the first 10,000", `${(job.answerMs / 1000).toFixed(2)} s`, "", null, "—"),
    row("highest lag meanwhile", `${(job.lagMs / 1000).toFixed(2)} s`, "", null, "≤ 2 s"),
    row("projected after the last", `${(job.projectedAfterMs / 1000).toFixed(2)} s`, "", null, "—"),
    row("peak server memory", `${peakMiB.toFixed(0)} MiB`, "", null, "≤ 300 MiB"),
  ];
}

type Enrolled = {
  campaignId: string;
  /** From the request to the job's end. */
  enrollMs: number;
  /** From the request to its answer. */
  answerMs: number;
  /** The highest age of an event that was not projected while the job ran. */
  lagMs: number;
  /** From the job's end to the last run that began because of it. */
  projectedAfterMs: number;
};

async function enrollAll(db: Db, server: BenchServer): Promise<Enrolled> {
  const { key } = await createApiKey(db, { customerName: CUSTOMER, name: "bench" });
  await sql`
    insert into contact (customer_id, id, email)
    select customer_id, new_id(), 'enroll' || n || '@example.com'
    from customer, generate_series(1, ${CONTACTS}::int) n where name = ${CUSTOMER}`.execute(db);
  await sql`vacuum analyze contact`.execute(db);
  const call = caller(server.origin, key);
  const campaign = await call("POST", "/campaigns", CAMPAIGN);
  await call("POST", `/campaigns/${campaign.id}/activate`);

  const begun = performance.now();
  const job = await call("POST", `/campaigns/${campaign.id}/enroll`, { all: true });
  const answerMs = performance.now() - begun;
  let lagMs = 0;
  await until(async () => {
    lagMs = Math.max(lagMs, await lag(db));
    const { status } = await call("GET", `/campaigns/${campaign.id}/enroll-jobs/${job.id}`);
    if (status !== "running" && status !== "completed") throw new Error(`the enroll job is ${status}`);
    return status === "completed";
  });
  const ended = performance.now();
  await until(async () => (await lag(db)) === 0);
  const projectedAfterMs = performance.now() - ended;
  return { campaignId: campaign.id, enrollMs: ended - begun, answerMs, lagMs, projectedAfterMs };
}

const CAMPAIGN = {
  name: "Bench",
  nodes: [
    { id: "pause", type: "wait", duration: "P30D" },
    { id: "end", type: "exit" },
  ],
  edges: [{ id: "e1", from: "pause", to: "end", firesWhen: "always" }],
};

type Answer = { id: string; status: string };

function caller(origin: string, key: string) {
  return async (method: string, path: string, body?: object): Promise<Answer> => {
    const response = await fetch(`${origin}/api/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const answer: Answer = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  };
}

async function until(isDone: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + MAX_MS;
  while (!(await isDone())) {
    if (performance.now() > deadline) throw new Error("enrolling does not end");
    await sleep(POLL_MS);
  }
}

/** How old the oldest event is that is not projected. */
async function lag(db: Db): Promise<number> {
  const { rows } = await sql<{ ms: number }>`
    select extract(epoch from clock_timestamp() - at)::float8 * 1000 as ms from event_log
    where position > (select position from projector_cursor where name = 'projector')
    order by position limit 1`.execute(db);
  return rows[0]?.ms ?? 0;
}

// COPY reads and writes a file of the server's, so that neither the client nor the wire is part of the reference.
async function copy(db: Db, campaignId: string): Promise<number> {
  const { rows } = await sql<{ file: string }>`
    select current_setting('data_directory') || '/bench_enroll' as file`.execute(db);
  const file = rows[0]?.file ?? "";
  const tables = ["enrollment", "event_log"];
  let tookMs = 0;
  for (const table of tables) {
    const target = sql.id(`bench_${table}`);
    await sql`create table ${target} (like ${sql.id(table)} including all)`.execute(db);
    await sql`
      copy (select * from ${sql.id(table)} where campaign_id = ${sql.lit(campaignId)}) to ${sql.lit(file)}`.execute(
      db,
    );
    const begun = performance.now();
    await sql`copy ${target} from ${sql.lit(file)}`.execute(db);
    tookMs += performance.now() - begun;
    await sql`drop table ${target}`.execute(db);
  }
  return tookMs;
}
