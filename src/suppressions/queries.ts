import { sql } from "kysely";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import type { Detail, Reason } from "./reasons.ts";

export type Suppression = {
  id: string;
  channel: "email" | "telegram";
  /** An email address in lower case, `@example.com` for every address at that domain, or a chat's number. */
  address: string;
  reason: Reason;
  detail: Detail | null;
  /** The contact whose message or hit led to it, if any. */
  contactId: string | null;
  /** The message it came of, if any. */
  messageId: string | null;
  /** The event it came of, if any. */
  eventId: string | null;
  createdAt: Date;
};

const columns = sql`id, channel, address, reason, detail, contact_id as "contactId",
  message_id as "messageId", event_id as "eventId", created_at as "createdAt"`;

/**
 * Adds an email address or a domain for a reason; adding it again changes nothing.
 * @returns null when it was there already
 */
export async function insertSuppression(
  db: Db,
  customerId: string,
  suppression: { id: string; address: string; reason: Reason; contactId: string | null },
): Promise<Suppression | null> {
  const { rows } = await sql<Suppression>`
    insert into suppression (customer_id, id, channel, address, reason, contact_id)
    values (${customerId}, ${suppression.id}, 'email', lower(${suppression.address}), ${suppression.reason},
      ${suppression.contactId})
    on conflict (customer_id, channel, address, reason) do nothing
    returning ${columns}`.execute(db);
  return rows[0] ?? null;
}

export async function findSuppression(
  db: Db,
  customerId: string,
  address: string,
  reason: Reason,
): Promise<Suppression | null> {
  const { rows } = await sql<Suppression>`
    select ${columns} from suppression
    where customer_id = ${customerId} and channel = 'email' and address = lower(${address}) and reason = ${reason}`.execute(
    db,
  );
  return rows[0] ?? null;
}

/**
 * Gives an address free from one reason, also from what happened before and is told only now; soft bounces are counted
 * from here on.
 * @returns what was removed, or null when there was none
 */
export async function deleteSuppression(
  db: Db,
  customerId: string,
  { id, at }: { id: string; at: Date },
): Promise<Suppression | null> {
  const { rows } = await sql<Suppression>`
    with removed as (
      delete from suppression where customer_id = ${customerId} and id = ${id} returning *
    ), lifted as (
      insert into suppression_lift (customer_id, channel, address, reason, lifted_at)
      select customer_id, channel, address, reason, ${at} from removed
      on conflict (customer_id, channel, address, reason)
        do update set lifted_at = greatest(suppression_lift.lifted_at, excluded.lifted_at)
    ), forgotten as (
      delete from soft_bounce b using removed r
      where b.customer_id = ${customerId} and b.address = r.address and b.at <= ${at}
        and r.channel = 'email' and r.reason = 'bounce'
    )
    select ${columns} from removed`.execute(db);
  return rows[0] ?? null;
}

/** Newest first, one more than the page holds. */
export async function selectSuppressions(
  db: Db,
  customerId: string,
  filter: { reason: Reason | null; address: string | null },
  page: Page,
): Promise<Suppression[]> {
  const { rows } = await sql<Suppression>`
    select ${columns} from suppression
    where customer_id = ${customerId}
      and (${filter.reason}::text is null or reason = ${filter.reason})
      and (${filter.address}::text is null or (channel = 'email' and address = lower(${filter.address})))
      and (${page.cursor}::uuid is null or id < ${page.cursor}::uuid)
    order by id desc limit ${page.limit + 1}`.execute(db);
  return rows;
}

/** Why nothing is sent to these addresses: because of themselves, or of the email's domain. */
export async function findReasons(
  db: Db,
  customerId: string,
  addresses: { email: string | null; telegramChatId: number | null },
): Promise<Reason[]> {
  const { rows } = await sql<{ reason: Reason }>`
    select distinct reason from suppression
    where customer_id = ${customerId} and (
      (channel = 'email' and address in (
        lower(${addresses.email}), '@' || split_part(lower(${addresses.email}), '@', 2)))
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
