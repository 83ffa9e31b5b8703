import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  append,
  beginCampaign,
  createCustomer,
  eventOf,
  listRuns,
  projectAll,
  TEST_ENCRYPTION_KEY,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import {
  areDueAfter,
  createEndpoint,
  deliverDeps,
  happen,
  listAttempts,
  listDeliveries,
  loopbackEgress,
  passWaits,
  startDeliveries,
} from "../../test/support/delivering.ts";
import { until } from "../../test/support/installation.ts";
import {
  hang,
  ok,
  type Received,
  type Sink,
  startSink,
  status,
  verifyWithLibraries,
} from "../../test/support/sink.ts";
import type { Egress } from "../egress/client.ts";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { attemptDelivery } from "./deliver.ts";
import type { Deliveries } from "./run-deliveries.ts";
import { addSecret, newSecret } from "./secrets.ts";
import { verify } from "./sign.ts";

let database: TestDatabase;
let egress: Egress;
let sink: Sink;
let customerId: string;
let workers: Deliveries[] = [];
let logged: string[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

beforeEach(async () => {
  customerId = await createCustomer(database.db);
  sink = await startSink();
  egress = loopbackEgress();
});
afterEach(async () => {
  sink.cut();
  await Promise.all(workers.map((worker) => worker.stop()));
  workers = [];
  logged = [];
  // What is left over is nothing to the next test's workers.
  await sql`update webhook_endpoint set status = 'disabled', disabled_by = 'person'`.execute(database.db);
  egress.close();
  await sink.close();
});

function work(): Deliveries {
  const log = { error: (_details: object, message: string) => void logged.push(message) };
  const worker = startDeliveries(database.db, egress, { log });
  workers.push(worker);
  return worker;
}

const endpoint = (path = "/", settings = {}) =>
  createEndpoint(database.db, customerId, sink.url(path), settings);
const deliveries = () => listDeliveries(database.db, customerId);
const attempts = () => listAttempts(database.db, customerId);
const statuses = async () => (await deliveries()).map((delivery) => delivery.status);
const allAre = (wanted: string) => until(async () => (await statuses()).every((found) => found === wanted));

test("what happened is delivered once, signed, with the customer's headers, of which the log shows no value", async () => {
  const { secret, publicKey } = await endpoint("/hook?key=a", { headers: { "X-Key": "secret" } });
  const [eventId = ""] = await happen(database.db, customerId);
  work();
  await sink.until(1);
  await allAre("delivered");
  const [got] = sink.received;
  expect(got).toMatchObject({ path: "/hook?key=a", id: `evt_${eventId.replaceAll("-", "")}` });
  expect(got?.headers).toMatchObject({ "x-key": "secret", "content-type": "application/json" });
  expect(JSON.parse(got?.body ?? "")).toMatchObject({
    type: "message_sent",
    data: { id: eventId, isTest: false },
  });
  const at = Number(got?.timestamp);
  for (const key of [secret, publicKey])
    expect(verify(got?.headers ?? {}, got?.body ?? "", key, at)).toEqual({ ok: true });
  const [attempt] = await attempts();
  expect(attempt).toMatchObject({
    number: 1,
    outcome: "delivered",
    status: 200,
    responseBody: "ok",
    isFinished: true,
  });
  expect(attempt?.requestHeaders).toMatchObject({ "X-Key": "•••", "webhook-id": got?.id });
});

test("a retry has the same id and bytes, and another time and signature; both libraries verify first, retry and rotation", async () => {
  const { id, secret } = await endpoint();
  await happen(database.db, customerId);
  sink.at("/", status(500, {}, "oops"));
  work();
  await until(async () => (await deliveries())[0]?.lastFailure !== null);
  const [waiting] = await deliveries();
  expect(waiting).toMatchObject({ status: "pending", attempts: 1 });
  expect(await areDueAfter(database.db, customerId, 5)).toBe(true);
  const newer = newSecret((size) => Buffer.alloc(size, 9));
  await addSecret(database.db, { encryptionKey: TEST_ENCRYPTION_KEY, customerId, endpointId: id }, newer);
  await sql`update webhook_endpoint set updated_at = now() where id = ${id}`.execute(database.db);
  await sql`update contact set email = 'other@example.com' where customer_id = ${customerId}`.execute(
    database.db,
  );
  sink.at("/", ok);
  const firstAt = sink.received[0]?.timestamp;
  await until(async () => String(Math.floor(Date.now() / 1_000)) !== firstAt);
  await passWaits(database.db, customerId);
  await allAre("delivered");
  const [first, retry] = sink.received;
  expect(retry).toMatchObject({ id: first?.id, body: first?.body });
  expect(retry?.timestamp).not.toBe(first?.timestamp);
  expect(retry?.headers["webhook-signature"]).not.toBe(first?.headers["webhook-signature"]);
  for (const [request, secrets] of [
    [first, [secret]],
    [retry, [secret, newer]],
  ] as const) {
    for (const each of secrets) verifyWithLibraries(request, each);
  }
  expect(() => verifyWithLibraries(first, newer)).toThrow();
  expect((await attempts()).map(({ number, outcome, status: code }) => [number, outcome, code])).toEqual([
    [1, "failed", 500],
    [2, "delivered", 200],
  ]);
});

test("what is owed to a disabled endpoint stays so, and is delivered when it is enabled", async () => {
  const { id } = await endpoint();
  await happen(database.db, customerId);
  await setStatus(id, "disabled");
  const other = await endpoint("/other");
  await happen(database.db, customerId);
  const worker = work();
  await until(async () => (await deliveries()).filter((each) => each.status === "delivered").length === 1);
  expect((await deliveries()).map(({ endpointId, status: found }) => [endpointId, found])).toEqual([
    [id, "pending"],
    [other.id, "delivered"],
  ]);
  await setStatus(id, "enabled");
  worker.wake();
  await allAre("delivered");
});

async function setStatus(id: string, state: "enabled" | "disabled"): Promise<void> {
  const by = state === "disabled" ? "person" : null;
  await sql`update webhook_endpoint set status = ${state}, disabled_by = ${by} where id = ${id}`.execute(
    database.db,
  );
}

test("one that wants its events in order gets each after the one before was delivered, also from two workers", async () => {
  await endpoint("/", { strictOrder: true });
  const ids = await happen(database.db, customerId, 30);
  let failures = 0;
  sink.at("/", (response, received) => {
    const isThird = JSON.parse(received.body).data.id === ids[2];
    if (!isThird || failures === 2) return ok(response, received);
    failures += 1;
    status(500)(response, received);
  });
  work();
  work();
  for (let failed = 1; failed <= 2; failed += 1) {
    await until(async () => (await attempts()).filter((each) => each.outcome === "failed").length === failed);
    await passWaits(database.db, customerId);
  }
  await allAre("delivered");
  const got = sink.received.map(({ body }) => JSON.parse(body).data.id);
  expect(got).toEqual([ids[0], ids[1], ids[2], ids[2], ...ids.slice(2)]);
});

test("an endpoint that hangs holds nobody up", async () => {
  sink.at("/dead", hang);
  const dead = await endpoint("/dead", { maxConcurrency: 100 });
  for (let number = 0; number < 5; number += 1) await endpoint(`/${number}`);
  await happen(database.db, customerId, 200);
  work();
  await until(async () =>
    (await deliveries()).every((each) => each.endpointId === dead.id || each.status === "delivered"),
  );
  const reached = sink.received.filter(({ path }) => path === "/dead").length;
  expect(reached).toBeLessThanOrEqual(100);
  expect(sink.received.length - reached).toBe(1_000);
  sink.at("/dead", ok);
});

test("no more requests are under way at an endpoint than it takes", async () => {
  await endpoint("/", { maxConcurrency: 3 });
  await happen(database.db, customerId, 40);
  let [now, most] = [0, 0];
  sink.at("/", (response, received) => {
    now += 1;
    most = Math.max(most, now);
    setTimeout(() => {
      now -= 1;
      ok(response, received);
    }, 5);
  });
  work();
  await allAre("delivered");
  expect(most).toBe(3);
});

test("no more go to an endpoint in a second than its rate", async () => {
  await endpoint("/", { ratePerSecond: 20, maxConcurrency: 100 });
  await happen(database.db, customerId, 50);
  const begun = performance.now();
  work();
  await sink.until(50);
  // 20 at once, then 20 a second.
  expect(performance.now() - begun).toBeGreaterThan(1_400);
});

test("what was in the hands of a worker that died is sent again when its lease is over, and both are in the log", async () => {
  const { id, secret } = await endpoint();
  await happen(database.db, customerId);
  const [owed] = await deliveries();
  void attemptDelivery(
    deliverDeps(database.db, { send: () => new Promise(() => {}) }),
    customerId,
    owed?.id ?? "",
  );
  await until(async () => (await attempts()).length === 1);
  const rescuer = work();
  await passWaits(database.db, customerId);
  rescuer.wake();
  await happen(database.db, customerId);
  await sink.until(1);
  await until(async () => (await attempts()).some(({ outcome }) => outcome === "delivered"));
  await sql`
    update webhook_attempt set started_at = started_at - interval '2 minutes' where outcome = 'running'
      and endpoint_id = ${id}`.execute(database.db);
  await passWaits(database.db, customerId);
  rescuer.wake();
  await sink.until(2);
  await allAre("delivered");
  expect((await attempts()).map(({ number, outcome }) => [number, outcome])).toEqual([
    [1, "interrupted"],
    [1, "delivered"],
    [2, "delivered"],
  ]);
  verifyWithLibraries(sink.received[1], secret);
});

test("nothing is sent before the server wants it again", async () => {
  const { id } = await endpoint();
  await happen(database.db, customerId, 2);
  sink.at("/", status(429, { "Retry-After": "3600" }));
  const worker = work();
  await until(async () => (await attempts()).some((each) => each.outcome === "failed"));
  // What was being sent when the first was answered comes to its end.
  await until(async () => (await attempts()).every((each) => each.isFinished));
  const { rows } = await sql<{ seconds: number; failures: number }>`
    select extract(epoch from slowed_until - now())::float as seconds, consecutive_failures as failures
    from webhook_health where endpoint_id = ${id}`.execute(database.db);
  expect(Math.round((rows[0]?.seconds ?? 0) / 10)).toBe(360);
  const waits = (await deliveries()).map(({ dueInS }) => Math.round((dueInS ?? 0) / 10));
  expect(waits.every((wait) => wait === 360 || wait <= 0)).toBe(true);
  const before = sink.received.length;
  await passWaits(database.db, customerId);
  await lookedAgain(worker);
  expect(sink.received).toHaveLength(before);
});

/** Resolves when the worker has delivered to another endpoint what happened just now. */
async function lookedAgain(worker: Deliveries): Promise<void> {
  const path = `/witness-${sink.received.length}`;
  const witness = await createEndpoint(database.db, customerId, sink.url(path));
  await happen(database.db, customerId);
  worker.wake();
  await until(async () => sink.received.some((request) => request.path === path));
  await setStatus(witness.id, "disabled");
  sink.received.splice(
    sink.received.findIndex((request) => request.path === path),
    1,
  );
}

test("410 disables the endpoint, which the others are told and it is not", async () => {
  const gone = await endpoint("/gone");
  const other = await endpoint("/other");
  await happen(database.db, customerId);
  sink.at("/gone", status(410));
  work();
  await until(async () => (await statusOf(gone.id)).state === "disabled");
  await setStatus(gone.id, "enabled");
  await projectAll(database.db);
  const { rows } = await sql`
    select endpoint_id as id from webhook_delivery
    where customer_id = ${customerId} and event_type = 'endpoint_disabled'`.execute(database.db);
  expect(rows).toEqual([{ id: other.id }]);
});

async function statusOf(id: string): Promise<{ state: string; by: string | null }> {
  const { rows } = await sql<{ state: string; by: string | null }>`
    select status as state, disabled_by as by from webhook_endpoint where id = ${id}`.execute(database.db);
  return rows[0] ?? { state: "deleted", by: null };
}

test("an endpoint of which everything failed for five days is disabled", async () => {
  const { id } = await endpoint();
  await happen(database.db, customerId);
  await sql`
    update webhook_health set failing_since = now() - interval '6 days', consecutive_failures = 40
    where endpoint_id = ${id}`.execute(database.db);
  sink.at("/", status(500));
  work();
  await until(async () => (await statusOf(id)).state === "disabled");
  expect(await statusOf(id)).toEqual({ state: "disabled", by: "failures" });
  expect(await statuses()).toEqual(["pending"]);
});

test("after failures in a row it waits, then one delivery probes, and more and more follow it", async () => {
  const { id } = await endpoint("/", { maxConcurrency: 10 });
  await happen(database.db, customerId, 60);
  sink.at("/", status(500));
  const worker = work();
  await until(async () => (await healthOf(id)).isOpen);
  // What was being taken when it opened is sent.
  await lookedAgain(worker);
  await until(async () => (await attempts()).every((attempt) => attempt.isFinished));
  const before = sink.received.length;
  expect(before).toBeLessThan(40);
  await passWaits(database.db, customerId);
  await lookedAgain(worker);
  expect(sink.received).toHaveLength(before);
  const probe = Promise.withResolvers<void>();
  sink.at("/", (response, received) => void probe.promise.then(() => ok(response, received)));
  await sql`update webhook_health set open_until = now() where endpoint_id = ${id}`.execute(database.db);
  worker.wake();
  await sink.until(before + 1);
  await lookedAgain(worker);
  expect(sink.received.filter(({ path }) => path === "/")).toHaveLength(before + 1);
  probe.resolve();
  await until(async () =>
    (await deliveries())
      .filter((each) => each.endpointId === id)
      .every((each) => each.status === "delivered"),
  );
  expect(await healthOf(id)).toEqual({ isOpen: false, failures: 0, ramp: null });
});

async function healthOf(id: string): Promise<{ isOpen: boolean; failures: number; ramp: number | null }> {
  const { rows } = await sql<{ isOpen: boolean; failures: number; ramp: number | null }>`
    select open_until is not null as "isOpen", consecutive_failures as failures, ramp
    from webhook_health where endpoint_id = ${id}`.execute(database.db);
  const [row] = rows;
  if (row === undefined) throw new Error("no health");
  return row;
}

test("several workers never send one delivery at the same time, and every one once", async () => {
  for (let number = 0; number < 5; number += 1) await endpoint(`/${number}`);
  await happen(database.db, customerId, 200);
  const inHand = new Set<string>();
  let doubles = 0;
  const seen = (received: Received) => `${received.path} ${received.id}`;
  for (let number = 0; number < 5; number += 1) {
    sink.at(`/${number}`, (response, received) => {
      if (inHand.has(seen(received))) doubles += 1;
      inHand.add(seen(received));
      ok(response, received);
    });
  }
  for (let number = 0; number < 4; number += 1) work();
  await allAre("delivered");
  expect([sink.received.length, new Set(sink.received.map(seen)).size, doubles]).toEqual([1_000, 1_000, 0]);
});

test("a delivery that was cancelled meanwhile stays so when its attempt fails, and was delivered when it was", async () => {
  const answers = [holdAnswers("/fails", 500), holdAnswers("/works", 200)];
  await endpoint("/fails");
  await endpoint("/works");
  await happen(database.db, customerId);
  work();
  await sink.until(2);
  await sql`
    update webhook_delivery set status = 'cancelled', due_at = null, finished_at = now()
    where customer_id = ${customerId}`.execute(database.db);
  for (const answer of answers) answer();
  await until(async () => (await attempts()).every((attempt) => attempt.isFinished));
  expect((await statuses()).toSorted()).toEqual(["cancelled", "delivered"]);
});

/** @returns lets the answers go */
function holdAnswers(path: string, code: number): () => void {
  const held = Promise.withResolvers<void>();
  sink.at(path, (response, received) => void held.promise.then(() => status(code)(response, received)));
  return held.resolve;
}

test.each([[200], [500]])(
  "one that is opened anew while an attempt is answered %d is tried once more at once",
  async (code) => {
    const answer = holdAnswers("/", code);
    await endpoint();
    await happen(database.db, customerId);
    work();
    await sink.until(1);
    await sql`
    update webhook_delivery set status = 'pending', due_at = now(), schedule_from = attempts, schedule_at = now(),
      trigger = 'manual'
    where customer_id = ${customerId}`.execute(database.db);
    sink.at("/", ok);
    answer();
    await allAre("delivered");
    await sink.until(2);
    await allAre("delivered");
    expect((await attempts()).map(({ number, trigger }) => [number, trigger])).toEqual([
      [1, "automatic"],
      [2, "manual"],
    ]);
  },
);

test("when the schedule is at its end the delivery has failed", async () => {
  await endpoint("/", { retrySchedule: [0, 60] });
  await happen(database.db, customerId);
  sink.at("/", status(503));
  const worker = work();
  await sink.until(1);
  await until(async () => (await attempts()).every((attempt) => attempt.isFinished));
  await passWaits(database.db, customerId);
  worker.wake();
  await allAre("failed");
  expect(sink.received).toHaveLength(2);
  expect(await deliveries()).toMatchObject([{ attempts: 2, dueInS: null }]);
});

test("an answer that PostgreSQL could not keep is kept as far as it can", async () => {
  await endpoint();
  await happen(database.db, customerId);
  sink.at("/", status(200, {}, "a\0b\ud800"));
  work();
  await allAre("delivered");
  expect((await attempts())[0]?.responseBody).toStartWith("ab");
});

test("stopping waits for what is under way and records it", async () => {
  const answer = holdAnswers("/", 200);
  await endpoint();
  await happen(database.db, customerId);
  const worker = work();
  await sink.until(1);
  const stopped = worker.stop();
  answer();
  await stopped;
  expect(await statuses()).toEqual(["delivered"]);
});

test("an endpoint whose secrets can't be read fails by the schedule, and the others go on", async () => {
  const broken = await endpoint("/broken");
  await endpoint("/works");
  await sql`update webhook_endpoint set url = '\\x00' where id = ${broken.id}`.execute(database.db);
  await happen(database.db, customerId);
  work();
  await until(async () => (await attempts()).filter((attempt) => attempt.isFinished).length === 2);
  expect((await attempts()).map(({ outcome, failure }) => [outcome, failure]).toSorted()).toEqual([
    ["delivered", null],
    ["failed", "unreadable"],
  ]);
  expect((await deliveries()).find((each) => each.endpointId === broken.id)).toMatchObject({
    status: "pending",
  });
});

test("what the database does not take is kept until it does", async () => {
  const answer = holdAnswers("/", 200);
  await endpoint();
  await happen(database.db, customerId);
  work();
  await sink.until(1);
  await sql`alter table webhook_health rename to webhook_health_away`.execute(database.db);
  answer();
  await until(async () => logged.includes("webhooks: an end is not recorded yet"));
  await sql`alter table webhook_health_away rename to webhook_health`.execute(database.db);
  await allAre("delivered");
  expect(sink.received).toHaveLength(1);
});

test("deliveries of one customer never bring another's words, and a contact that is gone leaves none", async () => {
  const other = await createCustomer(database.db);
  const [contactId, campaignId] = [newId(), newId()];
  await sql`
    insert into contact (customer_id, id, email, attributes) values
      (${other}, ${contactId}, 'other@example.com', '{"name": "Other"}')`.execute(database.db);
  await sql`
    insert into campaign (customer_id, id, name, nodes, edges) values (${other}, ${campaignId}, 'Other', '[]', '[]')`.execute(
    database.db,
  );
  await endpoint();
  const event = {
    id: newId(),
    type: "email_opened",
    at: new Date(),
    customerId,
    contactId,
    campaignId,
  } as const;
  await append(database.db, newEvent(event));
  await projectAll(database.db);
  work();
  await sink.until(1);
  expect(JSON.parse(sink.received[0]?.body ?? "").data).toMatchObject({ contact: null, campaignName: null });
});

test("the body tells who it is about, in which campaign and at which node", async () => {
  const node = { id: "hello", type: "wait", duration: "P1D" };
  const campaign = await beginCampaign(database.db, customerId, { nodes: [node], edges: [] });
  const [run] = await listRuns(database.db, campaign.campaignId);
  if (run === undefined) throw new Error("there is no run");
  await endpoint("/", { eventTypes: ["email_clicked"] });
  const hit = {
    agent: "human",
    userAgent: "Mail",
    ip: "203.0.113.9",
    data: { clickedUrl: "https://example.com/" },
  } as const;
  await append(database.db, eventOf(run, "email_clicked", { contactId: run.contactId, ...hit }));
  await projectAll(database.db);
  work();
  await sink.until(1);
  expect(JSON.parse(sink.received[0]?.body ?? "")).toMatchObject({
    type: "email_clicked",
    data: {
      campaignId: campaign.campaignId,
      campaignName: "Test",
      nodeId: "hello",
      runId: run.id,
      contactId: run.contactId,
      contact: { email: "c0@example.com", telegramChatId: null },
      agent: "human",
      userAgent: "Mail",
      ip: "203.0.113.9",
      data: { clickedUrl: "https://example.com/" },
    },
  });
});
