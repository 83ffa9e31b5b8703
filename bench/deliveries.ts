import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { sql } from "kysely";
import { z } from "zod";
import { createApiKey } from "../src/customers/api-keys.ts";
import { migrate } from "../src/storage/migrate.ts";
import type { Db } from "../src/storage/pool.ts";
import { newSecret } from "../src/webhooks/secrets.ts";
import { toKeyPair } from "../src/webhooks/sign.ts";
import { type Audience, createAudience } from "./audience.ts";
import { readCpu } from "./cpu.ts";
import { freePort, type Place } from "./place.ts";
import { type BenchServer, startServer, waitUntilAnswers } from "./server.ts";
import { type Row, round, row } from "./table.ts";
import type { clientOrder } from "./webhook-client.ts";
import type { SinkStats } from "./webhook-sink.ts";

const PENDING = Number(process.env.BENCH_PENDING ?? 1_000_000);
const CONTACTS = 20_000;
const ENDPOINTS = 10;
const CONNECTIONS = 256;
const WARM_UP_MS = 5_000;
const MAX_CONCURRENCY = 100;

/**
 * A million deliveries owed to ten endpoints of one sink, which verifies every signature; and what the same client
 * makes of the same sink without a database.
 */
export async function measureDeliveries(place: Place): Promise<Row[]> {
  const { dataDir, seconds, withDatabase } = place;
  const sink = await startSink(await freePort());
  const reference = await measureClient(sink, seconds);
  const ofClient = await sink.stats();
  const { audience, key } = await withDatabase(async ({ db }) => {
    await migrate(db);
    const made = await createAudience(db, CONTACTS);
    return {
      audience: made,
      key: (await createApiKey(db, { customerName: `bench ${made.customerId}`, name: "bench" })).key,
    };
  });
  const env = { EDGR_EGRESS_ALLOW: "127.0.0.0/8" };
  const first = await startServer(dataDir, await freePort(), env);
  const endpoints = await createEndpoints(first, key, sink);
  await first.stop();
  const fill = await timed(() =>
    withDatabase(({ db }) => db.connection().execute((one) => owe(one, audience, endpoints))),
  );
  const server = await startServer(dataDir, await freePort(), env);
  await sleep(WARM_UP_MS);
  const rssBefore = await server.rssMiB();
  const [before, cpuBefore, begun] = [await sink.stats(), readCpu(dataDir), performance.now()];
  await sleep(seconds * 1_000);
  const [after, cpuAfter, ended] = [await sink.stats(), readCpu(dataDir), performance.now()];
  const [rssAfter, peak] = [await server.rssMiB(), await server.peakRssMiB()];
  await server.stop();
  const received = since(await sink.stats(), ofClient);
  const recorded = await withDatabase(({ db }) => countAttempts(db, audience.customerId));
  await sink.stop();
  const delivered = after.received - before.received;
  const perSecond = (delivered / (ended - begun)) * 1_000;
  const cpuEach = (who: "server" | "database") =>
    `${((cpuAfter[who] - cpuBefore[who]) / delivered).toFixed(0)} µs each`;
  return [
    row(
      "webhook deliveries / the client alone",
      `${round(perSecond)}/s`,
      `${round(reference)}/s`,
      perSecond / reference,
      "≥ 0.25",
    ),
    row("owed when it began", round(PENDING), `${ENDPOINTS} endpoints`, null, "1,000,000"),
    row("  written in", `${(fill / 1_000).toFixed(0)} s`, "", null, "—"),
    row(
      "different events",
      round(received.distinct),
      `${round(received.received)} requests`,
      null,
      "as many",
    ),
    row("signatures that were wrong", round(received.wrong), "all verified", null, "0"),
    row("attempts recorded", round(recorded), `${round(received.received)} requests`, null, "as many"),
    row(
      "server memory, at first and at last",
      `${rssBefore.toFixed(0)}, ${rssAfter.toFixed(0)} MiB`,
      `peak ${peak.toFixed(0)} MiB`,
      null,
      "flat",
    ),
    row("processor time: EDGR", cpuEach("server"), "", null, "—"),
    row("  PostgreSQL", cpuEach("database"), "", null, "—"),
  ];
}

type Sink = {
  url(path: string): string;
  stats(): Promise<SinkStats>;
  trust(secrets: { [path: string]: string }): Promise<void>;
  stop(): Promise<void>;
};

async function startSink(port: number): Promise<Sink> {
  const child = spawn(process.execPath, [script("webhook-sink.ts"), String(port)], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const origin = `http://127.0.0.1:${port}`;
  await waitUntilAnswers(`${origin}/stats`);
  return {
    url: (path) => origin + path,
    stats: async () => sinkStats.parse(await (await fetch(`${origin}/stats`)).json()),
    async trust(secrets) {
      await fetch(`${origin}/secrets`, { method: "POST", body: JSON.stringify(secrets) });
    },
    stop: () => stopped(child),
  };
}

const sinkStats = z.object({ received: z.number(), wrong: z.number(), distinct: z.number() });

function since(after: SinkStats, before: SinkStats): SinkStats {
  return {
    received: after.received - before.received,
    wrong: after.wrong - before.wrong,
    distinct: after.distinct - before.distinct,
  };
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGTERM");
  });
}

/** Requests a second of EDGR's own client, in a process of its own. */
async function measureClient(sink: Sink, seconds: number): Promise<number> {
  const paths = Array.from({ length: ENDPOINTS }, (_, number) => `/client/${number}`);
  const secret = newSecret(randomBytes);
  await sink.trust(Object.fromEntries(paths.map((path) => [path, secret])));
  const order: z.infer<typeof clientOrder> = {
    urls: paths.map(sink.url),
    secret,
    signingKey: toKeyPair(randomBytes(32)).signingKey,
    seconds,
    connections: CONNECTIONS,
  };
  const { stdout } = await promisify(execFile)(process.execPath, [
    script("webhook-client.ts"),
    JSON.stringify(order),
  ]);
  return z.object({ perSecond: z.number() }).parse(JSON.parse(stdout)).perSecond;
}

function script(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

const createdEndpoint = z.object({ id: z.string(), secret: z.string() });

/** @returns their ids */
async function createEndpoints(server: BenchServer, key: string, sink: Sink): Promise<string[]> {
  const ids: string[] = [];
  for (let number = 0; number < ENDPOINTS; number += 1) {
    const path = `/endpoint/${number}`;
    const response = await fetch(`${server.origin}/api/v1/webhooks/endpoints`, {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: JSON.stringify({ type: "custom", url: sink.url(path), maxConcurrency: MAX_CONCURRENCY }),
    });
    const { id, secret } = createdEndpoint.parse(await response.json());
    await sink.trust({ [path]: secret });
    ids.push(id);
  }
  return ids;
}

/** Writes opens of the audience into the log as if they were projected, each owed to one of the endpoints. */
async function owe(
  db: Db,
  { customerId, campaignId }: Audience,
  endpoints: readonly string[],
): Promise<void> {
  await sql`set statement_timeout = 0`.execute(db);
  await sql`
    with run as materialized (
      select r.id, r.contact_id, m.id as message_id, row_number() over () - 1 as number
      from node_run r join message m on m.customer_id = r.customer_id and m.run_id = r.id
      where r.customer_id = ${customerId}
    ), happened as (
      insert into event_log (customer_id, id, type, at, campaign_id, run_id, message_id, contact_id, agent, agent_rule,
        user_agent, ip)
      select ${customerId}, new_id(), 'email_opened', now(), ${campaignId}, run.id, run.message_id, run.contact_id,
        'human', 'no-rule', 'Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0', '203.0.113.9'
      from generate_series(1, ${PENDING}::int) as n join run on run.number = n % ${CONTACTS}
      returning id, position, at, campaign_id, message_id, contact_id
    )
    insert into webhook_delivery (customer_id, endpoint_id, event_id, kind, event_type, event_at, position, campaign_id,
      contact_id, message_id, status, due_at)
    select ${customerId}, (${endpoints}::uuid[])[1 + position % ${ENDPOINTS}], id, 'event', 'email_opened', at, position,
      campaign_id, contact_id, message_id, 'pending', now()
    from happened`.execute(db);
  await sql`update projector_cursor set position = (select last_value from event_log_position)`.execute(db);
  await sql`analyze`.execute(db);
}

async function countAttempts(db: Db, customerId: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from webhook_attempt
    where customer_id = ${customerId} and outcome = 'delivered'`.execute(db);
  return rows[0]?.count ?? 0;
}

async function timed(work: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}
