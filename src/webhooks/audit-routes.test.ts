import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { createTestApp, type TestApp } from "../../test/support/app.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { auditRoutes } from "./audit-routes.ts";
import { endpointRoutes } from "./endpoint-routes.ts";
import { endpointStatusRoutes } from "./endpoint-status-routes.ts";
import { secretRoutes } from "./secret-routes.ts";

const LOG = "/api/v1/audit-log";
const ENDPOINTS = "/api/v1/webhooks/endpoints";
const PASSWORD = "hunter2hunter2";

let api: TestApp;
let endpoint: string;

beforeAll(async () => {
  const deps = { encryptionKey: TEST_ENCRYPTION_KEY, randomBytes, isOpened: async () => false };
  api = await createTestApp([
    endpointRoutes({ ...deps, egress: { refusal: async () => null } }),
    endpointStatusRoutes({ onAppend: () => {} }),
    secretRoutes(deps),
    auditRoutes(),
  ]);
  const url = `https://hooks.example.com/edgr?token=${PASSWORD}`;
  endpoint = (await api.call("POST", ENDPOINTS, { body: { type: "custom", url } })).body.id;
  await api.call("PATCH", `${ENDPOINTS}/${endpoint}`, { body: { headers: { "X-Key": PASSWORD } } });
  await api.call("POST", `${ENDPOINTS}/${endpoint}/disable`, { body: { reason: "The CRM moves." } });
  await api.call("POST", `${ENDPOINTS}/${endpoint}/disable`, { body: { reason: "Again." } });
  await api.call("POST", `${ENDPOINTS}/${endpoint}/enable`);
  await api.call("POST", `${ENDPOINTS}/${endpoint}/secrets/rotate`, { body: {} });
  const { items } = (await api.call("GET", `${ENDPOINTS}/${endpoint}/secrets`)).body;
  await api.call("DELETE", `${ENDPOINTS}/${endpoint}/secrets/${items[1]?.id}`);
  await api.call("DELETE", `${ENDPOINTS}/${endpoint}`);
});
afterAll(() => api.close());

const list = async (query = "") => (await api.call("GET", `${LOG}${query}`)).body;

test("every change of an endpoint is noted once, with who made it and why, and no secret", async () => {
  const { items } = await list();
  expect(items.map(({ action, reason }) => [action, reason])).toEqual([
    ["endpoint_deleted", null],
    ["secret_revoked", null],
    ["secret_rotated", null],
    ["endpoint_enabled", null],
    ["endpoint_disabled", "The CRM moves."],
    ["endpoint_changed", null],
    ["endpoint_created", null],
  ]);
  expect(new Set(items.map(({ actor, subject }) => `${actor} ${subject}`))).toEqual(
    new Set([`test ${endpoint}`]),
  );
  expect(JSON.stringify(items)).not.toContain(PASSWORD);
});

test("a change that is refused is not noted", async () => {
  const before = (await list()).items.length;
  const answer = await api.call("PATCH", `${ENDPOINTS}/${endpoint}`, { body: { strictOrder: true } });
  expect(answer.status).toBe(404);
  expect((await list()).items).toHaveLength(before);
});

test("it is filtered by action, subject and actor, and read page by page", async () => {
  expect((await list("?action=endpoint_enabled")).items).toHaveLength(1);
  expect((await list(`?subject=${endpoint}`)).items).toHaveLength(7);
  expect((await list("?subject=another")).items).toEqual([]);
  expect((await list("?actor=test&action=secret_rotated")).items).toHaveLength(1);
  expect((await list("?actor=somebody")).items).toEqual([]);
  const first = await list("?limit=4");
  const second = await list(`?limit=4&cursor=${first.nextCursor}`);
  expect([first.items.length, second.items.length, second.nextCursor]).toEqual([4, 3, null]);
  expect((await api.call("GET", `${LOG}?action=endpoint_painted`)).status).toBe(400);
});

test("another customer sees nothing of it", async () => {
  const other = await api.createCustomer("other");
  expect((await api.call("GET", LOG, { customer: other })).body.items).toEqual([]);
});
