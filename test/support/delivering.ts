import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import pino from "pino";
import { createEgress, type Egress } from "../../src/egress/client.ts";
import { newEvent } from "../../src/events/event.ts";
import { newId } from "../../src/events/id.ts";
import type { Db } from "../../src/storage/pool.ts";
import type { DeliverDeps } from "../../src/webhooks/deliver.ts";
import { insertEndpoint, type SealedEndpoint } from "../../src/webhooks/endpoint-edit-queries.ts";
import { sealPart } from "../../src/webhooks/endpoint-seal.ts";
import { type Deliveries, type RunDeliveriesDeps, runDeliveries } from "../../src/webhooks/run-deliveries.ts";
import { addSecret, newSecret } from "../../src/webhooks/secrets.ts";
import { toKeyPair } from "../../src/webhooks/sign.ts";
import { append, projectAll, TEST_ENCRYPTION_KEY } from "./campaigns.ts";

export type TestEndpoint = { id: string; secret: string; publicKey: string };

type Settings = Omit<SealedEndpoint, "url" | "headers"> & { headers: { [name: string]: string } };

/** An endpoint that is told of everything at once, as the routes make it. */
export async function createEndpoint(
  db: Db,
  customerId: string,
  url: string,
  settings: Partial<Settings> = {},
): Promise<TestEndpoint> {
  const id = newId();
  const whose = { encryptionKey: TEST_ENCRYPTION_KEY, customerId, endpointId: id };
  const { signingKey, publicKey } = toKeyPair(randomBytes(32));
  const { headers = {}, ...rest } = settings;
  await insertEndpoint(db, customerId, {
    id,
    type: "custom",
    shownUrl: url,
    description: null,
    eventTypes: ["*"],
    campaignIds: null,
    includeAutomatic: false,
    headerNames: Object.keys(headers),
    ratePerSecond: null,
    maxConcurrency: 10,
    strictOrder: false,
    digestSeconds: null,
    digestTypes: [],
    retrySchedule: null,
    publicKey,
    ...rest,
    url: sealPart(whose, "url", url),
    headers: Object.keys(headers).length === 0 ? null : sealPart(whose, "headers", JSON.stringify(headers)),
    privateKey: sealPart(whose, "signing key", signingKey),
  });
  const secret = newSecret(randomBytes);
  await addSecret(db, whose, secret);
  return { id, secret, publicKey };
}

/** So many events happen, and are owed to whom they are owed. @returns their ids, in order */
export async function happen(db: Db, customerId: string, count = 1): Promise<string[]> {
  const events = Array.from({ length: count }, () =>
    newEvent({ id: newId(), type: "message_sent", at: new Date(), customerId }),
  );
  for (let from = 0; from < count; from += 1_000) await append(db, ...events.slice(from, from + 1_000));
  await projectAll(db, 5_000);
  return events.map(({ id }) => id);
}

/** May reach loopback. */
export function loopbackEgress(): Egress {
  return createEgress({ allow: ["127.0.0.0/8"], resolve: async () => [] });
}

export function deliverDeps(db: Db, egress: Pick<Egress, "send">): DeliverDeps {
  return {
    db,
    egress,
    encryptionKey: TEST_ENCRYPTION_KEY,
    publicUrl: "https://edgr.example.com",
    now: Date.now,
    random: () => 0.5,
    counters: { webhookAttempt: () => {} },
    log: pino({ level: "silent" }),
  };
}

/** A worker, which the test stops. */
export function startDeliveries(
  db: Db,
  egress: Pick<Egress, "send">,
  more: Partial<RunDeliveriesDeps> = {},
): Deliveries {
  return runDeliveries({ ...deliverDeps(db, egress), onAppend: () => {}, ...more });
}

export type SeenDelivery = {
  id: string;
  endpointId: string;
  eventId: string;
  status: string;
  attempts: number;
  /** Seconds from now; null when nothing is due. */
  dueInS: number | null;
  lastFailure: string | null;
};

/** What is owed to a customer's endpoints, in the order in which it happened. */
export async function listDeliveries(db: Db, customerId: string): Promise<SeenDelivery[]> {
  const { rows } = await sql<SeenDelivery>`
    select id, endpoint_id as "endpointId", event_id as "eventId", status, attempts,
      extract(epoch from due_at - now())::float as "dueInS", last_failure as "lastFailure"
    from webhook_delivery where customer_id = ${customerId} order by position, endpoint_id`.execute(db);
  return rows;
}

export type SeenAttempt = {
  deliveryId: string;
  number: number;
  outcome: string;
  trigger: string;
  status: number | null;
  failure: string | null;
  requestHeaders: { [name: string]: string };
  responseBody: string | null;
  isFinished: boolean;
};

/** Every attempt for a customer's endpoints, in the order in which they began. */
export async function listAttempts(db: Db, customerId: string): Promise<SeenAttempt[]> {
  const { rows } = await sql<SeenAttempt>`
    select delivery_id as "deliveryId", number, outcome, trigger, status, failure, request_headers as "requestHeaders",
      response_body as "responseBody", finished_at is not null as "isFinished"
    from webhook_attempt where customer_id = ${customerId} order by id`.execute(db);
  return rows;
}

/**
 * As if the time had come at which everything that waits is tried again. What a worker is writing just now is left as
 * it is: waiting for several of its rows, it could wait for this in turn. So whoever wants a delivery tried again
 * waits first until its attempt has ended.
 */
export async function passWaits(db: Db, customerId: string): Promise<void> {
  await sql`
    update webhook_delivery set due_at = now() - interval '1 second'
    where (customer_id, endpoint_id, event_id) in (
      select customer_id, endpoint_id, event_id from webhook_delivery
      where customer_id = ${customerId} and status = 'pending' and due_at > now() for update skip locked)`.execute(
    db,
  );
}

/** As if no endpoint were to be left alone any longer; of one that a worker is writing just now, nothing is said. */
export async function passPauses(db: Db, customerId: string): Promise<void> {
  await sql`
    update webhook_health set slowed_until = null, open_until = null
    where (customer_id, endpoint_id) in (
      select customer_id, endpoint_id from webhook_health
      where customer_id = ${customerId} and (slowed_until is not null or open_until is not null)
      for update skip locked)`.execute(db);
}

/**
 * Whether every delivery that waits is due so many seconds after the end of its last attempt was written: that was
 * not before the attempt ended, and is past.
 */
export async function areDueAfter(db: Db, customerId: string, seconds: number): Promise<boolean> {
  const { rows } = await sql<{ areDue: boolean }>`
    select coalesce(bool_and(d.due_at - make_interval(secs => ${seconds}) between a.finished_at and now()), false)
      as "areDue"
    from webhook_delivery d
    join webhook_attempt a on a.customer_id = d.customer_id and a.delivery_id = d.id and a.number = d.attempts
    where d.customer_id = ${customerId} and d.status = 'pending'`.execute(db);
  return rows[0]?.areDue === true;
}
