import { sql } from "kysely";
import type { Timings } from "../egress/result.ts";
import type { Db } from "../storage/pool.ts";
import type { Health } from "./breaker.ts";

export type EndpointRef = { customerId: string; endpointId: string };

/** What came of an attempt, and what becomes of its delivery. */
export type EndedAttempt = EndpointRef & {
  id: string;
  eventId: string;
  /** Of its delivery, the first is 1. */
  number: number;
  finishedAt: Date;
  outcome: "delivered" | "failed";
  status: number | null;
  /** Its class. */
  failure: string | null;
  /** A sentence. */
  reason: string | null;
  address: string | null;
  timings: Timings | null;
  responseHeaders: { [name: string]: string } | null;
  responseBody: string | null;
  isTruncated: boolean | null;
  /** Of one that failed: seconds until it is tried again, null for never. */
  retryInS: number | null;
};

export type HealthOfEndpoint = EndpointRef &
  Health & { lastDeliveredAt: Date | null; lastFailure: string | null };

/**
 * The health of these endpoints, which nobody else changes before the transaction ends. All who change it come here
 * first, and to the endpoints in the same order.
 */
export async function holdHealth(db: Db, endpoints: readonly EndpointRef[]): Promise<HealthOfEndpoint[]> {
  const { rows } = await sql<HealthOfEndpoint>`
    select h.customer_id as "customerId", h.endpoint_id as "endpointId", h.failing_since as "failingSince",
      h.consecutive_failures as "consecutiveFailures", h.open_until as "openUntil", h.opened_times as "openedTimes",
      h.ramp, h.slowed_until as "slowedUntil", h.last_delivered_at as "lastDeliveredAt",
      h.last_failure as "lastFailure"
    from webhook_health h
    where (h.customer_id, h.endpoint_id) in (
      select * from unnest(${endpoints.map(({ customerId }) => customerId)}::uuid[],
        ${endpoints.map(({ endpointId }) => endpointId)}::uuid[]))
    order by h.customer_id, h.endpoint_id
    for update`.execute(db);
  return rows;
}

/** @param db the transaction of `holdHealth` */
export async function saveHealth(db: Db, healths: readonly HealthOfEndpoint[]): Promise<void> {
  if (healths.length === 0) return;
  const times = (pick: (health: HealthOfEndpoint) => Date | null) =>
    healths.map((health) => pick(health)?.toISOString() ?? null);
  await sql`
    update webhook_health h set failing_since = n.failing_since, consecutive_failures = n.consecutive_failures,
      open_until = n.open_until, opened_times = n.opened_times, ramp = n.ramp, slowed_until = n.slowed_until,
      last_delivered_at = n.last_delivered_at, last_failure = n.last_failure
    from unnest(${healths.map(({ customerId }) => customerId)}::uuid[],
      ${healths.map(({ endpointId }) => endpointId)}::uuid[],
      ${times(({ failingSince }) => failingSince)}::timestamptz[],
      ${healths.map(({ consecutiveFailures }) => consecutiveFailures)}::int[],
      ${times(({ openUntil }) => openUntil)}::timestamptz[],
      ${healths.map(({ openedTimes }) => openedTimes)}::int[],
      ${healths.map(({ ramp }) => ramp)}::int[],
      ${times(({ slowedUntil }) => slowedUntil)}::timestamptz[],
      ${times(({ lastDeliveredAt }) => lastDeliveredAt)}::timestamptz[],
      ${healths.map(({ lastFailure }) => lastFailure)}::text[])
      as n(customer_id, endpoint_id, failing_since, consecutive_failures, open_until, opened_times, ramp, slowed_until,
        last_delivered_at, last_failure)
    where h.customer_id = n.customer_id and h.endpoint_id = n.endpoint_id`.execute(db);
}

/**
 * Keeps what came of attempts, and says of their deliveries what is next. While an attempt is under way its delivery
 * may have been
 * - opened anew (`schedule_from` has reached the attempt): it is due at once, whatever came of this one;
 * - cancelled: it stays so, unless it was delivered;
 * - taken by somebody else, who thought that this process had died: they decide, unless it was delivered.
 */
export async function endAttempts(db: Db, ended: readonly EndedAttempt[]): Promise<void> {
  await sql`
    with ended as materialized (
      select * from unnest(${ended.map(({ customerId }) => customerId)}::uuid[],
        ${ended.map(({ endpointId }) => endpointId)}::uuid[],
        ${ended.map(({ eventId }) => eventId)}::uuid[],
        ${ended.map(({ id }) => id)}::uuid[],
        ${ended.map(({ number }) => number)}::int[],
        ${ended.map(({ finishedAt }) => finishedAt.toISOString())}::timestamptz[],
        ${ended.map(({ outcome }) => outcome)}::text[],
        ${ended.map(({ status }) => status)}::int[],
        ${ended.map(({ failure }) => failure)}::text[],
        ${ended.map(({ reason }) => reason)}::text[],
        ${ended.map(({ address }) => address)}::text[],
        ${ended.map(({ timings }) => jsonOrNull(timings))}::jsonb[],
        ${ended.map(({ responseHeaders }) => jsonOrNull(responseHeaders))}::jsonb[],
        ${ended.map(({ responseBody }) => responseBody)}::text[],
        ${ended.map(({ isTruncated }) => isTruncated)}::boolean[],
        ${ended.map(({ retryInS }) => retryInS)}::float[])
        as n(customer_id, endpoint_id, event_id, id, number, finished_at, outcome, status, failure, reason, address,
          timings, response_headers, response_body, is_truncated, retry_in_s)
    ), attempts as (
      update webhook_attempt a set finished_at = n.finished_at, outcome = n.outcome, status = n.status,
        failure = n.failure, reason = n.reason, address = n.address, timings = n.timings,
        response_headers = n.response_headers, response_body = n.response_body, is_truncated = n.is_truncated
      from ended n
      where a.customer_id = n.customer_id and a.id = n.id
    )
    update webhook_delivery d set
      status = case
        when n.outcome = 'delivered' and d.schedule_from < n.number then 'delivered'
        when d.status = 'pending' and d.attempts = n.number and d.schedule_from < n.number and n.retry_in_s is null
          then 'failed'
        else d.status end,
      due_at = case
        when d.status <> 'pending' or (n.outcome = 'delivered' and d.schedule_from < n.number) then null
        when d.attempts > n.number then d.due_at
        when d.schedule_from >= n.number then now()
        else now() + make_interval(secs => n.retry_in_s) end,
      finished_at = case
        when d.schedule_from >= n.number then d.finished_at
        when n.outcome = 'delivered' or (d.status = 'pending' and n.retry_in_s is null) then n.finished_at
        else d.finished_at end,
      last_status = n.status, last_failure = n.reason
    from ended n
    where d.customer_id = n.customer_id and d.endpoint_id = n.endpoint_id and d.event_id = n.event_id
      and (n.outcome = 'delivered' or d.attempts = n.number)`.execute(db);
}

function jsonOrNull(value: object | null): string | null {
  return value === null ? null : JSON.stringify(value);
}
