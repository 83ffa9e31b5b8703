import { sql } from "kysely";
import { createEgress } from "../src/egress/client.ts";
import { createResolve } from "../src/egress/resolve.ts";
import { migrate } from "../src/storage/migrate.ts";
import type { Db } from "../src/storage/pool.ts";
import { createCustomer } from "../test/support/campaigns.ts";
import { createEndpoint, happen, startDeliveries } from "../test/support/delivering.ts";
import { type DnsServer, startDnsServer } from "../test/support/dns-server.ts";
import { until } from "../test/support/installation.ts";
import { sayAndReset, startRawServer } from "../test/support/raw-server.ts";
import { drip, hang, type Sink, startSink, status } from "../test/support/sink.ts";
import type { Place } from "./place.ts";
import { type Row, round, row } from "./table.ts";

const ENDPOINTS = 100;
const EVENTS = Number(process.env.BENCH_EVENTS ?? 100);
const PAIRS = Number(process.env.BENCH_PAIRS ?? 7);

type Scene = { db: Db; sink: Sink; dns: DnsServer };

/** What 99 endpoints get delivered beside a dead one, against what they get without it. */
export async function measureDeadEndpoint({ withDatabase }: Place): Promise<Row[]> {
  const sink = await startSink();
  const dns = await startDnsServer();
  const resetting = await startRawServer(sayAndReset(""));
  const closed = await startRawServer(() => {});
  closed.close();
  sink.at("/hangs", hang);
  sink.at("/drips", drip(200));
  sink.at("/fails", status(500));
  dns.set("silent.example.com", "silence");
  const dead: [kind: string, url: string][] = [
    ["that hangs", sink.url("/hangs")],
    ["that drips", sink.url("/drips")],
    ["that answers 500", sink.url("/fails")],
    ["that resets", resetting.url],
    ["where nobody listens", closed.url],
    ["whose name server is dead", `http://silent.example.com:${sink.port}/`],
  ];
  try {
    return await withDatabase(async ({ db }) => {
      await migrate(db);
      const scene = { db, sink, dns };
      await measure(scene, sink.url("/"));
      const rows: Row[] = [];
      for (const [kind, url] of dead) rows.push(await comparePairs(scene, kind, url));
      return rows;
    });
  } finally {
    await sink.close();
    dns.close();
    resetting.close();
  }
}

/** One after the other, so that what else the machine does is the same for both. */
async function comparePairs(scene: Scene, kind: string, url: string): Promise<Row> {
  const pairs: { beside: number; without: number }[] = [];
  for (let pair = 0; pair < PAIRS; pair += 1) {
    pairs.push({ without: await measure(scene, scene.sink.url("/")), beside: await measure(scene, url) });
  }
  return row(
    `${ENDPOINTS - 1} endpoints beside one ${kind}`,
    `${round(median(pairs.map(({ beside }) => beside)))}/s`,
    `${round(median(pairs.map(({ without }) => without)))}/s`,
    median(pairs.map(({ beside, without }) => beside / without)),
    "≥ 0.90",
  );
}

/** @returns deliveries a second to the others, beside an endpoint at `url` */
async function measure({ db, sink, dns }: Scene, url: string): Promise<number> {
  await sql`truncate webhook_endpoint, webhook_delivery, webhook_attempt cascade`.execute(db);
  const customerId = await createCustomer(db);
  const odd = await createEndpoint(db, customerId, url);
  for (let number = 1; number < ENDPOINTS; number += 1) {
    await createEndpoint(db, customerId, sink.url(`/${number}`));
  }
  await happen(db, customerId, EVENTS);
  const servers = [dns.address];
  const resolve = createResolve({ servers, hostsFile: "/etc/hosts", system: async () => [] });
  const egress = createEgress({ allow: ["127.0.0.1"], resolve });
  const begun = performance.now();
  const worker = startDeliveries(db, egress);
  await until(async () => (await countPendingBeside(db, customerId, odd.id)) === 0);
  const tookS = (performance.now() - begun) / 1_000;
  sink.cut();
  await worker.stop();
  egress.close();
  sink.received.length = 0;
  return ((ENDPOINTS - 1) * EVENTS) / tookS;
}

async function countPendingBeside(db: Db, customerId: string, id: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from webhook_delivery
    where customer_id = ${customerId} and endpoint_id <> ${id} and status = 'pending'`.execute(db);
  return rows[0]?.count ?? 0;
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}
