import { afterAll, beforeAll, expect, test } from "bun:test";
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { Hono } from "hono";
import pino from "pino";
import { createTestApp, type TestApp } from "../../test/support/app.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { contactRoutes } from "../contacts/routes.ts";
import { createApiKey, revokeApiKey } from "../customers/api-keys.ts";
import { customerRoutes } from "../customers/routes.ts";
import { suppressionRoutes } from "../suppressions/routes.ts";
import { createApp } from "./app.ts";
import type { ApiEnv, ApiRoutes, Bindings } from "./env.ts";
import { createMetrics } from "./metrics.ts";
import { json } from "./openapi.ts";
import type { Ready } from "./pages.ts";

const PEER = { ip: null };
let api: TestApp;
let clock = new Date("2026-01-01T00:00:00Z");

beforeAll(async () => {
  const resources = [customerRoutes(), contactRoutes(), suppressionRoutes({ now: () => clock })];
  api = await createTestApp(resources, () => clock);
});
afterAll(() => api.close());

/** A route that fails in a way nobody foresaw. */
function brokenRoutes(error: Error): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();
  const route = createRoute({ method: "get", path: "/broken", responses: { 200: json(z.null(), "Never") } });
  routes.openapi(route, () => {
    throw error;
  });
  return routes;
}

function appWith(options: { ready?: Ready; error?: Error; trackingApp?: Hono<{ Bindings: Bindings }> }) {
  const lines: string[] = [];
  const metrics = createMetrics();
  const app = createApp({
    database: api.database,
    config: { publicUrl: "https://edgr.example.com" },
    encryptionKey: TEST_ENCRYPTION_KEY,
    trackingApp: options.trackingApp ?? new Hono(),
    ready: options.ready ?? (async () => ({ ready: true })),
    logger: pino({ level: "info" }, { write: (line) => lines.push(line) }),
    now: () => clock,
    metrics,
    resources: [brokenRoutes(options.error ?? new Error("secret detail"))],
  });
  const get = (path: string) =>
    app.request(path, { headers: { Authorization: `Bearer ${api.customer.key}` } }, PEER);
  return { app, get, lines, metrics };
}

test.each([
  ["no key", {}],
  ["another scheme", { Authorization: "Basic YWxhZGRpbg==" }],
  ["an unknown key", { Authorization: "Bearer edgr_0123456789" }],
  ["an empty key", { Authorization: "Bearer " }],
  ["a key of a megabyte", { Authorization: `Bearer ${"a".repeat(1_000_000)}` }],
])("the API answers 401 to %s", async (_, headers) => {
  const answer = await api.app.request("/api/v1/customer", { headers }, PEER);
  expect(answer.status).toBe(401);
  expect(answer.headers.get("WWW-Authenticate")).toBe('Bearer realm="edgr"');
  expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
  expect(await answer.json()).toMatchObject({ type: "urn:edgr:problem:unauthorized", status: 401 });
});

test("an address nobody has is refused without a key, so that it tells nothing", async () => {
  expect((await api.app.request("/api/v1/nothing", {}, PEER)).status).toBe(401);
});

test("a revoked key stops working within seconds", async () => {
  const { key, id } = await createApiKey(api.database.db, {
    customerName: "test customer",
    name: "short-lived",
  });
  const customer = { id: api.customer.id, key };
  expect((await api.call("GET", "/api/v1/customer", { customer })).status).toBe(200);
  await revokeApiKey(api.database.db, id);
  clock = new Date(clock.getTime() + 10_000);
  expect((await api.call("GET", "/api/v1/customer", { customer })).status).toBe(401);
});

test("an address nobody has is a 404, a method it doesn't take a 405 that names the others", async () => {
  const missing = await api.call("GET", "/api/v1/nothing");
  expect(missing.status).toBe(404);
  expect(missing.body).toMatchObject({ type: "urn:edgr:problem:not_found" });
  const wrong = await api.call("PUT", "/api/v1/contacts", { body: {} });
  expect(wrong.status).toBe(405);
  expect(wrong.headers.get("Allow")).toBe("POST, GET, HEAD");
  expect((await api.call("POST", "/docs")).status).toBe(405);
  expect((await api.call("GET", "/nothing")).status).toBe(404);
});

test("every answer carries a request id, the caller's own if it is fit for a log", async () => {
  const given = await api.call("GET", "/api/v1/customer", { headers: { "X-Request-Id": "job-7.a_B" } });
  expect(given.headers.get("X-Request-Id")).toBe("job-7.a_B");
  for (const path of ["/", "/healthz", "/nothing", "/api/v1/nothing", "/api/v1/customer"]) {
    const answer = await api.call("GET", path, { headers: { "X-Request-Id": "two words" } });
    expect(answer.headers.get("X-Request-Id")).toMatch(/^[0-9a-f-]{36}$/);
  }
});

test("a problem repeats the request id of its header", async () => {
  const answer = await api.call("GET", "/api/v1/nothing");
  expect(answer.body.requestId).toBe(answer.headers.get("X-Request-Id"));
});

test("a fault of ours is a 500 without details, logged once with the request id", async () => {
  const { get, lines } = appWith({});
  const answer = await get("/api/v1/broken");
  expect(answer.status).toBe(500);
  expect(await answer.text()).not.toContain("secret detail");
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    requestId: answer.headers.get("X-Request-Id"),
    err: { message: "secret detail" },
  });
});

test("a database that went away is a 503 that says when to try again", async () => {
  const { get } = appWith({ error: Object.assign(new Error("connect"), { code: "ECONNREFUSED" }) });
  const answer = await get("/api/v1/broken");
  expect(answer.status).toBe(503);
  expect(answer.headers.get("Retry-After")).toBe("5");
});

test("answers of the API are never stored or sniffed", async () => {
  for (const path of ["/api/v1/customer", "/api/v1/nothing"]) {
    const { headers } = await api.call("GET", path);
    expect(headers.get("Cache-Control")).toBe("no-store");
    expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
  }
});

test("HEAD answers as GET does, without a body", async () => {
  const answer = await api.call("HEAD", "/api/v1/customer");
  expect(answer.status).toBe(200);
  expect(answer.text).toBe("");
});

test("tracking hits pass no middleware", async () => {
  const trackingApp = new Hono<{ Bindings: Bindings }>().get("/api/tracking/pixel.gif", (c) => c.text("gif"));
  const { get } = appWith({ trackingApp });
  const answer = await get("/api/tracking/pixel.gif");
  expect(await answer.text()).toBe("gif");
  expect(answer.headers.has("X-Request-Id")).toBe(false);
});

test("a process is up before it is ready", async () => {
  const { get } = appWith({ ready: async () => ({ ready: false, reason: "migrations are running" }) });
  expect((await get("/healthz")).status).toBe(200);
  const answer = await get("/readyz");
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ reason: "migrations are running" });
});

test("a readiness check that fails says not ready, and not why", async () => {
  const { get } = appWith({ ready: () => Promise.reject(new Error("password wrong")) });
  const answer = await get("/readyz");
  expect(answer.status).toBe(503);
  expect(await answer.text()).not.toContain("password");
});

test("a process that takes hits without its database stays in the load balancer, and says what waits", async () => {
  const spool = { events: 2, bytes: 8_192, oldestAt: new Date("2026-11-20T10:00:00Z"), setAside: 0 };
  const { get } = appWith({ ready: async () => ({ ready: "degraded", reason: "it is away", spool }) });
  const answer = await get("/readyz");
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({
    status: "degraded",
    reason: "it is away",
    spool: { ...spool, oldestAt: "2026-11-20T10:00:00.000Z" },
  });
});

test("metrics show the spool as it is when they are asked for", async () => {
  const { get, metrics } = appWith({});
  const spool = { events: 2, bytes: 8_192, oldestAt: new Date(), setAside: 1, drained: 5 };
  metrics.watchSpool(() => spool);
  await get("/metrics");
  spool.drained = 7;
  const text = await (await get("/metrics")).text();
  for (const line of ["events 2", "bytes 8192", "set_aside 1", "drained_total 7", "oldest_age_seconds 0"])
    expect(text).toContain(`\nedgr_spool_${line}`);
});

test("metrics count requests by route pattern, and tracking hits that were not recorded", async () => {
  const { get, metrics } = appWith({});
  await get("/api/v1/broken");
  await get("/made/up/by/a/scanner");
  metrics.badToken("pixel");
  metrics.lateHit("click");
  metrics.lostHit("pixel");
  const text = await (await get("/metrics")).text();
  expect(text).toContain('_count{method="GET",route="/api/v1/broken",status="500"} 1');
  expect(text).toContain('_count{method="GET",route="unmatched",status="404"} 1');
  expect(text).not.toContain("scanner");
  for (const [route, reason] of [
    ["pixel", "bad_token"],
    ["click", "late"],
    ["pixel", "lost"],
  ]) {
    expect(text).toContain(`edgr_tracking_hits_not_recorded_total{route="${route}",reason="${reason}"} 1`);
  }
});
