import { type RawBuilder, sql } from "kysely";
import { holdAppendLock } from "../events/queries.ts";
import type { Db } from "../storage/pool.ts";

/** Which contacts to enroll: by id, by tag, or everybody. */
export type Audience = { contactIds: readonly string[] } | { tag: string } | { all: true };

/** An audience as a condition on the row `c` of `contact`. */
export function inAudience(audience: Audience): RawBuilder<boolean> {
  if ("contactIds" in audience) return sql`c.id = any (${audience.contactIds}::uuid[])`;
  if ("tag" in audience) return sql`c.tags @> array[${audience.tag}::text]`;
  return sql`true`;
}

export type EnrollCounts = { selected: number; enrolled: number };

/**
 * Enrolls those contacts in the campaign's present version, in one statement. Who is in the campaign is left as he
 * is, and so is who has been in it, unless the campaign's `reenroll_after` has passed since he completed it: then
 * his next attempt begins. Each new enrollment begins by its `campaign_started` event. Enrollments are written in
 * the order of their contacts, so that two requests with the same people wait for each other and never in a circle.
 * @param db a transaction
 * @param audience a condition on the row `c` of `contact`
 */
export async function enrollContacts(
  db: Db,
  campaign: { customerId: string; campaignId: string; version: number },
  audience: RawBuilder<boolean>,
): Promise<EnrollCounts> {
  await holdAppendLock(db);
  const { rows } = await sql<EnrollCounts>`
    with selected as (
      select c.id from contact c where c.customer_id = ${campaign.customerId} and ${audience}
    ), enrolled as (
      insert into enrollment (customer_id, id, campaign_id, version, contact_id, attempt)
      select ${campaign.customerId}, new_id(), ${campaign.campaignId}, ${campaign.version}, s.id,
        coalesce(last.attempt, 0) + 1
      from selected s
      left join lateral (
        select attempt, completed_at from enrollment en
        where en.customer_id = ${campaign.customerId} and en.campaign_id = ${campaign.campaignId}
          and en.contact_id = s.id
        order by en.attempt desc limit 1
      ) as last on true
      where last.attempt is null or exists (
        select from campaign k
        where k.customer_id = ${campaign.customerId} and k.id = ${campaign.campaignId}
          and add_interval(last.completed_at, k.reenroll_after) <= now())
      order by s.id
      on conflict do nothing
      returning id, contact_id
    ), started as (
      insert into event_log (customer_id, id, type, at, campaign_id, contact_id, data)
      select ${campaign.customerId}, new_id(), 'campaign_started', now(), ${campaign.campaignId}, contact_id,
        jsonb_build_object('enrollmentId', id)
      from enrolled
    )
    select (select count(*) from selected) as selected, (select count(*) from enrolled) as enrolled`.execute(
    db,
  );
  return rows[0] ?? { selected: 0, enrolled: 0 };
}
