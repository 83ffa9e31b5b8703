import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import { withdrawWork } from "./withdraw-queries.ts";

/** Whose enrollments are meant: one, those of some contacts, or a campaign's. */
export type Leaving =
  | { enrollmentId: string }
  | { campaignId: string; contactIds: readonly string[] }
  | { campaignId: string };

/**
 * Takes contacts out of a campaign: their active enrollments are completed with the reason `left`, and what they had
 * ahead is withdrawn. At most `limit`, the oldest first.
 * @param db a transaction that holds the projector
 * @returns how many
 */
export async function leave(db: Db, customerId: string, leaving: Leaving, limit: number): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    with chosen as materialized (
      select en.id from enrollment en
      where en.customer_id = ${customerId} and en.status = 'active' and ${isLeaving(leaving)}
      order by en.id limit ${limit}
    ), completed as (
      update enrollment en set status = 'completed', completed_at = now(), completed_reason = 'left'
      from chosen
      where en.customer_id = ${customerId} and en.id = chosen.id and en.status = 'active'
      returning en.id, en.campaign_id, en.contact_id
    ), logged as (
      insert into event_log (customer_id, id, type, at, campaign_id, contact_id, data)
      select ${customerId}, new_id(), 'campaign_completed', now(), campaign_id, contact_id,
        jsonb_build_object('enrollmentId', id, 'reason', 'left')
      from completed
    )
    select id from completed`.execute(db);
  const ids = rows.map(({ id }) => id);
  if (ids.length > 0) {
    await withdrawWork(
      db,
      sql`select ${customerId}::uuid as customer_id, id as enrollment_id from unnest(${ids}::uuid[]) as left_(id)`,
    );
  }
  return ids.length;
}

function isLeaving(leaving: Leaving) {
  if ("enrollmentId" in leaving) return sql`en.id = ${leaving.enrollmentId}`;
  const ofCampaign = sql`en.campaign_id = ${leaving.campaignId}`;
  return "contactIds" in leaving
    ? sql`${ofCampaign} and en.contact_id = any (${leaving.contactIds}::uuid[])`
    : ofCampaign;
}
