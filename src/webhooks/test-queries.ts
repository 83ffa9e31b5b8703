import { sql } from "kysely";
import type { Json } from "../events/event.ts";
import type { Db } from "../storage/pool.ts";

export type TestDelivery = { id: string; eventId: string; eventType: string; at: Date; payload: string };

/** What came of an attempt. */
export type TestAttempt = {
  id: string;
  startedAt: Date;
  finishedAt: Date | null;
  outcome: "running" | "delivered" | "failed" | "interrupted";
  status: number | null;
  failure: string | null;
  reason: string | null;
  address: string | null;
  timings: { [name: string]: number | null } | null;
  requestHeaders: { [name: string]: Json } | null;
  responseHeaders: { [name: string]: Json } | null;
  responseBody: string | null;
  isTruncated: boolean | null;
};

/**
 * Owes an endpoint an example.
 * @param leaseSeconds no worker takes it before: whoever made it makes the attempt
 */
export async function insertTestDelivery(
  db: Db,
  customerId: string,
  endpointId: string,
  delivery: TestDelivery,
  leaseSeconds: number,
): Promise<void> {
  await sql`
    insert into webhook_delivery (customer_id, endpoint_id, event_id, id, kind, event_type, event_at, position, status,
      due_at, trigger, payload)
    values (${customerId}, ${endpointId}, ${delivery.eventId}, ${delivery.id}, 'test', ${delivery.eventType},
      ${delivery.at}, 0, 'pending', now() + make_interval(secs => ${leaseSeconds}), 'manual', ${delivery.payload})`.execute(
    db,
  );
}

/** An example is tried once: somebody waits for what comes of it. */
export async function endTestDelivery(db: Db, customerId: string, id: string): Promise<void> {
  await sql`
    update webhook_delivery set status = 'failed', due_at = null, finished_at = now()
    where customer_id = ${customerId} and id = ${id} and status = 'pending'`.execute(db);
}

/** The attempt that was made of a delivery, the last one. */
export async function findLastAttempt(
  db: Db,
  customerId: string,
  deliveryId: string,
): Promise<TestAttempt | null> {
  const { rows } = await sql<TestAttempt>`
    select id, started_at as "startedAt", finished_at as "finishedAt", outcome, status, failure, reason, address,
      timings, request_headers as "requestHeaders", response_headers as "responseHeaders",
      response_body as "responseBody", is_truncated as "isTruncated"
    from webhook_attempt where customer_id = ${customerId} and delivery_id = ${deliveryId}
    order by id desc limit 1`.execute(db);
  return rows[0] ?? null;
}
