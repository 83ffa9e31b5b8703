import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import { createContacts } from "../../test/support/campaigns.ts";
import {
  createReplayBench,
  fillLog,
  listDeliveries,
  type ReplayBench,
  replayAll,
  settle,
} from "../../test/support/replays.ts";
import { newId } from "../events/id.ts";
import { countReplay } from "./count-replay.ts";
import { findScope } from "./replay-queries.ts";

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

/** An endpoint with one delivery of each status, and an event from before it was there. */
async function everyStatus() {
  const missing = await bench.happen("email_opened");
  const endpoint = await bench.createEndpoint();
  const failed = await bench.happen("email_opened");
  const cancelled = await bench.happen("email_opened");
  const delivered = await bench.happen("email_opened");
  const pending = await bench.happen("email_opened");
  await settle(bench.db, endpoint, failed, "failed");
  await settle(bench.db, endpoint, cancelled, "cancelled");
  await settle(bench.db, endpoint, delivered, "delivered");
  return { endpoint, missing, failed, cancelled, delivered, pending };
}

describe("what is replayed", () => {
  test("failed: what has failed or was cancelled, and nothing else", async () => {
    const { endpoint, failed, cancelled } = await everyStatus();
    await bench.replay(endpoint, "failed");
    expect(await bench.opened(endpoint)).toEqual([failed, cancelled]);
  });

  test("missing: what was never owed, and nothing else", async () => {
    const { endpoint, missing } = await everyStatus();
    await bench.replay(endpoint, "missing");
    expect(await bench.opened(endpoint)).toEqual([missing]);
  });

  test("all: everything but what is pending", async () => {
    const { endpoint, missing, failed, cancelled, delivered, pending } = await everyStatus();
    await bench.replay(endpoint, "all");
    expect(await bench.opened(endpoint)).toEqual([missing, failed, cancelled, delivered]);
    const untouched = (await listDeliveries(bench.db, endpoint)).find(({ eventId }) => eventId === pending);
    expect(untouched).toMatchObject({ status: "pending", trigger: "automatic", replayId: null });
  });

  test("an opened delivery stays the same one, with its bytes and the whole schedule before it", async () => {
    const { endpoint, failed } = await everyStatus();
    const of = async () =>
      (await listDeliveries(bench.db, endpoint)).find(({ eventId }) => eventId === failed);
    const before = await of();
    const id = await bench.replay(endpoint, "failed");
    expect(await of()).toMatchObject({
      id: before?.id,
      attempts: 3,
      scheduleFrom: 3,
      payload: "the bytes",
      replayId: id,
    });
  });

  test("the bytes are forgotten when it is to be told anew", async () => {
    const { endpoint, failed } = await everyStatus();
    await bench.replay(endpoint, "failed", { payload: "anew" });
    const deliveries = await listDeliveries(bench.db, endpoint);
    expect(deliveries.find(({ eventId }) => eventId === failed)?.payload).toBeNull();
  });

  test("missing is what happened while the endpoint was disabled or told of other things", async () => {
    const endpoint = await bench.createEndpoint({ eventTypes: ["unsubscribed"] });
    const filtered = await bench.happen("email_clicked");
    await bench.api.call("PATCH", `${ENDPOINTS}/${endpoint}`, { body: { eventTypes: ["email_*"] } });
    await bench.api.call("POST", `${ENDPOINTS}/${endpoint}/disable`, { body: {} });
    const whileDisabled = await bench.happen("email_opened");
    await bench.api.call("POST", `${ENDPOINTS}/${endpoint}/enable`);
    await bench.happen("unsubscribed");
    await bench.replay(endpoint, "missing");
    expect(await bench.opened(endpoint)).toEqual([filtered, whileDisabled]);
  });

  test("an endpoint is not told of what it would not be told of now", async () => {
    await bench.happen("email_opened", { agent: "scanner" });
    await bench.happen("timer_elapsed");
    await bench.happen("email_clicked");
    const opens = await bench.happen("email_opened", { agent: "proxy" });
    const endpoint = await bench.createEndpoint({ eventTypes: ["email_opened"] });
    await bench.replay(endpoint, "all");
    expect(await bench.opened(endpoint)).toEqual([opens]);
  });

  test("an endpoint is never told that it was disabled itself", async () => {
    const endpoint = await bench.createEndpoint();
    const other = await bench.createEndpoint({ eventTypes: ["unsubscribed"] });
    const event = await bench.happen("endpoint_disabled", { data: { endpointId: endpoint } });
    await bench.api.call("PATCH", `${ENDPOINTS}/${other}`, { body: { eventTypes: ["*"] } });
    const { body } = await bench.start({ filter: {}, endpointIds: [endpoint, other], which: "missing" });
    await replayAll(bench.db, now);
    expect(await bench.opened(endpoint)).toEqual([]);
    expect(await bench.opened(other)).toEqual([event]);
    expect(await bench.read(body.id)).toMatchObject({ status: "completed", matched: 1, opened: 1 });
  });

  test("what a digest gathers only when it is named", async () => {
    const event = await bench.happen("email_opened");
    const url = "https://hooks.slack.com/services/T000/B000/XXXX";
    const endpoint = await bench.createEndpoint({
      type: "slack",
      url,
      digestSeconds: 60,
      digestTypes: ["email_*"],
    });
    await bench.replay(endpoint, "missing");
    expect(await bench.opened(endpoint)).toEqual([]);
    await bench.replay(endpoint, "missing", { filter: { eventIds: [event] } });
    expect(await bench.opened(endpoint)).toEqual([event]);
  });

  test("what is not projected yet is left to the projector", async () => {
    const endpoint = await bench.createEndpoint();
    await sql`
      insert into event_log (customer_id, id, type, at) values (${bench.api.customer.id}, new_id(), 'email_opened', now())`.execute(
      bench.db,
    );
    await bench.replay(endpoint, "all");
    expect(await bench.opened(endpoint)).toEqual([]);
  });
});

describe("the filter", () => {
  test("takes times, types, a contact, a message and events, all of which must fit", async () => {
    const [contactId = ""] = await createContacts(bench.db, bench.api.customer.id, 1);
    const messageId = newId();
    const at = (second: number) => newId(now.getTime() + second * 1_000);
    const early = await bench.happen("email_opened", { id: at(1), contactId });
    const middle = await bench.happen("email_clicked", { id: at(2), contactId, messageId });
    const late = await bench.happen("email_opened", { id: at(3), messageId });
    const all = [early, middle, late];
    const filters: [object, string[]][] = [
      [{ from: seconds(2).toISOString() }, [middle, late]],
      [{ to: seconds(2).toISOString() }, [early]],
      [{ from: seconds(2).toISOString(), to: seconds(3).toISOString() }, [middle]],
      [{ eventTypes: ["*_opened", "unsubscribed"] }, [early, late]],
      [{ contactId }, [early, middle]],
      [{ messageId }, [middle, late]],
      [{ contactId, messageId }, [middle]],
      [{ eventIds: [late, early] }, [early, late]],
      [{ eventIds: [newId()] }, []],
      [{}, all],
    ];
    for (const [filter, expected] of filters) {
      const endpoint = await bench.createEndpoint();
      await bench.replay(endpoint, "missing", { filter });
      expect(await bench.opened(endpoint)).toEqual(expected);
    }
  });

  test.each([
    ["filter.from", { filter: { from: "yesterday" } }],
    ["filter.to", { filter: { from: "2026-03-07T00:00:00Z", to: "2026-03-06T00:00:00Z" } }],
    ["filter.eventTypes.0", { filter: { eventTypes: ["email_opend"] } }],
    ["filter.eventIds", { filter: { eventIds: Array.from({ length: 101 }, () => newId()) } }],
    ["filter.customerId", { filter: { customerId: newId() } }],
    ["endpointIds", { endpointIds: [] }],
    ["endpointIds", { endpointIds: Array.from({ length: 21 }, () => newId()) }],
    ["endpointIds.0", { endpointIds: [newId()] }],
    ["which", { which: "some" }],
    ["ratePerSecond", { ratePerSecond: 0 }],
    ["payload", { payload: "mine" }],
  ])("a wrong %s is refused", async (field, wrong) => {
    const endpoint = await bench.createEndpoint();
    const answer = await bench.start({ filter: {}, endpointIds: [endpoint], which: "all", ...wrong });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
  });
});

describe("starting", () => {
  test("a disabled endpoint is refused, but counted", async () => {
    const { endpoint } = await everyStatus();
    await bench.api.call("POST", `${ENDPOINTS}/${endpoint}/disable`, { body: {} });
    const body = { filter: {}, endpointIds: [endpoint], which: "failed" };
    const answer = await bench.start(body);
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([409, "endpointIds.0"]);
    expect((await bench.start({ ...body, dryRun: true })).status).toBe(200);
  });

  test("a dry run counts what then happens, and starts nothing", async () => {
    const { endpoint } = await everyStatus();
    const other = await bench.createEndpoint({ eventTypes: ["unsubscribed"] });
    const body = { filter: {}, endpointIds: [endpoint, other], which: "all" };
    const dry = await bench.start({ ...body, dryRun: true });
    const of = { failed: 0, missing: 0, delivered: 0, pending: 0, filtered: 0, total: 0, toOpen: 0 };
    expect(dry.body).toEqual({
      ...dry.body,
      matched: {
        events: 5,
        byEndpoint: [
          {
            endpointId: endpoint,
            ...of,
            failed: 2,
            missing: 1,
            delivered: 1,
            pending: 1,
            total: 5,
            toOpen: 4,
          },
          { endpointId: other, ...of, filtered: 5 },
        ],
        byType: [{ type: "email_opened", events: 5 }],
      },
      scanned: 5,
      isExact: true,
    });
    await replayAll(bench.db, now);
    expect(await bench.opened(endpoint)).toEqual([]);
    expect((await bench.api.call("GET", "/api/v1/webhooks/replays")).body.items).toEqual([]);
    const { body: started } = await bench.start(body);
    await replayAll(bench.db, now);
    expect(await bench.read(started.id)).toMatchObject({ total: 5, scanned: 5, matched: 5, opened: 4 });
  });

  test("a count that takes too long says that there is more", async () => {
    await fillLog(bench.db, bench.api.customer.id, 2_500);
    const endpointIds = await Promise.all(Array.from({ length: 20 }, () => bench.createEndpoint()));
    const nothing = { campaignIds: null, contactId: null, messageId: null, eventIds: null };
    const filter = { from: null, to: null, eventTypes: null, ...nothing };
    const scope = await findScope(bench.db, bench.api.customer.id, { filter, endpointIds });
    let time = 0;
    const count = (step: number) =>
      countReplay(bench.db, scope, "missing", () => {
        time += step;
        return new Date(time);
      });
    expect(await count(4_000)).toMatchObject({ scanned: 2_500, isExact: true });
    expect(await count(6_000)).toMatchObject({ scanned: 2_000, isExact: false });
  });

  test("the same request twice starts one replay", async () => {
    const { endpoint } = await everyStatus();
    const body = { filter: {}, endpointIds: [endpoint], which: "all" };
    const options = { headers: { "Idempotency-Key": newId() } };
    const [first, second] = await Promise.all([bench.start(body, options), bench.start(body, options)]);
    expect(first.body.id).toBe(second.body.id);
    expect((await bench.api.call("GET", "/api/v1/webhooks/replays")).body.items).toHaveLength(1);
  });

  test("a list shows the newest first, page by page", async () => {
    const { endpoint } = await everyStatus();
    const first = await bench.replay(endpoint, "failed");
    now = seconds(1);
    const second = await bench.replay(endpoint, "failed");
    const page = await bench.api.call("GET", "/api/v1/webhooks/replays?limit=1");
    expect(page.body.items.map(({ id }) => id)).toEqual([second]);
    const rest = await bench.api.call("GET", `/api/v1/webhooks/replays?cursor=${page.body.nextCursor}`);
    expect(rest.body.items.map(({ id }) => id)).toEqual([first]);
    expect(rest.body.nextCursor).toBeNull();
  });

  test("who and why is noted", async () => {
    const { endpoint } = await everyStatus();
    const reason = "The CRM was down.";
    const id = await bench.replay(endpoint, "missing", { reason, ratePerSecond: 1 });
    const { body } = await bench.api.call("GET", `/api/v1/audit-log?subject=${id}`);
    expect(body.items).toMatchObject([
      {
        actor: "test",
        action: "replay_started",
        reason,
        details: { which: "missing", endpointIds: [endpoint] },
      },
    ]);
    expect(await bench.read(id)).toMatchObject({ createdBy: "test", reason });
  });
});
