import { sql } from "kysely";
import { z } from "zod";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { appendEvents } from "../events/queries.ts";
import type { Db } from "../storage/pool.ts";
import { openPart, type Part } from "./endpoint-seal.ts";
import { holdMatching, recordState } from "./endpoint-state-queries.ts";
import type { EndpointType } from "./told.ts";

/** Somebody, or EDGR: because of what failed for days, or because the endpoint said that it is no longer there. */
export type DisabledBy = "person" | "failures" | "gone";

/** An endpoint ready to be called. */
export type OpenEndpoint = {
  customerId: string;
  id: string;
  type: EndpointType;
  url: string;
  headers: { [name: string]: string };
  /** `whsec_…`, newest first; those that have expired are left out. */
  secrets: string[];
  /** `whsk_…` */
  signingKey: string;
  /** Seconds between attempts; null: EDGR's own. */
  retrySchedule: number[] | null;
  ratePerSecond: number | null;
  maxConcurrency: number;
  strictOrder: boolean;
  payloadVersion: number;
  /** Another one after every change of the endpoint or its secrets; a secret that expires changes nothing. */
  revision: string;
};

type OpenRow = Omit<OpenEndpoint, "url" | "headers" | "secrets" | "signingKey"> & {
  url: Buffer;
  headers: Buffer | null;
  signingKey: Buffer;
  secretIds: string[];
  secrets: Buffer[];
};

/** One customer's endpoint with its secrets opened, or null. */
export async function openEndpoint(
  db: Db,
  encryptionKey: Buffer,
  customerId: string,
  id: string,
): Promise<OpenEndpoint | null> {
  const { rows } = await sql<OpenRow>`
    select e.customer_id as "customerId", e.id, e.type, e.url, e.headers, e.private_key as "signingKey",
      e.retry_schedule as "retrySchedule", e.rate_per_second as "ratePerSecond",
      e.max_concurrency as "maxConcurrency", e.strict_order as "strictOrder", e.payload_version as "payloadVersion",
      e.updated_at::text as revision, s.ids as "secretIds", s.secrets
    from webhook_endpoint e
    cross join lateral (
      select coalesce(array_agg(s.id order by s.id desc), '{}') as ids,
        coalesce(array_agg(s.secret order by s.id desc), '{}') as secrets
      from webhook_secret s
      where s.customer_id = e.customer_id and s.endpoint_id = e.id and (s.expires_at is null or s.expires_at > now())
    ) as s
    where e.customer_id = ${customerId} and e.id = ${id}`.execute(db);
  const row = rows[0];
  if (row === undefined) return null;
  const { secretIds, secrets, ...rest } = row;
  const open = (part: Part, sealed: Buffer) =>
    openPart({ encryptionKey, customerId, endpointId: id }, part, sealed);
  return {
    ...rest,
    url: open("url", row.url),
    headers: row.headers === null ? {} : headersSchema.parse(JSON.parse(open("headers", row.headers))),
    signingKey: open("signing key", row.signingKey),
    secrets: secrets.map((sealed, index) => open(`secret ${secretIds[index]}`, sealed)),
  };
}

const headersSchema = z.record(z.string(), z.string());

/**
 * Sends nothing more to an endpoint, and says so in the log. What is pending stays so until it is enabled.
 * @param db a transaction that has neither appended to the log nor locked deliveries: it waits for the projector
 * @param reason a sentence
 * @returns false when it is disabled already, or not there
 */
export async function disableEndpoint(
  db: Db,
  customerId: string,
  id: string,
  by: DisabledBy,
  reason: string,
): Promise<boolean> {
  const position = await holdMatching(db);
  const { rows } = await sql<{ url: string; at: Date }>`
    update webhook_endpoint set status = 'disabled', disabled_by = ${by}, disabled_reason = ${reason},
      disabled_at = now(), updated_at = now(), version = version + 1
    where customer_id = ${customerId} and id = ${id} and status = 'enabled'
    returning url_shown as url, disabled_at as at`.execute(db);
  const row = rows[0];
  if (row === undefined) return false;
  await recordState(db, customerId, id, position);
  const data = { endpointId: id, url: row.url, by, reason };
  await appendEvents(db, [
    newEvent({ id: newId(row.at.getTime()), type: "endpoint_disabled", at: row.at, customerId, data }),
  ]);
  return true;
}
