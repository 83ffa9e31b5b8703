import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";

/**
 * Waits until the projector is between two batches and keeps it there until the transaction ends: an event is either
 * matched by what an endpoint was before, or by what it is made now. To be called before anything is appended to the
 * log, for whose appenders the projector may be waiting.
 * @returns the position of the last event that was matched by what was before
 */
export async function holdMatching(db: Db): Promise<number> {
  const { rows } = await sql<{ position: number }>`
    select position from projector_cursor where name = 'projector' for update`.execute(db);
  const [cursor] = rows;
  if (cursor === undefined) throw new Error("the projector's cursor is missing");
  return cursor.position;
}

/**
 * Keeps what the endpoint matches from now on, under its present version: what tells why an event was not sent to it.
 * @param position of `holdMatching`
 */
export async function recordState(db: Db, customerId: string, id: string, position: number): Promise<void> {
  await sql`
    insert into webhook_endpoint_state (customer_id, endpoint_id, version, since_position, type, type_patterns,
      event_types, campaign_ids, include_automatic, digest_patterns, digest_seconds, status, reason)
    select customer_id, id, version, ${position}, type, type_patterns, event_types, campaign_ids, include_automatic,
      digest_patterns, digest_seconds, status, disabled_reason
    from webhook_endpoint where customer_id = ${customerId} and id = ${id}`.execute(db);
}
