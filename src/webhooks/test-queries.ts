import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";

export type TestDelivery = { id: string; eventId: string; eventType: string; at: Date; payload: string };

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
