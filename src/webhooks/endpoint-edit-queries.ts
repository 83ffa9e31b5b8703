import { sql } from "kysely";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import { cancelled } from "./delivery-action-queries.ts";
import type { DisabledBy } from "./endpoint-queries.ts";
import { toLikePattern } from "./event-pattern.ts";
import type { EndpointType } from "./told.ts";

/** What of an endpoint can be chosen, besides its address and headers. */
export type EndpointSettings = {
  description: string | null;
  eventTypes: string[];
  campaignIds: string[] | null;
  includeAutomatic: boolean;
  ratePerSecond: number | null;
  maxConcurrency: number;
  strictOrder: boolean;
  digestSeconds: number | null;
  digestTypes: string[];
  retrySchedule: number[] | null;
};

/** An endpoint as it may be shown. */
export type Endpoint = EndpointSettings & {
  id: string;
  type: EndpointType;
  url: string;
  headerNames: string[];
  payloadVersion: number;
  publicKey: string;
  status: "enabled" | "disabled";
  disabledBy: DisabledBy | null;
  disabledReason: string | null;
  disabledAt: Date | null;
  consecutiveFailures: number;
  failingSince: Date | null;
  pausedUntil: Date | null;
  slowedUntil: Date | null;
  lastDeliveredAt: Date | null;
  lastFailure: string | null;
  version: number;
  createdAt: Date;
  updatedAt: Date;
};

/** `url` and `headers` are sealed. */
export type SealedTarget = { url: Buffer; shownUrl: string; headers: Buffer | null; headerNames: string[] };

export type SealedEndpoint = EndpointSettings &
  SealedTarget & { id: string; type: EndpointType; publicKey: string; privateKey: Buffer };

const columns = sql`e.id, e.type, e.url_shown as url, e.description, e.event_types as "eventTypes",
  e.campaign_ids as "campaignIds", e.include_automatic as "includeAutomatic", e.header_names as "headerNames",
  e.rate_per_second as "ratePerSecond", e.max_concurrency as "maxConcurrency", e.strict_order as "strictOrder",
  e.digest_seconds as "digestSeconds", e.digest_types as "digestTypes", e.retry_schedule as "retrySchedule",
  e.payload_version as "payloadVersion", e.public_key as "publicKey", e.status, e.disabled_by as "disabledBy",
  e.disabled_reason as "disabledReason", e.disabled_at as "disabledAt", e.version, e.created_at as "createdAt",
  e.updated_at as "updatedAt", coalesce(h.consecutive_failures, 0) as "consecutiveFailures",
  h.failing_since as "failingSince", h.open_until as "pausedUntil", h.slowed_until as "slowedUntil",
  h.last_delivered_at as "lastDeliveredAt", h.last_failure as "lastFailure"`;

const endpoints = sql`webhook_endpoint e
  left join webhook_health h on h.customer_id = e.customer_id and h.endpoint_id = e.id`;

export async function insertEndpoint(db: Db, customerId: string, endpoint: SealedEndpoint): Promise<void> {
  await sql`
    insert into webhook_endpoint (customer_id, id, type, url, url_shown, description, event_types, type_patterns,
      campaign_ids, include_automatic, headers, header_names, rate_per_second, max_concurrency, strict_order,
      digest_seconds, digest_patterns, digest_types, retry_schedule, status, version, public_key, private_key)
    values (${customerId}, ${endpoint.id}, ${endpoint.type}, ${endpoint.url}, ${endpoint.shownUrl},
      ${endpoint.description}, ${endpoint.eventTypes}, ${endpoint.eventTypes.map(toLikePattern)},
      ${endpoint.campaignIds}::uuid[], ${endpoint.includeAutomatic}, ${endpoint.headers}, ${endpoint.headerNames},
      ${endpoint.ratePerSecond}, ${endpoint.maxConcurrency}, ${endpoint.strictOrder}, ${endpoint.digestSeconds},
      ${endpoint.digestTypes.map(toLikePattern)}, ${endpoint.digestTypes}, ${endpoint.retrySchedule}::int[],
      'enabled', 1, ${endpoint.publicKey}, ${endpoint.privateKey})`.execute(db);
  await sql`
    insert into webhook_health (customer_id, endpoint_id) values (${customerId}, ${endpoint.id})`.execute(db);
}

export async function findEndpoint(db: Db, customerId: string, id: string): Promise<Endpoint | null> {
  const { rows } = await sql<Endpoint>`
    select ${columns} from ${endpoints} where e.customer_id = ${customerId} and e.id = ${id}`.execute(db);
  return rows[0] ?? null;
}

/** The endpoint, which nobody else changes before the transaction ends. */
export async function lockEndpoint(db: Db, customerId: string, id: string): Promise<Endpoint | null> {
  const { rows } = await sql<Endpoint>`
    select ${columns} from ${endpoints} where e.customer_id = ${customerId} and e.id = ${id} for update of e`.execute(
    db,
  );
  return rows[0] ?? null;
}

/** Up to `limit + 1`, newest first. */
export async function selectEndpoints(
  db: Db,
  customerId: string,
  { limit, cursor }: Page,
): Promise<Endpoint[]> {
  const { rows } = await sql<Endpoint>`
    select ${columns} from ${endpoints}
    where e.customer_id = ${customerId} and (${cursor}::uuid is null or e.id < ${cursor}::uuid)
    order by e.id desc limit ${limit + 1}`.execute(db);
  return rows;
}

/**
 * Writes an endpoint as it is given.
 * @param target what is new of where and how it is called; the other part, or null, stays
 * @param isMatchingOther what it is told of changes: it gets another version, which the caller records
 */
export async function saveEndpoint(
  db: Db,
  customerId: string,
  endpoint: EndpointSettings & { id: string },
  target: {
    url: Pick<SealedTarget, "url" | "shownUrl"> | null;
    headers: Pick<SealedTarget, "headers" | "headerNames"> | null;
  },
  isMatchingOther: boolean,
): Promise<void> {
  const { url, headers } = target;
  await sql`
    update webhook_endpoint set description = ${endpoint.description}, event_types = ${endpoint.eventTypes},
      type_patterns = ${endpoint.eventTypes.map(toLikePattern)}, campaign_ids = ${endpoint.campaignIds}::uuid[],
      include_automatic = ${endpoint.includeAutomatic}, rate_per_second = ${endpoint.ratePerSecond},
      max_concurrency = ${endpoint.maxConcurrency}, strict_order = ${endpoint.strictOrder},
      digest_seconds = ${endpoint.digestSeconds}, digest_types = ${endpoint.digestTypes},
      digest_patterns = ${endpoint.digestTypes.map(toLikePattern)},
      retry_schedule = ${endpoint.retrySchedule}::int[],
      url = coalesce(${url?.url ?? null}, url), url_shown = coalesce(${url?.shownUrl ?? null}, url_shown),
      headers = case when ${headers !== null} then ${headers?.headers ?? null}::bytea else headers end,
      header_names = coalesce(${headers?.headerNames ?? null}::text[], header_names),
      version = version + ${isMatchingOther ? 1 : 0}, updated_at = now()
    where customer_id = ${customerId} and id = ${endpoint.id}`.execute(db);
}

/**
 * Makes it be told again; of what failed before nothing is remembered, so that what is pending is tried at once.
 * @returns false when it is enabled already
 */
export async function setEnabled(db: Db, customerId: string, id: string): Promise<boolean> {
  const { rows } = await sql`
    update webhook_endpoint set status = 'enabled', disabled_by = null, disabled_reason = null, disabled_at = null,
      updated_at = now(), version = version + 1
    where customer_id = ${customerId} and id = ${id} and status = 'disabled'
    returning id`.execute(db);
  if (rows.length === 0) return false;
  await sql`
    update webhook_health set failing_since = null, consecutive_failures = 0, open_until = null, opened_times = 0,
      ramp = null, slowed_until = null
    where customer_id = ${customerId} and endpoint_id = ${id}`.execute(db);
  return true;
}

/** Nothing that is pending for the endpoint is delivered any more. */
export async function cancelPending(db: Db, customerId: string, id: string, reason: string): Promise<void> {
  await sql`
    update webhook_delivery set ${cancelled}, last_failure = ${reason}
    where customer_id = ${customerId} and endpoint_id = ${id} and status = 'pending'`.execute(db);
}

/** Deletes an endpoint, its secrets, health and states; what was delivered stays in the log for as long as the log does. */
export async function deleteEndpoint(db: Db, customerId: string, id: string): Promise<void> {
  await sql`delete from webhook_endpoint where customer_id = ${customerId} and id = ${id}`.execute(db);
}

/** Those of these ids that are no campaign of the customer's. */
export async function selectUnknownCampaigns(
  db: Db,
  customerId: string,
  ids: readonly string[],
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select g.id from unnest(${ids}::uuid[]) as g(id)
    where not exists (select from campaign c where c.customer_id = ${customerId} and c.id = g.id)`.execute(
    db,
  );
  return rows.map((row) => row.id);
}
