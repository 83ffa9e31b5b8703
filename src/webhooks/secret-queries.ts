import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";

/** A secret of an endpoint; `secret` is sealed. */
export type SealedSecret = { id: string; secret: Buffer; createdAt: Date; expiresAt: Date | null };

/** Adds the newest secret of an endpoint. */
export async function insertSecret(
  db: Db,
  customerId: string,
  endpointId: string,
  { id, secret }: Pick<SealedSecret, "id" | "secret">,
): Promise<void> {
  await sql`
    insert into webhook_secret (customer_id, endpoint_id, id, secret)
    values (${customerId}, ${endpointId}, ${id}, ${secret})`.execute(db);
}

/** The secrets that sign, newest first. */
export async function selectSecrets(db: Db, customerId: string, endpointId: string): Promise<SealedSecret[]> {
  const { rows } = await sql<SealedSecret>`
    select id, secret, created_at as "createdAt", expires_at as "expiresAt" from webhook_secret
    where customer_id = ${customerId} and endpoint_id = ${endpointId} and (expires_at is null or expires_at > now())
    order by id desc`.execute(db);
  return rows;
}

/** Gives the secrets there are an end, unless theirs comes sooner, and forgets those that have come to theirs. */
export async function endSecrets(
  db: Db,
  customerId: string,
  endpointId: string,
  afterSeconds: number,
): Promise<void> {
  await sql`
    update webhook_secret set expires_at = least(expires_at, now() + make_interval(secs => ${afterSeconds}))
    where customer_id = ${customerId} and endpoint_id = ${endpointId}`.execute(db);
  await sql`
    delete from webhook_secret
    where customer_id = ${customerId} and endpoint_id = ${endpointId} and expires_at <= now()`.execute(db);
}

/** @returns false when there is no such secret, or it is the newest one, which stays */
export async function deleteSecret(
  db: Db,
  customerId: string,
  endpointId: string,
  id: string,
): Promise<boolean> {
  const { rows } = await sql`
    delete from webhook_secret
    where customer_id = ${customerId} and endpoint_id = ${endpointId} and id = ${id} and expires_at is not null
    returning id`.execute(db);
  return rows.length === 1;
}

/** Makes those who keep the endpoint open read it again. */
export async function touchEndpoint(db: Db, customerId: string, id: string): Promise<void> {
  await sql`
    update webhook_endpoint set updated_at = now() where customer_id = ${customerId} and id = ${id}`.execute(
    db,
  );
}
