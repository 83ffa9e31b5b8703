import { sql } from "kysely";
import type { Json } from "../events/event.ts";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";

/** What is noted of what people do. The subject is the endpoint, the delivery or the replay; null for a set of them. */
export const AUDIT_ACTIONS = [
  "endpoint_created",
  "endpoint_changed",
  "endpoint_deleted",
  "endpoint_enabled",
  "endpoint_disabled",
  "secret_rotated",
  "secret_revoked",
  "delivery_retried",
  "delivery_cancelled",
  "delivery_resent",
  "deliveries_retried",
  "deliveries_cancelled",
  "replay_started",
  "replay_changed",
] as const;

export type AuditAction = (typeof AUDIT_ACTIONS)[number];

export type AuditEntry = {
  id: string;
  at: Date;
  actor: string;
  action: AuditAction;
  subject: string | null;
  reason: string | null;
  details: { [key: string]: Json };
};

/** Those that are not null must be the same. */
export type AuditFilter = Pick<
  { [Key in keyof AuditEntry]: AuditEntry[Key] | null },
  "action" | "actor" | "subject"
>;

/**
 * Notes who did what, and why.
 * @param db the transaction that does it
 * @param entry.actor `c.var.actor`: the name of the API key
 * @param entry.details what was asked for or changed; no secrets
 */
export async function recordAudit(
  db: Db,
  customerId: string,
  entry: Omit<AuditEntry, "id" | "at">,
): Promise<void> {
  await sql`
    insert into audit_log (customer_id, actor, action, subject, reason, details)
    values (${customerId}, ${entry.actor}, ${entry.action}, ${entry.subject}, ${entry.reason},
      ${JSON.stringify(entry.details)}::jsonb)`.execute(db);
}

/** Up to `limit + 1`, newest first. */
export async function selectAudit(
  db: Db,
  customerId: string,
  { action, actor, subject }: AuditFilter,
  { limit, cursor }: Page,
): Promise<AuditEntry[]> {
  const { rows } = await sql<AuditEntry>`
    select id, at, actor, action, subject, reason, details from audit_log
    where customer_id = ${customerId} and (${cursor}::uuid is null or id < ${cursor}::uuid)
      and (${action}::text is null or action = ${action}) and (${actor}::text is null or actor = ${actor})
      and (${subject}::text is null or subject = ${subject})
    order by id desc limit ${limit + 1}`.execute(db);
  return rows;
}
