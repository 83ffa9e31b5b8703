import { sql } from "kysely";
import { createApiKey } from "../src/customers/api-keys.ts";
import { newEvent } from "../src/events/event.ts";
import { newId } from "../src/events/id.ts";
import { appendEvents } from "../src/events/queries.ts";
import { projectNext } from "../src/projector/project.ts";
import { migrate } from "../src/storage/migrate.ts";
import type { Database } from "../src/storage/pool.ts";
import { type CountedCampaign, fillCounters } from "./analytics-rows.ts";
import { type Audience, createAudience } from "./audience.ts";
import { freePort, type Place } from "./place.ts";
import { copyActivity } from "./projection.ts";
import { startServer } from "./server.ts";
import { type Row, round, row } from "./table.ts";

const CONTACTS = 20_000;
const PROJECTED_EVENTS = 200_000;
const COUNTED_EVENTS = 10_000_000;
const BATCH = 5_000;
const DOMAINS = 300;
const LINKS = 20;
const SYSTEMS = ["Windows NT 10.0; Win64; x64", "X11; Linux x86_64", "Macintosh; Intel Mac OS X 10_15_7"];
const READS = 30;
const KEY = "edgr_bench_0123456789abcdef";

/**
 * Projects real events of many domains, links and devices, beside a COPY of their activity. Then the counters of ten
 * million events, written as they would be, are read through the API, beside a plain indexed read of the same rows.
 */
export async function measureAnalytics({ dataDir, withDatabase }: Place): Promise<Row[]> {
  const { campaign, projection, plain } = await withDatabase(async (database) => {
    await migrate(database.db);
    const audience = await createAudience(database.db, CONTACTS);
    const projection = await measureMixedProjection(database, audience);
    const campaign = await fillCounters(database.db, audience.customerId, COUNTED_EVENTS);
    await createApiKey(database.db, {
      customerName: `bench ${audience.customerId}`,
      name: "bench",
      key: KEY,
    });
    const plain = new Map<string, Timing>();
    for (const { path, rows } of READ_OF) plain.set(path, await readPlainly(database, campaign, rows));
    return { campaign, projection, plain };
  });
  const { reads, peakMiB } = await readAll(dataDir, campaign, plain);
  return [
    row(
      "projection, mixed, against COPY",
      `${round(projection.projectedPerSecond)}/s`,
      `${round(projection.copiedPerSecond)}/s`,
      projection.projectedPerSecond / projection.copiedPerSecond,
      "≥ 0.25",
    ),
    ...reads,
    row("peak server memory", `${peakMiB.toFixed(0)} MiB`, "", null, "≤ 250 MiB"),
  ];
}

async function readAll(dataDir: string, campaign: CountedCampaign, plain: ReadonlyMap<string, Timing>) {
  const server = await startServer(dataDir, await freePort());
  try {
    const reads: Row[] = [];
    for (const { path } of READ_OF) {
      const address = `${server.origin}/api/v1/campaigns/${campaign.campaignId}/analytics${path}`;
      reads.push(readRow(path, await readOverHttp(address), plain.get(path)));
    }
    return { reads, peakMiB: await server.peakRssMiB() };
  } finally {
    await server.stop();
  }
}

type Timing = { medianMs: number; maxMs: number; rows: number };

/** What each answer is made of: a table and which of the campaign's rows in it. */
const READ_OF = [
  { path: "", rows: sql`breakdown where dimension = 'all' and` },
  { path: "/edges", rows: sql`breakdown where dimension = 'edge' and` },
  { path: "/links", rows: sql`breakdown where dimension = 'link' and` },
  { path: "/links?format=csv", rows: sql`breakdown where dimension = 'link' and` },
  { path: "/domains", rows: sql`breakdown where dimension = 'domain' and` },
  { path: "/domains?format=csv", rows: sql`breakdown where dimension = 'domain' and` },
  { path: "/devices?by=both", rows: sql`breakdown where dimension = 'device' and` },
  { path: "/hours", rows: sql`campaign_hour where hour >= now() - interval '7 days' and` },
  {
    path: `/hours?interval=day&zone=Europe/Paris&from=${daysAgo(91)}`,
    rows: sql`campaign_hour where hour >= now() - interval '91 days' and`,
  },
  {
    path: `/hours?interval=day&nodeId=n3&from=${daysAgo(91)}`,
    rows: sql`counter where node_id = 'n3' and hour >= now() - interval '91 days' and`,
  },
  { path: "/funnel", rows: sql`breakdown where dimension = 'edge' and` },
];

function daysAgo(days: number): string {
  return new Date(Date.now() - days * 86_400_000).toISOString();
}

// The rows stay in the server: their way to the client would be most of the time, and no answer has them.
async function readPlainly(
  { db }: Database,
  { customerId, campaignId }: CountedCampaign,
  rows: (typeof READ_OF)[number]["rows"],
): Promise<Timing> {
  let count = 0;
  const timing = await timed(async () => {
    const read = await sql<{ count: number }>`
      select count(*) as count from (
        select * from ${rows} customer_id = ${customerId} and campaign_id = ${campaignId} offset 0
      ) as read`.execute(db);
    count = read.rows[0]?.count ?? 0;
  });
  return { ...timing, rows: count };
}

async function readOverHttp(url: string): Promise<Timing> {
  const timing = await timed(async () => {
    const response = await fetch(url, { headers: { Authorization: `Bearer ${KEY}` } });
    const text = await response.text();
    if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`);
  });
  return { ...timing, rows: 0 };
}

async function timed(work: () => Promise<void>): Promise<{ medianMs: number; maxMs: number }> {
  await work();
  const times: number[] = [];
  for (let read = 0; read < READS; read += 1) {
    const begun = performance.now();
    await work();
    times.push(performance.now() - begun);
  }
  times.sort((a, b) => a - b);
  return { medianMs: times[READS / 2] ?? 0, maxMs: times.at(-1) ?? 0 };
}

function readRow(path: string, read: Timing, plain: Timing | undefined): Row {
  const what = `analytics${path.replace(/&?from=[^&]*/, "")}`;
  const value = `${read.medianMs.toFixed(1)} ms, at most ${read.maxMs.toFixed(1)}`;
  const reference = `${(plain?.medianMs ?? 0).toFixed(1)} ms for ${round(plain?.rows ?? 0)} rows`;
  return row(what, value, reference, read.medianMs / (plain?.medianMs ?? 1), "≤ 100 ms");
}

/** Four opens to a click, of many domains, links and devices, a tenth of them by scanners. */
async function measureMixedProjection(database: Database, audience: Audience) {
  await sql`
    update node_run set recipient_domain = 'd' || (hashtext(id::text) & 1023) % ${DOMAINS}::int || '.example'
    where customer_id = ${audience.customerId}`.execute(database.db);
  for (let done = 0; done < PROJECTED_EVENTS; done += BATCH) {
    const events = Array.from({ length: BATCH }, (_, number) => mixedEvent(audience, done + number));
    await database.db.transaction().execute((db) => appendEvents(db, events));
  }
  const begun = performance.now();
  await database.db.connection().execute(async (connection) => {
    while ((await projectNext(connection, BATCH)) > 0);
  });
  const projectedPerSecond = (PROJECTED_EVENTS / (performance.now() - begun)) * 1000;
  return { projectedPerSecond, copiedPerSecond: await copyActivity(database, audience) };
}

function mixedEvent({ customerId, campaignId, runs }: Audience, number: number) {
  const run = runs[(number * 7919) % runs.length];
  if (run === undefined) throw new Error("the audience is empty");
  const isClick = number % 5 === 0;
  return newEvent({
    id: newId(),
    type: isClick ? "email_clicked" : "email_opened",
    at: new Date(),
    customerId,
    campaignId,
    runId: run.id,
    messageId: run.messageId,
    agent: number % 10 === 3 ? "scanner" : "human",
    agentRule: "no-rule",
    userAgent: `Mozilla/5.0 (${SYSTEMS[number % SYSTEMS.length]}; rv:${100 + (number % 50)}.0) Gecko/20100101 Firefox/${100 + (number % 50)}.0`,
    ip: "203.0.113.9",
    data: isClick ? { clickedUrl: `https://example.com/a/landing/page?link=${number % LINKS}` } : {},
  });
}
