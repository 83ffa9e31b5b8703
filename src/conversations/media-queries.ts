import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";

/** What of a message that somebody sent to a bot is stored, and the bot. */
export type StoredMedia = { credentialId: string; media: unknown };

/** @returns null for a message that is none of these, or has nothing in that place */
export async function findMedia(
  db: Db,
  customerId: string,
  messageId: string,
  index: number,
): Promise<StoredMedia | null> {
  const { rows } = await sql<StoredMedia>`
    select credential_id as "credentialId", media->(${index}::int) as media
    from inbound_telegram
    where customer_id = ${customerId} and message_id = ${messageId} and media->(${index}::int) is not null`.execute(
    db,
  );
  return rows[0] ?? null;
}
