import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { sql } from "kysely";
import pino from "pino";
import {
  createCampaign,
  createContacts,
  createCustomer,
  enroll,
  listRuns,
  projectAll,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { createEgress } from "../egress/client.ts";
import { resolveBySystem } from "../egress/resolve.ts";
import { runWebhooks } from "./run-webhooks.ts";
import { takeWebhookCalls } from "./webhook-queries.ts";

let database: TestDatabase;
let server: http.Server;
let requests: { method: string; url: string; key: string; type: string; body: string }[] = [];
let respond: (response: http.ServerResponse) => void;

const open = createEgress({ allow: ["127.0.0.1"], resolve: resolveBySystem });

beforeAll(async () => {
  database = await createTestDatabase();
  server = http.createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += String(chunk);
    });
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const key = String(headers["idempotency-key"]);
      requests.push({ method, url, key, type: headers["content-type"] ?? "", body });
      respond(response);
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
});

afterAll(async () => {
  open.close();
  server.closeAllConnections();
  server.close();
  await database.close();
});

beforeEach(() => {
  requests = [];
  respond = (response) => response.end(`{"data":{"score":7}}`);
});

const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/score`;

/** A campaign that begins with a webhook and goes on by how it went, with its contacts enrolled and at it. */
async function play(contacts: number, settings: Record<string, unknown> = {}) {
  const customerId = await createCustomer(database.db);
  const campaign = await createCampaign(database.db, customerId, {
    nodes: [
      { id: "hook", type: "webhook", url: url(), output: { score: "data.score" }, ...settings },
      { id: "went", type: "wait", duration: "P1D" },
      { id: "broke", type: "wait", duration: "P1D" },
    ],
    edges: [
      { id: "e1", from: "hook", to: "went", firesWhen: "sent" },
      { id: "e2", from: "hook", to: "broke", firesWhen: "failed" },
    ],
  });
  await createContacts(database.db, customerId, contacts);
  await enroll(database.db, campaign, { all: true });
  await projectAll(database.db);
  return campaign;
}

/** Makes calls until so many were made, lets them end, and projects what came of it. */
async function call(count: number, egress = open): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let sent = 0;
  const counting = {
    ...egress,
    async send(request: Parameters<typeof egress.send>[0]) {
      const result = await egress.send(request);
      sent += 1;
      if (sent === count) resolve();
      return result;
    },
  };
  const worker = runWebhooks({
    db: database.db,
    egress: counting,
    onAppend: () => {},
    now: Date.now,
    random: () => 0.5,
    log: pino({ level: "silent" }),
  });
  await promise;
  await worker.stop();
  await projectAll(database.db);
}

async function runsOf(campaignId: string) {
  const runs = await listRuns(database.db, campaignId);
  return runs.map(({ nodeId, status, output }) => ({ nodeId, status, output }));
}

async function attempts(): Promise<{ attempts: number; reason: string | null; inSeconds: number }[]> {
  const { rows } = await sql<{ attempts: number; reason: string | null; inSeconds: number }>`
    select w.attempts, w.last_reason as reason, round(extract(epoch from r.due_at - now()))::int as "inSeconds"
    from webhook_call w join node_run r on r.customer_id = w.customer_id and r.id = w.run_id`.execute(
    database.db,
  );
  return rows;
}

test("a webhook that is answered gives its run an output and fires its sent edges", async () => {
  const { campaignId } = await play(1);
  await call(1);
  expect(await runsOf(campaignId)).toEqual([
    { nodeId: "hook", status: "completed", output: { status: 200, score: 7 } },
    { nodeId: "went", status: "waiting", output: {} },
  ]);
  const [run] = await listRuns(database.db, campaignId);
  expect(requests).toMatchObject([{ method: "POST", url: "/score", type: "application/json", key: run?.id }]);
  expect(JSON.parse(requests[0]?.body ?? "")).toMatchObject({
    runId: run?.id,
    nodeId: "hook",
    contact: { email: "c0@example.com" },
  });
  expect(await attempts()).toEqual([]);
});

test("a webhook that is refused for good fires its failed edges", async () => {
  respond = (response) => response.writeHead(404).end();
  const { campaignId } = await play(1);
  await call(1);
  expect(await runsOf(campaignId)).toEqual([
    {
      nodeId: "hook",
      status: "failed",
      output: { failed: true, status: 404, reason: "The server answered 404." },
    },
    { nodeId: "broke", status: "waiting", output: {} },
  ]);
});

test("a webhook whose server is down is called again later, with the same key", async () => {
  respond = (response) => response.writeHead(503).end();
  const { campaignId } = await play(1);
  await call(1);
  expect(await runsOf(campaignId)).toMatchObject([{ nodeId: "hook", status: "waiting" }]);
  expect(await attempts()).toEqual([{ attempts: 1, reason: "The server answered 503.", inSeconds: 10 }]);
  await sql`update node_run set due_at = now() where campaign_id = ${campaignId}`.execute(database.db);
  respond = (response) => response.end("{}");
  await call(1);
  expect(await runsOf(campaignId)).toMatchObject([
    { nodeId: "hook", status: "completed" },
    { nodeId: "went" },
  ]);
  expect(new Set(requests.map(({ key }) => key)).size).toBe(1);
});

test("an address inside the operator's network is not called, and the run says why", async () => {
  const guarded = createEgress({ allow: [], resolve: resolveBySystem });
  const { campaignId } = await play(1);
  await call(1, guarded);
  expect(requests).toEqual([]);
  expect(await runsOf(campaignId)).toMatchObject([
    { nodeId: "hook", status: "failed", output: { reason: expect.stringContaining("not public") } },
    { nodeId: "broke" },
  ]);
  guarded.close();
});

test("a body of its own is a template; GET has none", async () => {
  await play(1, { body: `{"mail": {{ contact.email | json }}, "of": {{ campaign.name | json }}}` });
  await call(1);
  expect(JSON.parse(requests[0]?.body ?? "")).toEqual({ mail: "c0@example.com", of: "Test" });
  await play(1, { method: "GET" });
  await call(1);
  expect(requests[1]).toMatchObject({ method: "GET", body: "", type: "" });
});

test("a body that can't be made for a contact fails his run alone", async () => {
  const { campaignId } = await play(1, { body: "{{ contact.attributes.plan }}" });
  const worker = runWebhooks({
    db: database.db,
    egress: open,
    onAppend: () => ended.resolve(),
    now: Date.now,
    random: () => 0.5,
    log: pino({ level: "silent" }),
  });
  const ended = Promise.withResolvers<void>();
  await ended.promise;
  await worker.stop();
  await projectAll(database.db);
  expect(requests).toEqual([]);
  expect(await runsOf(campaignId)).toMatchObject([
    {
      nodeId: "hook",
      status: "failed",
      output: { reason: expect.stringContaining("contact.attributes.plan") },
    },
    { nodeId: "broke" },
  ]);
});

test("the calls of a hundred contacts are each made once by two workers at the same time", async () => {
  const { campaignId } = await play(100);
  await Promise.all([call(1), call(1)]);
  while (requests.length < 100) await call(1);
  expect(requests.length).toBe(100);
  expect(new Set(requests.map(({ key }) => key)).size).toBe(100);
  const runs = await runsOf(campaignId);
  expect(runs.filter(({ nodeId }) => nodeId === "went").length).toBe(100);
});

test("a campaign takes no more than its share of the calls, and none while it is paused", async () => {
  const many = await play(20);
  const few = await play(1);
  const limits = { total: 64, perCampaign: 16, busy: new Map([[many.campaignId, 10]]), leaseMs: 1_000 };
  const taken = () => database.db.transaction().execute((db) => takeWebhookCalls(db, limits));
  const calls = await taken();
  expect(calls.filter(({ campaignId }) => campaignId === many.campaignId).length).toBe(6);
  expect(calls.filter(({ campaignId }) => campaignId === few.campaignId).length).toBe(1);
  await sql`update campaign set status = 'paused' where id in (${many.campaignId}, ${few.campaignId})`.execute(
    database.db,
  );
  expect(await taken()).toEqual([]);
});
