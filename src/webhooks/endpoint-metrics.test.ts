import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { Registry } from "prom-client";
import { createTestApp, type TestApp, type TestCustomer } from "../../test/support/app.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { newId } from "../events/id.ts";
import { type EndpointMetricsDeps, watchEndpoints } from "./endpoint-metrics.ts";
import { endpointRoutes } from "./endpoint-routes.ts";
import { BACKLOG_LIMITS, type Backlog, type BacklogLimits, selectBacklogs } from "./metrics-queries.ts";

const HOUR_S = 3_600;

let api: TestApp;

beforeAll(async () => {
  const egress = { refusal: async () => null };
  const deps = { egress, isOpened: async () => false, encryptionKey: TEST_ENCRYPTION_KEY, randomBytes };
  api = await createTestApp([endpointRoutes(deps)]);
});
beforeEach(async () => {
  await sql`delete from webhook_delivery`.execute(api.database.db);
  await sql`delete from webhook_endpoint`.execute(api.database.db);
});
afterAll(() => api.close());

async function createEndpoint(customer = api.customer): Promise<string> {
  const body = { type: "custom", url: "https://example.com/hooks" };
  return (await api.call("POST", "/api/v1/webhooks/endpoints", { body, customer })).body.id;
}

type Owed = { count?: number; position?: number; waitsS?: number; status?: "pending" | "delivered" };

async function owe(endpointId: string, owed: Owed = {}, customer = api.customer): Promise<void> {
  const { count = 1, position = 1, waitsS = 0, status = "pending" } = owed;
  await sql`
    insert into webhook_delivery (customer_id, endpoint_id, event_id, kind, event_type, event_at, position, status,
      due_at, finished_at, schedule_at)
    select ${customer.id}, ${endpointId}, new_id(), 'event', 'unsubscribed', now(), ${position}::bigint + n, ${status},
      case when ${status} = 'pending' then now() end, case when ${status} <> 'pending' then now() end, now() - make_interval(secs => ${waitsS})
    from generate_series(0, ${count}::int - 1) as n`.execute(api.database.db);
}

async function backlog(endpointId: string): Promise<Backlog | undefined> {
  return (await selectBacklogs(api.database.db)).find((row) => row.endpointId === endpointId);
}

describe("what waits for an endpoint", () => {
  test("is counted, and nothing else is", async () => {
    const [busy, idle] = [await createEndpoint(), await createEndpoint()];
    await owe(busy, { count: 3 });
    await owe(busy, { count: 2, position: 10, status: "delivered" });
    await owe(idle, { status: "delivered" });
    expect(await backlog(busy)).toMatchObject({ customerId: api.customer.id, pending: 3, isDisabled: false });
    expect(await backlog(idle)).toMatchObject({ pending: 0, oldestPendingS: 0 });
  });

  test("is counted no further than anybody needs, nor than the time for all of them allows", async () => {
    const ids = [await createEndpoint(), await createEndpoint()];
    for (const id of ids) await owe(id, { count: 10 });
    const counted = async (limits: Partial<BacklogLimits>) =>
      (await selectBacklogs(api.database.db, { ...BACKLOG_LIMITS, ...limits })).map(({ pending }) => pending);
    expect(await counted({})).toEqual([10, 10]);
    expect(await counted({ counted: 7 })).toEqual([7, 7]);
    expect(await counted({ countedInAll: 9 })).toEqual([4, 4]);
    expect(await counted({ countedInAll: 1 })).toEqual([1, 1]);
  });

  test("waits as long as the oldest does, also when a replay has opened older events again", async () => {
    const id = await createEndpoint();
    await owe(id, { count: 50, position: 1 });
    await owe(id, { position: 100, waitsS: 2 * HOUR_S });
    await owe(id, { position: 101, waitsS: HOUR_S });
    const waits = (await backlog(id))?.oldestPendingS ?? 0;
    expect(waits).toBeGreaterThanOrEqual(2 * HOUR_S);
    expect(waits).toBeLessThan(3 * HOUR_S);
  });

  test("is told of an endpoint that is disabled, too", async () => {
    const id = await createEndpoint();
    await owe(id);
    await sql`
      update webhook_endpoint set status = 'disabled', disabled_by = 'gone', disabled_at = now()
      where id = ${id}`.execute(api.database.db);
    expect(await backlog(id)).toMatchObject({ pending: 1, isDisabled: true });
  });

  test("is each customer's own", async () => {
    const neighbour = await api.createCustomer("metrics");
    const of = async (customer: TestCustomer, count: number) => {
      const id = await createEndpoint(customer);
      await owe(id, { count }, customer);
      return { customerId: customer.id, endpointId: id, pending: count };
    };
    const expected = [await of(api.customer, 2), await of(neighbour, 1)];
    const rows = await selectBacklogs(api.database.db);
    expect(rows).toHaveLength(2);
    for (const row of expected) expect(rows).toContainEqual(expect.objectContaining(row));
  });
});

test("of more endpoints than are shown, those for which something waits are", async () => {
  await createEndpoint();
  await createEndpoint();
  const third = await createEndpoint();
  await owe(third);
  const shown = async (endpoints: number) =>
    (await selectBacklogs(api.database.db, { ...BACKLOG_LIMITS, endpoints })).map((row) => row.endpointId);
  expect(await shown(1)).toEqual([third]);
  expect(await shown(2)).toContain(third);
  expect(await shown(2)).toHaveLength(2);
  for (const id of await shown(3)) await owe(id, { position: 100 });
  expect(await shown(2)).toHaveLength(2);
});

describe("the gauges", () => {
  const [customerId, endpointId] = [newId(), newId()];
  const one: Backlog = { customerId, endpointId, pending: 2, oldestPendingS: 61.5, isDisabled: true };

  function watched(read: EndpointMetricsDeps["read"], answerWithinMs = 1_000) {
    const registry = new Registry();
    const warnings: string[] = [];
    const log = { warn: (_: object, message: string) => void warnings.push(message) };
    watchEndpoints(registry, { read, answerWithinMs, log });
    return { registry, warnings };
  }

  test("show each endpoint under its id, as it is when they are asked for, by one look into the database", async () => {
    let reads = 0;
    let rows = [one];
    const { registry } = watched(async () => {
      reads += 1;
      return rows;
    });
    const text = await registry.metrics();
    const labels = `{customer="${customerId}",endpoint="${endpointId}"}`;
    for (const line of ["pending", "oldest_pending_seconds", "endpoint_disabled"].map((name, index) => {
      return `\nedgr_webhook_${name}${labels} ${[2, 61.5, 1][index]}\n`;
    }))
      expect(`${text}\n`).toContain(line);
    expect(reads).toBe(1);
    rows = [];
    expect(await registry.metrics()).not.toContain(endpointId);
    expect(reads).toBe(2);
  });

  test("are left out when the database fails, and that is said once each time", async () => {
    const { registry, warnings } = watched(() => Promise.reject(new Error("gone away")));
    expect(await registry.metrics()).not.toContain(endpointId);
    expect(warnings).toHaveLength(1);
  });

  test("keep nobody waiting for a database that does not answer, and do not ask it again meanwhile", async () => {
    let reads = 0;
    const { promise, resolve } = Promise.withResolvers<Backlog[]>();
    const { registry, warnings } = watched(() => {
      reads += 1;
      return promise;
    }, 1);
    await registry.metrics();
    await registry.metrics();
    expect([reads, warnings.length]).toEqual([1, 2]);
    resolve([one]);
    expect(await registry.metrics()).toContain(endpointId);
  });
});
