import { randomBytes } from "node:crypto";
import type { Request } from "../../src/egress/client.ts";
import { failed, type Result } from "../../src/egress/result.ts";
import type { Event } from "../../src/events/event.ts";
import type { Db } from "../../src/storage/pool.ts";
import { auditRoutes } from "../../src/webhooks/audit-routes.ts";
import { attemptDelivery } from "../../src/webhooks/deliver.ts";
import { deliveryActionRoutes } from "../../src/webhooks/delivery-action-routes.ts";
import { deliveryBulkRoutes } from "../../src/webhooks/delivery-bulk-routes.ts";
import { deliveryRoutes } from "../../src/webhooks/delivery-routes.ts";
import { endpointRoutes } from "../../src/webhooks/endpoint-routes.ts";
import { endpointStatusRoutes } from "../../src/webhooks/endpoint-status-routes.ts";
import { secretRoutes } from "../../src/webhooks/secret-routes.ts";
import { type Answer, createTestApp, type TestApp } from "./app.ts";
import { TEST_ENCRYPTION_KEY } from "./campaigns.ts";
import { addEndpoint, happenIn } from "./webhook-api.ts";

export type DeliveryBench = {
  api: TestApp;
  db: Db;
  /** Every request that was made, by `attempt`. */
  sent: Request[];
  /** How often somebody was told that something is due. */
  woken: () => number;
  /** What servers answer from now on: a status, or no answer at all. */
  answerWith(result: Result): void;
  /** What happens while the next request is under way. */
  duringNext(action: () => Promise<unknown>): void;
  /** Of the customer of `api`: appended and projected, so that endpoints that are there are owed it. */
  happen(type: Event["type"], more?: Partial<Event>): Promise<string>;
  createEndpoint(settings?: object): Promise<string>;
  /** The delivery of an event to an endpoint. */
  deliveryOf(endpointId: string, eventId: string): Promise<string>;
  /** Makes an attempt of a delivery now. */
  attempt(id: string): Promise<void>;
  get(path: string): Promise<Answer>;
  post(path: string, body?: object): Promise<Answer>;
};

const PUBLIC_URL = "https://edgr.example.com";

/** An app with endpoints and the log of deliveries, and servers that answer as they are told. */
export async function createDeliveryBench(now: () => Date = () => new Date()): Promise<DeliveryBench> {
  const encryptionKey = TEST_ENCRYPTION_KEY;
  const endpoints = { encryptionKey, randomBytes, isOpened: async () => false };
  const deps = { encryptionKey, publicUrl: PUBLIC_URL, now };
  let result = answered(200, "ok");
  let woken = 0;
  let meanwhile: (() => Promise<unknown>) | null = null;
  const onDue = () => {
    woken += 1;
  };
  const api = await createTestApp([
    endpointRoutes({ ...endpoints, egress: { refusal: async () => null } }),
    endpointStatusRoutes({ onAppend: () => {} }),
    secretRoutes({ encryptionKey, randomBytes }),
    deliveryRoutes(deps),
    deliveryActionRoutes({ ...deps, onDue }),
    deliveryBulkRoutes({ now, onDue }),
    auditRoutes(),
  ]);
  const { db } = api.database;
  const sent: Request[] = [];
  const send = async (request: Request) => {
    sent.push(request);
    const action = meanwhile;
    meanwhile = null;
    if (action !== null) await action();
    return result;
  };
  const delivering = {
    db,
    encryptionKey,
    publicUrl: PUBLIC_URL,
    egress: { send },
    now: () => now().getTime(),
    random: () => 0.5,
    counters: { webhookAttempt: () => {} },
    log: { error: () => {} },
  };
  const get = (path: string) => api.call("GET", `/api/v1${path}`);
  return {
    api,
    db,
    sent,
    woken: () => woken,
    answerWith: (given) => {
      result = given;
    },
    duringNext: (action) => {
      meanwhile = action;
    },
    happen: (type, more) => happenIn(api, type, more),
    createEndpoint: (settings) => addEndpoint(api, settings),
    async deliveryOf(endpointId, eventId) {
      const { body } = await get(`/webhooks/deliveries?endpointId=${endpointId}&eventId=${eventId}`);
      const [delivery] = body.items;
      if (delivery === undefined) throw new Error("the endpoint is not owed the event");
      return delivery.id;
    },
    async attempt(id) {
      const verdict = await attemptDelivery(delivering, api.customer.id, id);
      if (verdict === null) throw new Error("the delivery is not pending, or in hand");
    },
    get,
    post: (path, body) => api.call("POST", `/api/v1${path}`, body === undefined ? {} : { body }),
  };
}

export function answered(status: number, text: string): Result {
  return {
    ok: true,
    status,
    headers: { "content-type": "text/plain" },
    body: Buffer.from(text),
    isTruncated: false,
    address: "203.0.113.9",
    timings: { dnsMs: 1, connectMs: 2, tlsMs: 3, firstByteMs: 4, totalMs: 5 },
  };
}

export function unanswered(): Result {
  return failed("timeout", "Nothing came within 15 seconds.", "203.0.113.9");
}
