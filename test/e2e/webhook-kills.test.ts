import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { sql } from "kysely";
import { newEvent } from "../../src/events/event.ts";
import { newId } from "../../src/events/id.ts";
import { secretsPath } from "../../src/storage/secrets.ts";
import { append } from "../support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type EdgrProcess, startEdgr } from "../support/edgr-process.ts";
import { until } from "../support/installation.ts";
import { ok, type Received, type Sink, slow, startSink, status } from "../support/sink.ts";

const KEY = "edgr_test_0123456789abcdef";
const EVENTS = 2_000;
const KILLS = 10;
const PROCESSES = 2;
const SLOW_MS = 20;
const FAILS_EVERY = 7;
const TIMEOUT_MS = 180_000;
/** Every so many of the events are what `/ordered` is told of: its turns are slow, one after the other. */
const ORDERED_EVERY = 10;
/** What is owed to all of them. */
const DELIVERIES = 3 * EVENTS + EVENTS / ORDERED_EVERY;

/** What they are told of, how, and what is special about them. */
const ENDPOINTS = {
  "/steady": {},
  "/slow": {},
  "/failing": { retrySchedule: [0, ...Array.from({ length: 19 }, () => 1)] },
  "/ordered": { strictOrder: true, eventTypes: ["message_delivered"] },
  "/uninterested": { eventTypes: ["unsubscribed"] },
};
const TOLD_ALL = ["/steady", "/slow", "/failing"];

let root: string;
let database: TestDatabase;
let sink: Sink;
/** Null while it is started again. */
const processes: (EdgrProcess | null)[] = [];
/** What each calls itself at PostgreSQL, another name each time. */
const names: string[] = [];
let starts = 0;

beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "edgr-kills-"));
  database = await createTestDatabase();
  // Which process made an attempt: it is lost when that one was killed.
  await sql`
    alter table webhook_attempt add column maker text default current_setting('application_name')`.execute(
    database.db,
  );
  sink = await startSink();
});

afterAll(async () => {
  for (const edgr of processes) edgr?.child.kill("SIGKILL");
  await Promise.all(processes.map((edgr) => edgr?.ended));
  await sink.close();
  await database.close();
  await rm(root, { recursive: true, force: true });
});

test(
  "killed again and again while they deliver, two processes deliver everything, and every request is in the log",
  async () => {
    await start(0);
    await mkdir(dataDir(1));
    await copyFile(secretsPath(dataDir(0)), secretsPath(dataDir(1)));
    await start(1);
    const endpoints = await createEndpoints();
    behave();
    const order = await appendEvents();
    const killed = killAtRandom();
    await until(async () => (await countPending()) === 0);
    expect(await killed).toBe(KILLS);
    await until(async () => (await countPending()) + (await countRunning()) === 0);

    expect(sink.received.filter(({ problem }) => problem !== null)).toEqual([]);
    const paths = new Map(Object.entries(endpoints).map(([at, id]) => [id, at]));
    const deliveries = (await listDeliveries()).map((each) => ({
      ...each,
      path: paths.get(each.endpointId) ?? "",
    }));
    const ordered = order.filter((_, number) => number % ORDERED_EVERY === 0);
    const wanted = [
      ...TOLD_ALL.flatMap((at) => order.map((id) => `${at} ${id}`)),
      ...ordered.map((id) => `/ordered ${id}`),
    ];
    expect(deliveries.map((each) => `${each.path} ${each.webhookId}`).toSorted()).toEqual(wanted.toSorted());
    expect(deliveries.filter((each) => each.status !== "delivered")).toEqual([]);

    const requests = Map.groupBy(sink.received, ({ path: at, id }) => `${at} ${id}`);
    expect([...requests.keys()].toSorted()).toEqual(wanted.toSorted());
    const wrong = deliveries.flatMap((each) =>
      problemsOf(each, requests.get(`${each.path} ${each.webhookId}`) ?? []),
    );
    expect(wrong).toEqual([]);

    const inOrder = sink.received.filter(({ path: at }) => at === "/ordered").map(({ id }) => id);
    expect([...new Set(inOrder)]).toEqual(ordered);
    const outcomes = new Set(deliveries.flatMap((each) => each.outcomes));
    expect([...outcomes].toSorted()).toEqual(["delivered", "failed", "interrupted"]);
  },
  TIMEOUT_MS,
);

const dataDir = (number: number) => path.join(root, `data-${number}`);

async function start(number: number): Promise<void> {
  processes[number] = null;
  const name = `edgr-${starts}`;
  starts += 1;
  names[number] = name;
  const url = new URL(database.url);
  url.searchParams.set("application_name", name);
  processes[number] = await startEdgr({
    env: {
      DATABASE_URL: url.href,
      EDGR_DATA_DIR: dataDir(number),
      TMPDIR: root,
      EDGR_API_KEY: KEY,
      EDGR_EGRESS_ALLOW: "127.0.0.1",
    },
  });
}

/** @returns their ids, by path */
async function createEndpoints(): Promise<{ [path: string]: string }> {
  const ids: { [path: string]: string } = {};
  for (const [at, settings] of Object.entries(ENDPOINTS)) {
    const answer = await fetch(`${processes[0]?.url}/api/v1/webhooks/endpoints`, {
      method: "POST",
      headers: { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json" },
      body: JSON.stringify({ type: "custom", url: sink.url(at), ...settings }),
    });
    const { id, secret }: { id: string; secret: string } = await answer.json();
    sink.trust(at, secret);
    ids[at] = id;
  }
  return ids;
}

function behave(): void {
  sink.at("/slow", slow(SLOW_MS));
  let requests = 0;
  sink.at("/failing", (response, received) => {
    requests += 1;
    (requests % FAILS_EVERY === 0 ? status(500) : ok)(response, received);
  });
}

/** @returns the `webhook-id` of each, in their order */
async function appendEvents(): Promise<string[]> {
  const { rows } = await sql<{ customerId: string }>`
    select customer_id as "customerId" from webhook_endpoint limit 1`.execute(database.db);
  const customerId = rows[0]?.customerId ?? "";
  const events = Array.from({ length: EVENTS }, (_, number) => {
    const type = number % ORDERED_EVERY === 0 ? "message_delivered" : "message_sent";
    return newEvent({ id: newId(), type, at: new Date(), customerId });
  });
  for (let from = 0; from < EVENTS; from += 100) await append(database.db, ...events.slice(from, from + 100));
  return events.map(({ id }) => `evt_${id.replaceAll("-", "")}`);
}

/** Kills one of the processes, and now and then both, at random points of the work. @returns how often */
async function killAtRandom(): Promise<number> {
  const points = Array.from({ length: KILLS }, () => Math.floor(Math.random() * DELIVERIES * 0.9)).toSorted(
    (one, other) => one - other,
  );
  let kills = 0;
  for (const point of points) {
    await sink.until(point);
    await delay(Math.random() * 10);
    const victims = Math.random() < 0.2 ? [0, 1] : [Math.floor(Math.random() * PROCESSES)];
    for (const victim of victims) processes[victim]?.child.kill("SIGKILL");
    kills += 1;
    await Promise.all(victims.map((victim) => processes[victim]?.ended));
    const dead = victims.flatMap((victim) => names[victim] ?? []);
    await Promise.all(victims.map(start));
    await endLeases(dead);
  }
  return kills;
}

/** As if a minute had passed for what was in the hands of processes that were killed. */
async function endLeases(dead: readonly string[]): Promise<void> {
  // What they had asked PostgreSQL for it may still be doing.
  await until(async () => (await countConnections(dead)) === 0);
  await sql`
    with lost as (
      update webhook_attempt set started_at = started_at - interval '2 minutes'
      where outcome = 'running' and maker = any (${dead}::text[])
      returning customer_id, delivery_id
    )
    update webhook_delivery d set due_at = now() from lost
    where d.customer_id = lost.customer_id and d.id = lost.delivery_id and d.status = 'pending'`.execute(
    database.db,
  );
}

async function countConnections(of: readonly string[]): Promise<number> {
  const { rows } = await sql<{ connections: number }>`
    select count(*)::int as connections from pg_stat_activity where application_name = any (${of}::text[])`.execute(
    database.db,
  );
  return rows[0]?.connections ?? 0;
}

async function countPending(): Promise<number> {
  const { rows } = await sql<{ owed: number; pending: number }>`
    select count(*) filter (where status <> 'pending')::int as owed, count(*) filter (where status = 'pending')::int as pending
    from webhook_delivery`.execute(database.db);
  const { owed = 0, pending = 0 } = rows[0] ?? {};
  return owed + pending < DELIVERIES ? DELIVERIES : pending;
}

/** Attempts under way. */
async function countRunning(): Promise<number> {
  const { rows } = await sql<{ running: number }>`
    select count(*)::int as running from webhook_attempt where outcome = 'running'`.execute(database.db);
  return rows[0]?.running ?? 0;
}

type Delivery = {
  endpointId: string;
  webhookId: string;
  status: string;
  attempts: number;
  payload: string;
  numbers: number[];
  outcomes: string[];
  /** Of each attempt, what its request was signed with. */
  signatures: string[];
};

async function listDeliveries(): Promise<Delivery[]> {
  const { rows } = await sql<Delivery>`
    select d.endpoint_id as "endpointId", 'evt_' || replace(d.event_id::text, '-', '') as "webhookId", d.status,
      d.attempts, d.payload, array_agg(a.number order by a.id) as numbers,
      array_agg(a.outcome order by a.id) as outcomes,
      array_agg(a.request_headers ->> 'webhook-signature' order by a.id) as signatures
    from webhook_delivery d
    join webhook_attempt a on a.customer_id = d.customer_id and a.delivery_id = d.id
    group by d.customer_id, d.endpoint_id, d.event_id`.execute(database.db);
  return rows;
}

/** What is wrong with what is known of a delivery, given the requests that the sink saw of it; empty when all is well. */
function problemsOf(delivery: Delivery & { path: string }, requests: readonly Received[]): string[] {
  const { numbers, outcomes, attempts, signatures, payload } = delivery;
  const seen = requests.map(({ headers }) => headers["webhook-signature"] ?? "");
  const answered = outcomes.filter((outcome) => outcome !== "interrupted").length;
  const checks: { [problem: string]: boolean } = {
    "an attempt's number is missing": numbers.every((number, index) => number === index + 1),
    "the attempts are miscounted": numbers.length === attempts,
    "it was tried again after it was delivered": outcomes.indexOf("delivered") === outcomes.length - 1,
    "a request is in no attempt": isWithin(seen, signatures),
    "an attempt has an answer that nobody gave": answered <= requests.length,
    "a request's bytes are not what is kept": requests.every(({ body }) => body === payload),
  };
  return Object.keys(checks).flatMap((problem) =>
    checks[problem] === true ? [] : [`${delivery.path} ${delivery.webhookId}: ${problem}`],
  );
}

/** Whether each of the first is among the second, as often. */
function isWithin(some: readonly string[], all: readonly string[]): boolean {
  const left = [...all];
  return some.every((one) => {
    const at = left.indexOf(one);
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
}
