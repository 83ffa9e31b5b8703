import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import type { Reason } from "../suppressions/reasons.ts";
import type { ImportedSuppression } from "./suppression-row.ts";

export type AddedSuppression = { reason: Reason; createdAt: Date; contactId: string | null };

/**
 * Adds addresses with their reasons; what is there already stays as it is.
 * @returns those that were not there, with the contact that has the address
 */
export async function insertImported(
  db: Db,
  customerId: string,
  rows: readonly ImportedSuppression[],
): Promise<AddedSuppression[]> {
  const result = await sql<AddedSuppression>`
    with input as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        as i(channel text, address text, reason text, "createdAt" timestamptz)
    ), added as (
      insert into suppression (customer_id, channel, address, reason, contact_id, created_at)
      select ${customerId}::uuid, i.channel, i.address, i.reason, c.id, coalesce(i."createdAt", now())
      from input i
      left join contact c on i.channel = 'email' and c.customer_id = ${customerId} and lower(c.email) = i.address
      order by i.channel, i.address, i.reason
      on conflict (customer_id, channel, address, reason) do nothing
      returning reason, created_at, contact_id
    )
    select reason, created_at as "createdAt", contact_id as "contactId" from added`.execute(db);
  return result.rows;
}
