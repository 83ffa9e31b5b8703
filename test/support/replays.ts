import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import type { Event } from "../../src/events/event.ts";
import type { Db } from "../../src/storage/pool.ts";
import { auditRoutes } from "../../src/webhooks/audit-routes.ts";
import { endpointRoutes } from "../../src/webhooks/endpoint-routes.ts";
import { endpointStatusRoutes } from "../../src/webhooks/endpoint-status-routes.ts";
import { replayRoutes } from "../../src/webhooks/replay-routes.ts";
import { replayNextChunk } from "../../src/webhooks/run-replays.ts";
import { type Answer, type CallOptions, createTestApp, type TestApp } from "./app.ts";
import { TEST_ENCRYPTION_KEY } from "./campaigns.ts";
import { addEndpoint, happenIn } from "./webhook-api.ts";

export type ReplayBench = {
  api: TestApp;
  db: Db;
  /** Of the customer of `api`: appended and projected, so that endpoints that are there are owed it. */
  happen(type: Event["type"], more?: Partial<Event>): Promise<string>;
  createEndpoint(settings?: object): Promise<string>;
  /** `POST /webhooks/replays`. */
  start(body: object, options?: CallOptions): Promise<Answer>;
  read(id: string): Promise<Answer["body"]>;
  change(id: string, body: object): Promise<Answer>;
  /** The ids of the events that are pending at an endpoint because of a replay. */
  opened(endpointId: string): Promise<string[]>;
  /** Starts a replay, runs it to its end and returns its id. */
  replay(endpointId: string, which: string, more?: object): Promise<string>;
  /** Forgets everything but the customer. */
  forget(): Promise<void>;
};

/** An app with endpoints, replays and the audit log; the time is what `now` says. */
export async function createReplayBench(now: () => Date): Promise<ReplayBench> {
  const deps = { encryptionKey: TEST_ENCRYPTION_KEY, randomBytes, isOpened: async () => false };
  const api = await createTestApp([
    endpointRoutes({ ...deps, egress: { refusal: async () => null } }),
    endpointStatusRoutes({ onAppend: () => {} }),
    replayRoutes({ now }),
    auditRoutes(),
  ]);
  const { db } = api.database;
  const path = "/api/v1/webhooks/replays";
  const start = (body: object, options: CallOptions = {}) => api.call("POST", path, { body, ...options });
  return {
    api,
    db,
    happen: (type, more) => happenIn(api, type, more),
    createEndpoint: (settings) => addEndpoint(api, settings),
    start,
    read: async (id) => (await api.call("GET", `${path}/${id}`)).body,
    change: (id, body) => api.call("PATCH", `${path}/${id}`, { body }),
    async opened(endpointId) {
      const deliveries = await listDeliveries(db, endpointId);
      return deliveries
        .filter(({ status, trigger }) => status === "pending" && trigger === "replay")
        .map(({ eventId }) => eventId);
    },
    async replay(endpointId, which, more = {}) {
      const { status, body, text } = await start({ filter: {}, endpointIds: [endpointId], which, ...more });
      if (status !== 201) throw new Error(text);
      await replayAll(db, now());
      return body.id;
    },
    async forget() {
      for (const table of [
        "webhook_replay",
        "webhook_delivery",
        "event_log",
        "webhook_endpoint",
        "audit_log",
      ]) {
        await sql`delete from ${sql.table(table)}`.execute(db);
      }
    },
  };
}

/** Opens chunks until no replay has anything to do at that time; returns how many steps that took. */
export async function replayAll(db: Db, now = new Date()): Promise<number> {
  for (let steps = 0; ; steps += 1) {
    const outcome = await replayNextChunk(db, now, { error: () => {} });
    if (outcome === "idle") return steps;
  }
}

export type ReplayedDelivery = {
  id: string;
  eventId: string;
  endpointId: string;
  status: string;
  trigger: string;
  attempts: number;
  scheduleFrom: number;
  payload: string | null;
  replayId: string | null;
  dueAt: Date | null;
};

/** What is owed to an endpoint, in the order of the log. */
export async function listDeliveries(db: Db, endpointId: string): Promise<ReplayedDelivery[]> {
  const { rows } = await sql<ReplayedDelivery>`
    select id, event_id as "eventId", endpoint_id as "endpointId", status, trigger, attempts,
      schedule_from as "scheduleFrom", payload, replay_id as "replayId", due_at as "dueAt"
    from webhook_delivery where endpoint_id = ${endpointId} order by event_id`.execute(db);
  return rows;
}

/** As if a delivery had been attempted `attempts` times and ended so. */
export async function settle(
  db: Db,
  endpointId: string,
  eventId: string,
  status: "delivered" | "failed" | "cancelled",
  attempts = 3,
): Promise<void> {
  await sql`
    update webhook_delivery set status = ${status}, due_at = null, finished_at = now(), attempts = ${attempts},
      payload = 'the bytes'
    where endpoint_id = ${endpointId} and event_id = ${eventId}`.execute(db);
}

/** So many opens that were projected before any endpoint was there. */
export async function fillLog(db: Db, customerId: string, events: number): Promise<void> {
  await sql`
    insert into event_log (customer_id, id, type, at, agent)
    select ${customerId}, new_id(), 'email_opened', now(), 'human' from generate_series(1, ${events}::int)`.execute(
    db,
  );
  await sql`
    update projector_cursor set position = (select max(position) from event_log) where name = 'projector'`.execute(
    db,
  );
}
