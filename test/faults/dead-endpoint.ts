// What a dead endpoint among a hundred costs the others, in deliveries a second: `bun test/faults/dead-endpoint.ts`.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { sql } from "kysely";
import { alignColumns } from "../../src/cli/columns.ts";
import { createEgress } from "../../src/egress/client.ts";
import { createResolve } from "../../src/egress/resolve.ts";
import { migrate } from "../../src/storage/migrate.ts";
import { type Db, openDatabase } from "../../src/storage/pool.ts";
import { createCustomer } from "../support/campaigns.ts";
import { createEndpoint, happen, startDeliveries } from "../support/delivering.ts";
import { startDnsServer } from "../support/dns-server.ts";
import { until } from "../support/installation.ts";
import { startPostgres } from "../support/postgres.ts";
import { sayAndReset, startRawServer } from "../support/raw-server.ts";
import { drip, hang, startSink, status } from "../support/sink.ts";

const ENDPOINTS = 100;
const EVENTS = Number(process.env.EVENTS ?? 100);
const ROUNDS = Number(process.env.ROUNDS ?? 5);

const root = await mkdtemp(path.join(os.tmpdir(), "edgr-dead-"));
const postgres = await startPostgres(path.join(root, "postgres"));
const { db, close } = openDatabase(postgres.url, 10);
const sink = await startSink();
const dns = await startDnsServer();
try {
  await migrate(db);
  sink.at("/hangs", hang);
  sink.at("/drips", drip(200));
  sink.at("/fails", status(500));
  dns.set("silent.example.com", "silence");
  const resetting = await startRawServer(sayAndReset(""));
  const closed = await startRawServer(() => {});
  closed.close();
  const dead: { [kind: string]: string } = {
    "it hangs": sink.url("/hangs"),
    "it drips": sink.url("/drips"),
    "it answers 500": sink.url("/fails"),
    "it resets": resetting.url,
    "nobody listens": closed.url,
    "its name server is dead": `http://silent.example.com:${sink.port}/`,
  };
  await measure(db, sink.url("/"));
  const table = [["the dead one", "the others", "without it", "ratio"]];
  for (const [kind, url] of Object.entries(dead)) {
    const pairs: { beside: number; without: number }[] = [];
    // One after the other, so that what else the machine does is the same for both.
    for (let round = 0; round < ROUNDS; round += 1)
      pairs.push({ without: await measure(db, sink.url("/")), beside: await measure(db, url) });
    const of = (pick: (pair: { beside: number; without: number }) => number) => median(pairs.map(pick));
    table.push([
      kind,
      `${Math.round(of(({ beside }) => beside))}/s`,
      `${Math.round(of(({ without }) => without))}/s`,
      of(({ beside, without }) => beside / without).toFixed(2),
    ]);
  }
  console.log(`${ENDPOINTS} endpoints, ${EVENTS} events to each, medians of ${ROUNDS} pairs`);
  console.log(alignColumns(table));
  resetting.close();
} finally {
  await sink.close();
  dns.close();
  await close();
  await postgres.stop();
  await rm(root, { recursive: true, force: true });
}

/** @returns deliveries a second to the others, beside an endpoint at `url` */
async function measure(db: Db, url: string): Promise<number> {
  await sql`truncate webhook_endpoint, webhook_delivery, webhook_attempt cascade`.execute(db);
  const customerId = await createCustomer(db);
  const odd = await createEndpoint(db, customerId, url);
  for (let number = 1; number < ENDPOINTS; number += 1)
    await createEndpoint(db, customerId, sink.url(`/${number}`));
  await happen(db, customerId, EVENTS);
  const resolve = createResolve({
    servers: [dns.address],
    hostsFile: "/etc/hosts",
    system: async () => [],
  });
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
    select count(*)::int as count from webhook_delivery
    where customer_id = ${customerId} and endpoint_id <> ${id} and status = 'pending'`.execute(db);
  return rows[0]?.count ?? 0;
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}
