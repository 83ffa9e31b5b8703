import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  createReplayBench,
  fillLog,
  listDeliveries,
  type ReplayBench,
  replayAll,
  settle,
} from "../../test/support/replays.ts";
import { replayNextChunk } from "./run-replays.ts";

let bench: ReplayBench;
let now: Date;

beforeAll(async () => {
  bench = await createReplayBench(() => now);
});
afterAll(() => bench.api.close());

beforeEach(async () => {
  now = new Date();
  await bench.forget();
});

const ENDPOINTS = "/api/v1/webhooks/endpoints";
const seconds = (count: number) => new Date(now.getTime() + count * 1_000);

describe("on its way", () => {
  /** A replay of 30 events at one a second: 10 are opened at once. */
  async function underWay() {
    await fillLog(bench.db, bench.api.customer.id, 30);
    const endpoint = await bench.createEndpoint();
    const id = await bench.replay(endpoint, "missing", { ratePerSecond: 1 });
    return { endpoint, id };
  }

  test("a rate opens ten seconds' worth, each a second after the other", async () => {
    const { endpoint, id } = await underWay();
    const gaps = async () => {
      const due = (await listDeliveries(bench.db, endpoint)).map(({ dueAt }) => dueAt?.getTime() ?? 0);
      return due.map((at) => at - now.getTime());
    };
    const everySecond = (count: number) => Array.from({ length: count }, (_, index) => index * 1_000);
    expect(await gaps()).toEqual(everySecond(10));
    expect(await bench.read(id)).toMatchObject({ status: "running", total: 30, scanned: 10, opened: 10 });
    await replayAll(bench.db, seconds(4));
    expect(await gaps()).toEqual(everySecond(10));
    await replayAll(bench.db, seconds(5));
    await replayAll(bench.db, seconds(15));
    await replayAll(bench.db, seconds(25));
    expect(await gaps()).toEqual(everySecond(30));
    expect(await bench.read(id)).toMatchObject({ status: "completed", scanned: 30, opened: 30 });
  });

  test("another rate counts at once", async () => {
    const { endpoint, id } = await underWay();
    await bench.change(id, { ratePerSecond: null });
    await replayAll(bench.db, now);
    expect(await bench.opened(endpoint)).toHaveLength(30);
  });

  test("a paused one stands still until it is resumed, and leaves no gap", async () => {
    const { endpoint, id } = await underWay();
    expect((await bench.change(id, { status: "paused" })).body.status).toBe("paused");
    await replayAll(bench.db, seconds(1_000));
    expect(await bench.opened(endpoint)).toHaveLength(10);
    await bench.change(id, { status: "running", ratePerSecond: null, reason: "It is night." });
    await replayAll(bench.db, now);
    expect(await bench.opened(endpoint)).toHaveLength(30);
    expect(await bench.read(id)).toMatchObject({ status: "completed", scanned: 30, opened: 30 });
    const { body } = await bench.api.call("GET", `/api/v1/audit-log?subject=${id}&action=replay_changed`);
    expect(body.items.map(({ reason }) => reason)).toEqual(["It is night.", null]);
  });

  test("a cancelled one cancels what is pending of it, and nothing else", async () => {
    const { endpoint, id } = await underWay();
    const own = await bench.happen("email_opened");
    const [first] = await listDeliveries(bench.db, endpoint);
    await settle(bench.db, endpoint, first?.eventId ?? "", "delivered");
    await bench.change(id, { status: "cancelled" });
    await replayAll(bench.db, seconds(1_000));
    const statuses = Map.groupBy(await listDeliveries(bench.db, endpoint), ({ status }) => status);
    expect(statuses.get("cancelled")).toHaveLength(9);
    expect(statuses.get("pending")?.map(({ eventId }) => eventId)).toEqual([own]);
    const read = await bench.read(id);
    expect(read).toMatchObject({
      status: "cancelled",
      lastError: null,
      deliveries: { pending: 0, delivered: 1, failed: 0, cancelled: 9 },
    });
    expect(read.finishedAt).not.toBeNull();
  });

  test("what somebody is just writing to is cancelled after that", async () => {
    const { endpoint, id } = await underWay();
    await bench.change(id, { status: "cancelled" });
    await bench.db.transaction().execute(async (transaction) => {
      await sql`
        select id from webhook_delivery where endpoint_id = ${endpoint} order by event_id limit 3 for update`.execute(
        transaction,
      );
      await replayAll(bench.db, now);
      expect((await bench.read(id)).deliveries).toMatchObject({ pending: 3, cancelled: 7 });
      expect((await bench.read(id)).finishedAt).toBeNull();
    });
    await replayAll(bench.db, seconds(1));
    expect((await bench.read(id)).deliveries).toMatchObject({ pending: 0, cancelled: 10 });
    expect((await bench.read(id)).finishedAt).not.toBeNull();
  });

  test("one that is over does not change any more", async () => {
    const { id } = await underWay();
    await bench.change(id, { status: "cancelled" });
    for (const body of [{ status: "running" }, { status: "paused" }, { ratePerSecond: 5 }]) {
      expect((await bench.change(id, body)).status).toBe(409);
    }
    expect((await bench.change(id, { status: "completed" })).status).toBe(400);
  });

  test("ends when its endpoints are deleted", async () => {
    const { endpoint, id } = await underWay();
    await bench.api.call("DELETE", `${ENDPOINTS}/${endpoint}`);
    await replayAll(bench.db, seconds(10));
    expect(await bench.read(id)).toMatchObject({
      status: "cancelled",
      lastError: "Its endpoints were deleted.",
    });
  });

  test("waits while its endpoint is disabled, and goes on when it no longer is", async () => {
    const { endpoint, id } = await underWay();
    await bench.api.call("POST", `${ENDPOINTS}/${endpoint}/disable`, { body: {} });
    await replayAll(bench.db, seconds(60));
    expect(await bench.read(id)).toMatchObject({ status: "running", opened: 10 });
    await bench.api.call("POST", `${ENDPOINTS}/${endpoint}/enable`);
    await replayAll(bench.db, seconds(61));
    expect(await bench.read(id)).toMatchObject({ status: "running", opened: 20 });
  });

  test("opens no more while 10,000 of it are pending at every endpoint", async () => {
    await fillLog(bench.db, bench.api.customer.id, 12_500);
    const endpoint = await bench.createEndpoint();
    const id = await bench.replay(endpoint, "missing");
    expect(await bench.read(id)).toMatchObject({ status: "running", opened: 10_000 });
    await sql`
      update webhook_delivery set status = 'delivered', due_at = null, finished_at = now()
      where event_id in (select event_id from webhook_delivery order by event_id limit 10)`.execute(bench.db);
    await replayAll(bench.db, seconds(1));
    expect(await bench.read(id)).toMatchObject({ opened: 12_000, deliveries: { pending: 11_990 } });
  });

  test("several processes open every event once", async () => {
    await fillLog(bench.db, bench.api.customer.id, 9_000);
    const endpoint = await bench.createEndpoint();
    const { body } = await bench.start({ filter: {}, endpointIds: [endpoint], which: "missing" });
    await Promise.all(Array.from({ length: 5 }, () => replayAll(bench.db, now)));
    await replayAll(bench.db, now);
    expect(await bench.opened(endpoint)).toHaveLength(9_000);
    expect(await bench.read(body.id)).toMatchObject({ status: "completed", scanned: 9_000, opened: 9_000 });
  });
});

describe("when something breaks", () => {
  test("a process that dies in a chunk leaves no gap and opens nothing twice", async () => {
    await fillLog(bench.db, bench.api.customer.id, 4_500);
    const endpoint = await bench.createEndpoint();
    const { body } = await bench.start({ filter: {}, endpointIds: [endpoint], which: "all" });
    await replayNextChunk(bench.db, now, { error: () => {} });
    await killWhileItWaits(endpoint, () => replayNextChunk(bench.db, now, { error: () => {} }));
    const halfway = await bench.read(body.id);
    expect(halfway).toMatchObject({ status: "running", scanned: 2_000, opened: 2_000 });
    expect(await bench.opened(endpoint)).toHaveLength(2_000);
    await replayAll(bench.db, seconds(1));
    expect(await bench.opened(endpoint)).toHaveLength(4_500);
    expect(await bench.read(body.id)).toMatchObject({ status: "completed", scanned: 4_500, opened: 4_500 });
  });

  test("a chunk that keeps failing pauses the replay and says why", async () => {
    await fillLog(bench.db, bench.api.customer.id, 10);
    const endpoint = await bench.createEndpoint();
    const { body } = await bench.start({ filter: {}, endpointIds: [endpoint], which: "all" });
    const { db } = bench;
    await sql`alter table webhook_delivery add constraint broken check (trigger <> 'replay')`.execute(db);
    for (let second = 0; second < 10; second += 1) await replayAll(db, seconds(second));
    await sql`alter table webhook_delivery drop constraint broken`.execute(db);
    const broken = await bench.read(body.id);
    expect(broken).toMatchObject({ status: "paused", opened: 0 });
    expect(broken.lastError).toContain("broken");
    await bench.change(body.id, { status: "running" });
    await replayAll(db, now);
    expect(await bench.read(body.id)).toMatchObject({ status: "completed", opened: 10, lastError: null });
  });

  test("an endpoint that is deleted while a chunk is opened keeps nothing pending", async () => {
    await fillLog(bench.db, bench.api.customer.id, 2_500);
    const endpoint = await bench.createEndpoint();
    await bench.start({ filter: {}, endpointIds: [endpoint], which: "all" });
    await Promise.all([replayAll(bench.db, now), bench.api.call("DELETE", `${ENDPOINTS}/${endpoint}`)]);
    expect(await bench.opened(endpoint)).toEqual([]);
  });

  /** Ends the connection on which `work` waits for the endpoint's row. */
  async function killWhileItWaits(endpointId: string, work: () => Promise<unknown>): Promise<void> {
    await bench.db.transaction().execute(async (transaction) => {
      await sql`select id from webhook_endpoint where id = ${endpointId} for update`.execute(transaction);
      const working = work();
      for (let killed = 0; killed === 0; ) {
        const { rows } = await sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`.execute(transaction);
        killed = rows.length;
      }
      await working;
    });
  }
});
