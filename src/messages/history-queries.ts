import { sql } from "kysely";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import type { MessageStatus } from "./status.ts";

export type Message = {
  id: string;
  direction: "outbound" | "inbound";
  channel: "email" | "telegram";
  campaignId: string | null;
  nodeId: string | null;
  runId: string | null;
  enrollmentId: string | null;
  contactId: string;
  credentialId: string;
  to: string;
  subject: string | null;
  status: MessageStatus;
  providerMessageId: string | null;
  error: string | null;
  attempts: number;
  /** The provider has said that it goes on trying. */
  isDelayed: boolean;
  /** Whether it is queued and in nobody's hands. */
  isWaiting: boolean;
  dueAt: Date;
  postponedReason: "quiet_hours" | "frequency_cap" | "deferred" | null;
  queuedAt: Date;
  sentAt: Date | null;
  openedAt: Date | null;
  clickedAt: Date | null;
  clickedUrl: string | null;
};

/** `campaign`: of one campaign, each status from its own end of the index. `contact`: of one contact. */
export type MessageFilter =
  | { by: "nothing" }
  | { by: "campaign"; campaignId: string; statuses: readonly MessageStatus[] }
  | { by: "contact"; contactId: string; campaignId: string | null; status: MessageStatus | null };

const columns = sql`m.id, m.direction, m.channel, m.campaign_id as "campaignId", m.node_id as "nodeId",
  m.run_id as "runId", m.enrollment_id as "enrollmentId", m.contact_id as "contactId",
  m.credential_id as "credentialId", m.to_address as "to", m.subject, m.status,
  m.provider_message_id as "providerMessageId", m.error, m.attempts,
  m.status = 'sent' and coalesce(r.output ? 'delayed', false) as "isDelayed",
  m.status = 'queued' and m.claimed_by is null and m.direction = 'outbound' as "isWaiting", m.due_at as "dueAt",
  m.postponed_reason as "postponedReason", m.queued_at as "queuedAt",
  m.sent_at as "sentAt", (r.output->>'openedAt')::timestamptz as "openedAt",
  (r.output->>'clickedAt')::timestamptz as "clickedAt", r.output->>'clickedUrl' as "clickedUrl"`;

export async function findMessage(db: Db, customerId: string, id: string): Promise<Message | null> {
  const { rows } = await sql<Message>`
    select ${columns}
    from message m left join node_run r on r.customer_id = m.customer_id and r.id = m.run_id
    where m.customer_id = ${customerId} and m.id = ${id}`.execute(db);
  return rows[0] ?? null;
}

/** Newest first, one more than the page holds. */
export async function selectMessages(
  db: Db,
  customerId: string,
  filter: MessageFilter,
  page: Page,
): Promise<Message[]> {
  const { rows } = await sql<Message>`
    select ${columns}
    from (${matching(customerId, filter, page)}) as m
    left join node_run r on r.customer_id = m.customer_id and r.id = m.run_id
    order by m.id desc`.execute(db);
  return rows;
}

function matching(customerId: string, filter: MessageFilter, page: Page) {
  const inPage = sql`customer_id = ${customerId} and (${page.cursor}::uuid is null or id < ${page.cursor}::uuid)`;
  const newest = sql`order by id desc limit ${page.limit + 1}`;
  switch (filter.by) {
    case "nothing":
      return sql`select * from message where ${inPage} ${newest}`;
    case "campaign":
      return sql`
        select found.* from unnest(${filter.statuses}::text[]) as asked
        cross join lateral (
          select * from message
          where ${inPage} and campaign_id = ${filter.campaignId} and status = asked ${newest}
        ) as found ${newest}`;
    case "contact":
      return sql`
        select * from message
        where ${inPage} and contact_id = ${filter.contactId}
          and (${filter.campaignId}::uuid is null or campaign_id = ${filter.campaignId}::uuid)
          and (${filter.status}::text is null or status = ${filter.status})
        ${newest}`;
  }
}

/** `campaignId` and `runId` are null of an answer in a conversation. */
export type Requeued = { campaignId: string | null; runId: string | null; contactId: string };

/**
 * Puts a message that failed, or of which nobody knows whether it was sent, into the queue as if it were new. Its
 * run begins again; edges that fired stay fired.
 * @param db a transaction
 * @returns what the event of it says; null when the message is in another state
 */
export async function requeueMessage(db: Db, customerId: string, id: string): Promise<Requeued | null> {
  // The run first, as the projector does: the two never wait for each other in a circle.
  await sql`
    select from node_run
    where customer_id = ${customerId} and id = (
      select run_id from message where customer_id = ${customerId} and id = ${id})
    for update`.execute(db);
  const { rows } = await sql<Requeued>`
    with requeued as (
      update message set status = 'queued', attempts = 0, due_at = now(), error = null, handed_at = null,
        postponed_reason = null
      where customer_id = ${customerId} and id = ${id} and direction = 'outbound'
        and (run_id is not null or campaign_id is null) and status in ('failed', 'uncertain')
      returning campaign_id, run_id, contact_id
    ), restarted as (
      update node_run r
      set status = 'running', finished_at = null, output = r.output - array['failed', 'uncertain', 'reason']
      from requeued q where r.customer_id = ${customerId} and r.id = q.run_id
    )
    select campaign_id as "campaignId", run_id as "runId", contact_id as "contactId" from requeued`.execute(
    db,
  );
  return rows[0] ?? null;
}

export type RetryObstacle = "no_campaign" | "no_contact" | "no_credential" | "enrollment_over";

/**
 * Why a message would not be sent if it were queued again; null: it would. What it is checked for stays until the
 * transaction ends. An answer in a conversation is of no campaign.
 */
export async function findRetryObstacle(
  db: Db,
  customerId: string,
  message: Pick<Message, "campaignId" | "contactId" | "credentialId" | "enrollmentId">,
): Promise<RetryObstacle | null> {
  const isAnswer = message.campaignId === null;
  const [table, id] = isAnswer ? ["contact", message.contactId] : ["campaign", message.campaignId];
  const { rows } = await sql`
    select from ${sql.table(table)} where customer_id = ${customerId} and id = ${id} for key share`.execute(
    db,
  );
  if (rows.length === 0) return isAnswer ? "no_contact" : "no_campaign";
  const credential = await sql`
    select from credential
    where customer_id = ${customerId} and id = ${message.credentialId} for key share`.execute(db);
  if (credential.rows.length === 0) return "no_credential";
  if (isAnswer) return null;
  const enrollment = await sql`
    select from enrollment
    where customer_id = ${customerId} and id = ${message.enrollmentId} and status = 'active'`.execute(db);
  return enrollment.rows.length === 0 ? "enrollment_over" : null;
}
