import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { createTestApp, type TestApp, type TestCustomer } from "../../test/support/app.ts";
import { append, TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { routesOnOneThing } from "../../test/support/whole-app.ts";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { deliveryActionRoutes } from "./delivery-action-routes.ts";
import { deliveryBulkRoutes } from "./delivery-bulk-routes.ts";
import { deliveryRoutes } from "./delivery-routes.ts";
import { openEndpoint } from "./endpoint-queries.ts";
import { endpointRoutes } from "./endpoint-routes.ts";
import { endpointStatusRoutes } from "./endpoint-status-routes.ts";
import { eventRoutes } from "./event-routes.ts";
import { replayRoutes } from "./replay-routes.ts";
import { secretRoutes } from "./secret-routes.ts";
import { testRoutes } from "./test-routes.ts";

const ENDPOINTS = "/api/v1/webhooks/endpoints";
const REPLAYS = "/api/v1/webhooks/replays";
const REPLAY = { filter: {}, which: "all" };

let api: TestApp;
let thief: TestCustomer;
let owned: { endpoint: string; secret: string; delivery: string; replay: string; event: string };

/** Every route on one thing, and what another customer tries with it. */
const tries: [method: string, path: string, body: object | null][] = [
  ["GET", "/webhooks/endpoints/{id}", null],
  ["PATCH", "/webhooks/endpoints/{id}", { url: "https://thief.example.com/" }],
  ["DELETE", "/webhooks/endpoints/{id}", null],
  ["POST", "/webhooks/endpoints/{id}/enable", null],
  ["POST", "/webhooks/endpoints/{id}/disable", {}],
  ["POST", "/webhooks/endpoints/{id}/test", {}],
  ["GET", "/webhooks/endpoints/{id}/stats", null],
  ["GET", "/webhooks/endpoints/{id}/secrets", null],
  ["POST", "/webhooks/endpoints/{id}/secrets/rotate", {}],
  ["DELETE", "/webhooks/endpoints/{id}/secrets/{secretId}", null],
  ["GET", "/webhooks/deliveries/{id}", null],
  ["GET", "/webhooks/deliveries/{id}/attempts", null],
  ["POST", "/webhooks/deliveries/{id}/retry", {}],
  ["POST", "/webhooks/deliveries/{id}/cancel", {}],
  ["POST", "/webhooks/deliveries/{id}/resend", { endpointIds: ["01989c2a-7d3c-7cc3-98c4-dc0c0c07398f"] }],
  ["GET", "/webhooks/replays/{id}", null],
  ["PATCH", "/webhooks/replays/{id}", { status: "cancelled" }],
  ["GET", "/events/{id}", null],
  ["GET", "/events/{id}/deliveries", null],
];

beforeAll(async () => {
  const encryptionKey = TEST_ENCRYPTION_KEY;
  const egress = { refusal: async () => null };
  const attempt = async () => {
    throw new Error("nothing is sent to another customer's endpoint");
  };
  const delivering = { encryptionKey, publicUrl: "https://edgr.example.com", now: () => new Date() };
  api = await createTestApp([
    deliveryRoutes(delivering),
    deliveryActionRoutes({ ...delivering, onDue: () => {} }),
    deliveryBulkRoutes({ ...delivering, onDue: () => {} }),
    endpointRoutes({ encryptionKey, randomBytes, egress, isOpened: async () => false }),
    endpointStatusRoutes({ onAppend: () => {} }),
    eventRoutes(),
    secretRoutes({ encryptionKey, randomBytes }),
    replayRoutes({ now: () => new Date() }),
    testRoutes({ publicUrl: "https://edgr.example.com", now: () => new Date(), attempt }),
  ]);
  thief = await api.createCustomer("thief");
  const { body } = await api.call("POST", ENDPOINTS, {
    body: { type: "custom", url: "https://mine.example.com/" },
  });
  const secrets = await api.call("GET", `${ENDPOINTS}/${body.id}/secrets`);
  const { rows } = await sql<{ id: string }>`
    insert into webhook_delivery (customer_id, endpoint_id, event_id, kind, event_type, event_at, position, status, due_at,
      payload)
    values (${api.customer.id}, ${body.id}, new_id(), 'event', 'email_opened', now(), 1, 'pending', now(), '{}')
    returning id`.execute(api.database.db);
  const started = await api.call("POST", REPLAYS, { body: { ...REPLAY, endpointIds: [body.id] } });
  const event = newEvent({
    id: newId(),
    type: "email_opened",
    at: new Date(),
    customerId: api.customer.id,
  });
  await append(api.database.db, event);
  owned = {
    event: event.id,
    replay: started.body.id,
    endpoint: body.id,
    secret: secrets.body.items[0]?.id ?? "",
    delivery: rows[0]?.id ?? "",
  };
});
afterAll(() => api.close());

/** Everything of the first customer that a request could have changed. */
async function contents(): Promise<string> {
  const of = sql`customer_id = ${api.customer.id}`;
  const { rows } = await sql`
    select (select json_agg(e) from webhook_endpoint e where ${of}) as endpoints,
      (select json_agg(s) from webhook_secret s where ${of}) as secrets,
      (select json_agg(h) from webhook_health h where ${of}) as health,
      (select json_agg(s) from webhook_endpoint_state s where ${of}) as states,
      (select json_agg(d) from webhook_delivery d where ${of}) as deliveries,
      (select json_agg(r) from webhook_replay r where ${of}) as replays,
      (select count(*) from event_log where ${of}) as events`.execute(api.database.db);
  return JSON.stringify(rows);
}

test("the table above has every route of the app on an endpoint, a delivery, a replay or an event", async () => {
  const documented = (await routesOnOneThing(api.database)).filter((route) =>
    / \/(webhooks\/(endpoints|deliveries|replays)|events)\//.test(route),
  );
  expect(tries.map(([method, path]) => `${method} ${path}`).toSorted()).toEqual(documented.toSorted());
});

/** What a path is about. */
function ownedAt(path: string): keyof typeof owned {
  if (path.startsWith("/events/")) return "event";
  if (path.startsWith("/webhooks/replays/")) return "replay";
  return path.startsWith("/webhooks/deliveries/") ? "delivery" : "endpoint";
}

test.each(tries)("%s %s answers another customer that there is no such thing", async (method, path, body) => {
  const before = await contents();
  const id = owned[ownedAt(path)];
  const address = path.replace("{id}", id).replace("{secretId}", owned.secret);
  const answer = await api.call(method, `/api/v1${address}`, { body: body ?? undefined, customer: thief });
  expect(answer.status).toBe(404);
  expect(await contents()).toBe(before);
});

test("another customer finds no endpoint in the list, and none to open", async () => {
  expect((await api.call("GET", ENDPOINTS, { customer: thief })).body.items).toEqual([]);
  expect(await openEndpoint(api.database.db, TEST_ENCRYPTION_KEY, thief.id, owned.endpoint)).toBeNull();
});

test("another customer's campaign can't be named", async () => {
  const { rows } = await sql<{ id: string }>`
    insert into campaign (customer_id, id, name, nodes, edges)
    values (${api.customer.id}, new_id(), 'Welcome', '[]', '[]') returning id`.execute(api.database.db);
  const body = { type: "custom", url: "https://mine.example.com/", campaignIds: [rows[0]?.id] };
  expect((await api.call("POST", ENDPOINTS, { body })).status).toBe(201);
  const answer = await api.call("POST", ENDPOINTS, { body, customer: thief });
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "campaignIds.0"]);
});

test("another customer's deliveries are in no list, and no filter reaches them", async () => {
  const before = await contents();
  expect((await api.call("GET", "/api/v1/webhooks/deliveries", { customer: thief })).body.items).toEqual([]);
  const filter = { endpointId: owned.endpoint };
  for (const [action, given] of [
    ["retry", { ...filter, status: "pending" }],
    ["cancel", filter],
  ] as const) {
    const options = { body: { filter: given }, customer: thief };
    const answer = await api.call("POST", `/api/v1/webhooks/deliveries/${action}`, options);
    expect(answer.body).toMatchObject({ matched: 0, changed: 0 });
  }
  expect(await contents()).toBe(before);
});

test("nothing can be sent to another customer's endpoint", async () => {
  const { rows } = await sql<{ id: string }>`
    insert into webhook_delivery (customer_id, endpoint_id, event_id, kind, event_type, event_at, position, status, due_at)
    values (${thief.id}, new_id(), new_id(), 'event', 'email_opened', now(), 1, 'pending', now()) returning id`.execute(
    api.database.db,
  );
  const options = { body: { endpointIds: [owned.endpoint] }, customer: thief };
  const answer = await api.call("POST", `/api/v1/webhooks/deliveries/${rows[0]?.id}/resend`, options);
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "endpointIds.0"]);
});

test("another customer sees no replay, and replays to no endpoint that is not his", async () => {
  expect((await api.call("GET", REPLAYS, { customer: thief })).body.items).toEqual([]);
  for (const dryRun of [true, false]) {
    const body = { ...REPLAY, endpointIds: [owned.endpoint], dryRun };
    const answer = await api.call("POST", REPLAYS, { body, customer: thief });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "endpointIds.0"]);
  }
});

test("a replay tells nothing of what happened to another customer", async () => {
  const { db } = api.database;
  await sql`
    insert into event_log (customer_id, id, type, at) values (${api.customer.id}, new_id(), 'email_opened', now())`.execute(
    db,
  );
  await sql`
    update projector_cursor set position = (select max(position) from event_log) where name = 'projector'`.execute(
    db,
  );
  const endpoint = await api.call("POST", ENDPOINTS, {
    body: { type: "custom", url: "https://thief.example.com/" },
    customer: thief,
  });
  const body = { ...REPLAY, endpointIds: [endpoint.body.id], dryRun: true };
  const answer = await api.call("POST", REPLAYS, { body, customer: thief });
  expect(answer.body).toMatchObject({ scanned: 0, matched: { events: 0 } });
});
