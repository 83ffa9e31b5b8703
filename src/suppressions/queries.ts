import { sql } from "kysely";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";

export const REASONS = ["unsubscribe", "bounce", "complaint", "blocked", "manual"] as const;

export type Reason = (typeof REASONS)[number];

export type Suppression = {
  id: string;
  channel: "email" | "telegram";
  address: string;
  reason: Reason;
  /** The contact whose message or hit led to it, if any. */
  contactId: string | null;
  createdAt: Date;
};

const columns = sql`id, channel, address, reason, contact_id as "contactId", created_at as "createdAt"`;

/**
 * Adds an email address for a reason; adding it again changes nothing.
 * @returns null when it was there already
 */
export async function insertSuppression(
  db: Db,
  customerId: string,
  suppression: { id: string; email: string; reason: Reason; contactId: string | null },
): Promise<Suppression | null> {
  const { rows } = await sql<Suppression>`
    insert into suppression (customer_id, id, channel, address, reason, contact_id)
    values (${customerId}, ${suppression.id}, 'email', lower(${suppression.email}), ${suppression.reason},
      ${suppression.contactId})
    on conflict (customer_id, channel, address, reason) do nothing
    returning ${columns}`.execute(db);
  return rows[0] ?? null;
}

export async function findSuppression(
  db: Db,
  customerId: string,
  email: string,
  reason: Reason,
): Promise<Suppression | null> {
  const { rows } = await sql<Suppression>`
    select ${columns} from suppression
    where customer_id = ${customerId} and channel = 'email' and address = lower(${email}) and reason = ${reason}`.execute(
    db,
  );
  return rows[0] ?? null;
}

/** @returns what was removed, or null when there was none */
export async function deleteSuppression(db: Db, customerId: string, id: string): Promise<Suppression | null> {
  const { rows } = await sql<Suppression>`
    delete from suppression where customer_id = ${customerId} and id = ${id} returning ${columns}`.execute(
    db,
  );
  return rows[0] ?? null;
}

/** Newest first, one more than the page holds. */
export async function selectSuppressions(
  db: Db,
  customerId: string,
  filter: { reason: Reason | null; email: string | null },
  page: Page,
): Promise<Suppression[]> {
  const { rows } = await sql<Suppression>`
    select ${columns} from suppression
    where customer_id = ${customerId}
      and (${filter.reason}::text is null or reason = ${filter.reason})
      and (${filter.email}::text is null or (channel = 'email' and address = lower(${filter.email})))
      and (${page.cursor}::uuid is null or id < ${page.cursor}::uuid)
    order by id desc limit ${page.limit + 1}`.execute(db);
  return rows;
}

/** Why nothing is sent to these addresses. */
export async function findReasons(
  db: Db,
  customerId: string,
  addresses: { email: string | null; telegramChatId: number | null },
): Promise<Reason[]> {
  const { rows } = await sql<{ reason: Reason }>`
    select distinct reason from suppression
    where customer_id = ${customerId} and (
      (channel = 'email' and address = lower(${addresses.email}))
      or (channel = 'telegram' and address = ${addresses.telegramChatId}::bigint::text))
    order by reason`.execute(db);
  return rows.map((row) => row.reason);
}

/** The contact that has this email address now. */
export async function findContactId(db: Db, customerId: string, email: string): Promise<string | null> {
  const { rows } = await sql<{ id: string }>`
    select id from contact where customer_id = ${customerId} and lower(email) = lower(${email})`.execute(db);
  return rows[0]?.id ?? null;
}
