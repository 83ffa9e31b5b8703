import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";

export type RememberedAnswer = {
  fingerprint: string;
  status: number;
  /** Of a version before answers were sealed. */
  body: string | null;
  sealed: Buffer | null;
};

/**
 * Takes an idempotency key for the caller's transaction. While another transaction holds the same key this waits
 * for it to end: that is what makes two requests at the same moment one.
 * @returns false when the key is already there
 */
export async function takeIdempotencyKey(
  db: Db,
  customerId: string,
  key: string,
  fingerprint: string,
): Promise<boolean> {
  const { rows } = await sql`
    insert into idempotency_key (customer_id, key, fingerprint)
    values (${customerId}, ${key}, ${fingerprint})
    on conflict (customer_id, key) do nothing
    returning key`.execute(db);
  return rows.length === 1;
}

/** Stores the answer beside the key, in the transaction that took it. */
export async function rememberAnswer(
  db: Db,
  customerId: string,
  key: string,
  answer: { status: number; sealed: Buffer },
): Promise<void> {
  await sql`
    update idempotency_key set status = ${answer.status}, sealed = ${answer.sealed}
    where customer_id = ${customerId} and key = ${key}`.execute(db);
}

export async function findAnswer(db: Db, customerId: string, key: string): Promise<RememberedAnswer | null> {
  const { rows } = await sql<RememberedAnswer>`
    select fingerprint, status, body, sealed from idempotency_key
    where customer_id = ${customerId} and key = ${key} and status is not null`.execute(db);
  return rows[0] ?? null;
}

/**
 * Forgets the answers older than 24 hours, for a timer to call.
 * @returns how many were forgotten
 */
export async function purgeIdempotencyKeys(db: Db): Promise<number> {
  const result = await sql`
    delete from idempotency_key where created_at < now() - interval '24 hours'`.execute(db);
  return Number(result.numAffectedRows ?? 0n);
}
