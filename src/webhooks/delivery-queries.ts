import { sql } from "kysely";
import type { Json } from "../events/event.ts";
import { type Page, SCANNED } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import { isNotInHand } from "./claim-queries.ts";
import {
  type DeliveryFilter,
  type DeliveryStatus,
  matching,
  scan,
  type Trigger,
} from "./delivery-scan-queries.ts";
import type { EndpointType } from "./told.ts";

export type DeliveryKind = "event" | "digest" | "test";

/** A delivery as the log lists it. */
export type Delivery = {
  id: string;
  endpointId: string;
  /** Null: the endpoint has been deleted. */
  endpointType: EndpointType | null;
  endpointUrl: string | null;
  kind: DeliveryKind;
  eventId: string;
  eventType: string;
  eventAt: Date;
  campaignId: string | null;
  contactId: string | null;
  messageId: string | null;
  status: DeliveryStatus;
  attempts: number;
  trigger: Trigger;
  replayId: string | null;
  dueAt: Date | null;
  lastStatus: number | null;
  lastFailure: string | null;
  lastAttemptAt: Date | null;
  finishedAt: Date | null;
  createdAt: Date;
};

/** With what it takes to say why it waits, and to show its request again. */
export type DeliveryDetail = Delivery & {
  payload: string | null;
  isRunning: boolean;
  isEndpointDisabled: boolean;
  pausedUntil: Date | null;
  slowedUntil: Date | null;
  isBehind: boolean;
  headerNames: string[];
  publicKey: string | null;
};

/** One request of a delivery, and what came back. */
export type Attempt = {
  id: string;
  number: number;
  trigger: Trigger;
  startedAt: Date;
  finishedAt: Date | null;
  outcome: "running" | "delivered" | "failed" | "interrupted";
  status: number | null;
  failure: string | null;
  reason: string | null;
  address: string | null;
  timings: { [name: string]: number | null } | null;
  requestHeaders: { [name: string]: Json } | null;
  responseHeaders: { [name: string]: Json } | null;
  responseBody: string | null;
  isTruncated: boolean | null;
};

const listed = sql`d.id, d.endpoint_id as "endpointId", e.type as "endpointType", e.url_shown as "endpointUrl", d.kind,
  d.event_id as "eventId", d.event_type as "eventType", d.event_at as "eventAt", d.campaign_id as "campaignId",
  d.contact_id as "contactId", d.message_id as "messageId", d.status, d.attempts, d.trigger,
  d.replay_id as "replayId", d.due_at as "dueAt", d.last_status as "lastStatus", d.last_failure as "lastFailure",
  d.last_attempt_at as "lastAttemptAt", d.finished_at as "finishedAt", d.created_at as "createdAt"`;

const endpoint = sql`left join webhook_endpoint e on e.customer_id = d.customer_id and e.id = d.endpoint_id`;

/**
 * Deliveries, newest first, one more than the page holds, of those that the filter's index leads to next.
 * @returns `lookedTo`: where to go on when the page is not full; null when there is nothing behind it
 */
export async function selectDeliveries(
  db: Db,
  customerId: string,
  filter: DeliveryFilter,
  { limit, cursor }: Page,
): Promise<{ rows: Delivery[]; lookedTo: string | null }> {
  const scanned = scan(customerId, filter, { before: cursor, rows: SCANNED });
  const { rows } = await sql<Delivery>`
    select ${listed} from ${scanned} as d ${endpoint}
    where ${matching(filter)} order by d.id desc limit ${limit + 1}`.execute(db);
  if (rows.length > limit) return { rows, lookedTo: null };
  const last = await sql<{ id: string }>`
    select d.id from ${scanned} as d order by d.id desc offset ${SCANNED - 1}`.execute(db);
  return { rows, lookedTo: last.rows[0]?.id ?? null };
}

export async function findDelivery(db: Db, customerId: string, id: string): Promise<DeliveryDetail | null> {
  const { rows } = await sql<DeliveryDetail>`
    select ${listed}, d.payload, coalesce(e.status = 'disabled', false) as "isEndpointDisabled",
      h.open_until as "pausedUntil", h.slowed_until as "slowedUntil", not ${isNotInHand} as "isRunning",
      coalesce(e.strict_order and exists (
        select from webhook_delivery o
        where o.customer_id = d.customer_id and o.endpoint_id = d.endpoint_id and o.status = 'pending'
          and o.position < d.position
      ), false) as "isBehind",
      coalesce(e.header_names, '{}') as "headerNames", e.public_key as "publicKey"
    from webhook_delivery d ${endpoint}
    left join webhook_health h on h.customer_id = d.customer_id and h.endpoint_id = d.endpoint_id
    where d.customer_id = ${customerId} and d.id = ${id}`.execute(db);
  return rows[0] ?? null;
}

/** Up to `limit + 1`, newest first. */
export async function selectAttempts(
  db: Db,
  customerId: string,
  deliveryId: string,
  { limit, cursor }: Page,
): Promise<Attempt[]> {
  const { rows } = await sql<Attempt>`
    select id, number, trigger, started_at as "startedAt", finished_at as "finishedAt", outcome, status, failure, reason,
      address, timings, request_headers as "requestHeaders", response_headers as "responseHeaders",
      response_body as "responseBody", is_truncated as "isTruncated"
    from webhook_attempt
    where customer_id = ${customerId} and delivery_id = ${deliveryId}
      and (${cursor}::uuid is null or id < ${cursor}::uuid)
    order by id desc limit ${limit + 1}`.execute(db);
  return rows;
}
