import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  createEndpoint,
  happen,
  listDeliveries,
  loopbackEgress,
  startDeliveries,
  type TestEndpoint,
} from "../../test/support/delivering.ts";
import { until } from "../../test/support/installation.ts";
import { createReplayBench, type ReplayBench } from "../../test/support/replays.ts";
import { type Sink, startSink, status } from "../../test/support/sink.ts";
import type { Egress } from "../egress/client.ts";
import type { Repeating } from "../repeat.ts";
import { runReplays } from "./run-replays.ts";

let bench: ReplayBench;
let sink: Sink;
let egress: Egress;
let endpoint: TestEndpoint;
let running: Pick<Repeating, "stop">[];

beforeAll(async () => {
  bench = await createReplayBench(() => new Date());
});
afterAll(() => bench.api.close());

beforeEach(async () => {
  sink = await startSink();
  egress = loopbackEgress();
  endpoint = await createEndpoint(bench.db, bench.api.customer.id, sink.url("/hook"), { retrySchedule: [0] });
  sink.trust("/hook", endpoint.secret);
  const deliveries = startDeliveries(bench.db, egress);
  const log = { error: () => {} };
  running = [deliveries, runReplays({ db: bench.db, onOpen: deliveries.wake, now: Date.now, log })];
});
afterEach(async () => {
  await Promise.all(running.map((worker) => worker.stop()));
  await sql`delete from webhook_endpoint`.execute(bench.db);
  await sql`delete from webhook_delivery`.execute(bench.db);
  egress.close();
  await sink.close();
});

const webhookId = (eventId: string) => `evt_${eventId.replaceAll("-", "")}`;

async function allAre(wanted: string): Promise<void> {
  await until(async () => {
    const found = await listDeliveries(bench.db, bench.api.customer.id);
    return found.every((delivery) => delivery.status === wanted);
  });
}

async function replay(which: string, more: object = {}): Promise<string> {
  const {
    status: answer,
    body,
    text,
  } = await bench.start({
    filter: {},
    endpointIds: [endpoint.id],
    which,
    ...more,
  });
  if (answer !== 201) throw new Error(text);
  await until(async () => (await bench.read(body.id)).status === "completed");
  return body.id;
}

test("what failed is sent again under the same id, byte for byte, and verifies", async () => {
  sink.at("/hook", status(500));
  const [eventId = ""] = await happen(bench.db, bench.api.customer.id);
  await allAre("failed");
  sink.at("/hook", status(200));
  const id = await replay("failed");
  await allAre("delivered");
  const [first, again] = sink.received;
  expect(sink.received.map((request) => request.id)).toEqual([webhookId(eventId), webhookId(eventId)]);
  expect(again?.body).toBe(first?.body);
  expect(sink.received.map(({ problem }) => problem)).toEqual([null, null]);
  expect((await bench.read(id)).deliveries).toEqual({ pending: 0, delivered: 1, failed: 0, cancelled: 0 });
});

test("what is told anew is told as it is now, under the same id", async () => {
  const filter = { eventIds: await happen(bench.db, bench.api.customer.id) };
  await allAre("delivered");
  await sql`update webhook_delivery set payload = '{"type":"old"}'`.execute(bench.db);
  await replay("all", { filter });
  await allAre("delivered");
  await replay("all", { filter, payload: "anew" });
  await allAre("delivered");
  const [first, original, anew] = sink.received;
  expect(original?.body).toBe('{"type":"old"}');
  expect(anew?.body).toBe(first?.body ?? "");
  expect(new Set(sink.received.map((request) => request.id)).size).toBe(1);
  expect(sink.received.map(({ problem }) => problem)).toEqual([null, null, null]);
});

test("what was missing is delivered once", async () => {
  await sql`update webhook_endpoint set status = 'disabled', disabled_by = 'person'`.execute(bench.db);
  const eventIds = await happen(bench.db, bench.api.customer.id, 30);
  await sql`update webhook_endpoint set status = 'enabled', disabled_by = null`.execute(bench.db);
  const filter = { eventIds };
  await replay("missing", { filter });
  await replay("missing", { filter });
  await sink.until(30);
  await allAre("delivered");
  expect(sink.received.map((request) => request.id).toSorted()).toEqual(eventIds.map(webhookId).toSorted());
});
