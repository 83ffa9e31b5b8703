import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { createTestApp, type TestApp, type TestCustomer } from "../../test/support/app.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { routesOnOneThing } from "../../test/support/whole-app.ts";
import { openEndpoint } from "./endpoint-queries.ts";
import { endpointRoutes } from "./endpoint-routes.ts";
import { endpointStatusRoutes } from "./endpoint-status-routes.ts";
import { secretRoutes } from "./secret-routes.ts";
import { testRoutes } from "./test-routes.ts";

const ENDPOINTS = "/api/v1/webhooks/endpoints";

let api: TestApp;
let thief: TestCustomer;
let owned: { endpoint: string; secret: string };

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
];

beforeAll(async () => {
  const encryptionKey = TEST_ENCRYPTION_KEY;
  const egress = { refusal: async () => null };
  const attempt = async () => {
    throw new Error("nothing is sent to another customer's endpoint");
  };
  api = await createTestApp([
    endpointRoutes({ encryptionKey, randomBytes, egress, isOpened: async () => false }),
    endpointStatusRoutes({ onAppend: () => {} }),
    secretRoutes({ encryptionKey, randomBytes }),
    testRoutes({ publicUrl: "https://edgr.example.com", now: () => new Date(), attempt }),
  ]);
  thief = await api.createCustomer("thief");
  const { body } = await api.call("POST", ENDPOINTS, {
    body: { type: "custom", url: "https://mine.example.com/" },
  });
  const secrets = await api.call("GET", `${ENDPOINTS}/${body.id}/secrets`);
  owned = { endpoint: body.id, secret: secrets.body.items[0]?.id ?? "" };
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
      (select count(*) from webhook_delivery where ${of}) as deliveries,
      (select count(*) from event_log where ${of}) as events`.execute(api.database.db);
  return JSON.stringify(rows);
}

test("the table above has every route of the app on an endpoint", async () => {
  const documented = (await routesOnOneThing(api.database)).filter((route) =>
    route.includes(" /webhooks/endpoints/"),
  );
  expect(tries.map(([method, path]) => `${method} ${path}`).toSorted()).toEqual(documented.toSorted());
});

test.each(tries)("%s %s answers another customer that there is no such thing", async (method, path, body) => {
  const before = await contents();
  const address = path.replace("{id}", owned.endpoint).replace("{secretId}", owned.secret);
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
