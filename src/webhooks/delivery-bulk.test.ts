import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { sql } from "kysely";
import { answered, createDeliveryBench, type DeliveryBench } from "../../test/support/deliveries.ts";

const LIST = "/webhooks/deliveries";

let bench: DeliveryBench;
let one: string;
let two: string;
/** How much later it is whenever somebody looks. */
let tickMs = 0;
let timeMs = Date.now();

beforeAll(async () => {
  bench = await createDeliveryBench(() => {
    timeMs += tickMs;
    return new Date(timeMs);
  });
  [one, two] = [await bench.createEndpoint(), await bench.createEndpoint()];
});
afterAll(() => bench.api.close());
beforeEach(async () => {
  tickMs = 0;
  bench.answerWith(answered(200, "ok"));
  await sql`truncate webhook_delivery, webhook_attempt, audit_log`.execute(bench.db);
});

/** So many deliveries of an endpoint, as they ended after three attempts. */
async function settled(
  endpointId: string,
  status: string,
  count: number,
  type = "email_opened",
): Promise<void> {
  await sql`
    insert into webhook_delivery (customer_id, endpoint_id, event_id, kind, event_type, event_at, position, status,
      attempts, due_at, finished_at, payload)
    select ${bench.api.customer.id}, ${endpointId}, new_id(), 'event', ${type}, now(), n, ${status}, 3,
      case when ${status} = 'pending' then now() + interval '1 hour' end,
      case when ${status} <> 'pending' then now() end, '{}'
    from generate_series(1, ${count}::int) as n`.execute(bench.db);
}

/** How many deliveries of an endpoint there are, by status, and how many of those are due now with all attempts. */
async function counts(endpointId: string): Promise<Record<string, number>> {
  const { rows } = await sql<{ state: string; total: number }>`
    select case when due_at <= now() and schedule_from = attempts and trigger = 'manual' then 'reopened' else status end
      as state, count(*) as total
    from webhook_delivery where endpoint_id = ${endpointId} group by 1`.execute(bench.db);
  return Object.fromEntries(rows.map(({ state, total }) => [state, total]));
}

async function audit() {
  const { body } = await bench.get("/audit-log");
  return body.items.map(({ action, reason, details }) => ({ action, reason, details }));
}

test("a dry run counts by status and endpoint, and does nothing", async () => {
  await settled(one, "failed", 3);
  await settled(two, "failed", 2);
  await settled(one, "delivered", 4);
  const { status, body } = await bench.post(`${LIST}/retry`, { filter: {}, dryRun: true });
  expect([status, body]).toMatchObject([
    200,
    { matched: 5, byStatus: [{ status: "failed", matched: 5 }], isExact: true, changed: 0, hasMore: false },
  ]);
  const byEndpoint = [
    { endpointId: one, matched: 3 },
    { endpointId: two, matched: 2 },
  ];
  expect(body.byEndpoint).toEqual(byEndpoint.toSorted((a, b) => (a.endpointId < b.endpointId ? -1 : 1)));
  expect([await counts(one), await audit()]).toEqual([{ failed: 3, delivered: 4 }, []]);
});

test("what fits is retried with the whole schedule, and nothing else is", async () => {
  await settled(one, "failed", 3);
  await settled(one, "failed", 2, "unsubscribed");
  await settled(two, "failed", 2);
  const woken = bench.woken();
  const filter = { endpointId: one, eventType: "email_*" };
  const { body } = await bench.post(`${LIST}/retry`, { filter, reason: "They mended it." });
  expect(body).toMatchObject({ matched: 3, changed: 3, hasMore: false, nextCursor: null });
  expect([await counts(one), await counts(two)]).toEqual([{ reopened: 3, failed: 2 }, { failed: 2 }]);
  expect(bench.woken()).toBe(woken + 1);
  const details = { filter: { ...filter, status: "failed" }, matched: 3 };
  expect(await audit()).toEqual([{ action: "deliveries_retried", reason: "They mended it.", details }]);
});

test("what is pending and fits is cancelled", async () => {
  await settled(one, "pending", 3);
  await settled(two, "pending", 1);
  await settled(one, "failed", 1);
  const { body } = await bench.post(`${LIST}/cancel`, { filter: { endpointId: one } });
  expect(body).toMatchObject({ matched: 3, changed: 3 });
  expect([await counts(one), await counts(two)]).toEqual([{ cancelled: 3, failed: 1 }, { pending: 1 }]);
  const details = { filter: { endpointId: one, status: "pending" }, matched: 3 };
  expect(await audit()).toEqual([{ action: "deliveries_cancelled", reason: null, details }]);
});

test("what is being tried just now is not retried, and what somebody holds is passed over", async () => {
  await settled(one, "pending", 3);
  const { rows } = await sql<{ id: string }>`select id from webhook_delivery order by id`.execute(bench.db);
  const [running, held] = rows;
  await sql`
    insert into webhook_attempt (customer_id, delivery_id, endpoint_id, event_id, number, trigger, started_at, outcome)
    select customer_id, id, endpoint_id, event_id, 3, trigger, now(), 'running' from webhook_delivery
    where id = ${running?.id}`.execute(bench.db);
  await bench.db.transaction().execute(async (trx) => {
    await sql`select id from webhook_delivery where id = ${held?.id} for update`.execute(trx);
    const { body } = await bench.post(`${LIST}/retry`, { filter: { status: "pending" } });
    expect(body).toMatchObject({ matched: 3, changed: 1 });
  });
  expect(await counts(one)).toEqual({ reopened: 1, pending: 2 });
});

test("what was for an endpoint that is gone stays as it is", async () => {
  const gone = await bench.createEndpoint();
  await settled(gone, "failed", 2);
  await bench.api.call("DELETE", `/api/v1/webhooks/endpoints/${gone}`);
  const { body } = await bench.post(`${LIST}/retry`, { filter: {} });
  expect([body.changed, await counts(gone)]).toEqual([0, { failed: 2 }]);
});

test("a request ends in time, and the next goes on where it did", async () => {
  await settled(one, "failed", 10_005);
  tickMs = 6_000;
  const filter = { status: "failed" };
  const first = await bench.post(`${LIST}/retry`, { filter });
  expect(first.body).toMatchObject({ matched: 10_005, changed: 5_000, hasMore: true });
  const second = await bench.post(`${LIST}/retry`, { filter, cursor: first.body.nextCursor });
  expect(second.body).toMatchObject({ matched: 5_005, changed: 5_000, hasMore: true });
  const third = await bench.post(`${LIST}/retry`, { filter, cursor: second.body.nextCursor });
  expect(third.body).toMatchObject({ matched: 5, changed: 5, hasMore: false, nextCursor: null });
  expect(await counts(one)).toEqual({ reopened: 10_005 });
});

test("what fits is found behind many that do not", async () => {
  await settled(one, "failed", 2, "unsubscribed");
  await settled(one, "failed", 20_500);
  const { body } = await bench.post(`${LIST}/retry`, { filter: { eventType: "unsubscribed" } });
  expect(body).toMatchObject({ matched: 2, changed: 2, hasMore: false });
});

test.each([
  ["retry", { filter: { status: "lost" } }, "filter.status"],
  ["retry", { filter: { endpoint: "x" } }, "filter.endpoint"],
  ["retry", {}, "filter"],
  ["cancel", { filter: { status: "failed" } }, "filter.status"],
])("%s of %j is refused", async (action, given, field) => {
  const { status, body } = await bench.post(`${LIST}/${action}`, given);
  expect([status, body.errors[0]?.field]).toEqual([400, field]);
});
