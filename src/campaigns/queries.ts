import { sql } from "kysely";
import { holdAppendLock } from "../events/queries.ts";
import type { Db } from "../storage/pool.ts";
import type { CompiledEdge, CompiledNode } from "./graph.ts";

/** Writes one version of a campaign in the form that the projector joins with. */
export async function insertVersion(
  db: Db,
  campaign: { customerId: string; campaignId: string; version: number },
  nodes: readonly CompiledNode[],
  edges: readonly CompiledEdge[],
): Promise<void> {
  await sql`
    insert into campaign_node (customer_id, campaign_id, version, node_id, type, is_entry, credential_id, wait, settings)
    select ${campaign.customerId}, ${campaign.campaignId}, ${campaign.version}, "nodeId", type, "isEntry",
      "credentialId", wait, settings
    from jsonb_to_recordset(${JSON.stringify(nodes)}::jsonb)
      as n("nodeId" text, type text, "isEntry" boolean, "credentialId" uuid, wait interval, settings jsonb)`.execute(
    db,
  );
  await sql`
    insert into campaign_edge (customer_id, campaign_id, version, edge_id, from_node, to_node, event_types, url)
    select ${campaign.customerId}, ${campaign.campaignId}, ${campaign.version}, "edgeId", "fromNode", "toNode",
      "eventTypes", url
    from jsonb_to_recordset(${JSON.stringify(edges)}::jsonb)
      as e("edgeId" text, "fromNode" text, "toNode" text, "eventTypes" text[], url text)`.execute(db);
}

/** Which contacts to enroll: by id, by tag, or everybody. */
export type Audience = { contactIds: readonly string[] } | { tag: string } | { all: true };

export type EnrollCounts = { selected: number; enrolled: number };

/**
 * Enrolls an audience in the campaign's present version, in one statement; who has been enrolled before is left
 * as he is. Each new enrollment begins by its `campaign_started` event. Enrollments are written in the order of
 * their contacts, so that two requests with the same people wait for each other and never in a circle.
 * @param db a transaction
 */
export async function enrollContacts(
  db: Db,
  campaign: { customerId: string; campaignId: string; version: number },
  audience: Audience,
): Promise<EnrollCounts> {
  await holdAppendLock(db);
  const { rows } = await sql<EnrollCounts>`
    with selected as (
      select id from contact where customer_id = ${campaign.customerId} and ${inAudience(audience)}
    ), enrolled as (
      insert into enrollment (customer_id, id, campaign_id, version, contact_id)
      select ${campaign.customerId}, new_id(), ${campaign.campaignId}, ${campaign.version}, id from selected
      order by id
      on conflict (customer_id, campaign_id, contact_id) do nothing
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

function inAudience(audience: Audience) {
  if ("contactIds" in audience) return sql`id = any (${audience.contactIds}::uuid[])`;
  if ("tag" in audience) return sql`tags @> array[${audience.tag}::text]`;
  return sql`true`;
}

/**
 * Ends the waits of running campaigns that are due: takes their due time and says so in the log, in one
 * transaction, so that each ends once however many processes look.
 * @param db a transaction
 * @returns how many ended
 */
export async function completeDueWaits(db: Db, limit: number): Promise<number> {
  await holdAppendLock(db);
  const result = await sql`
    with due as (
      select r.customer_id, r.id, r.campaign_id, r.contact_id
      from campaign c
      cross join lateral (
        select customer_id, id, campaign_id, contact_id from node_run
        where customer_id = c.customer_id and campaign_id = c.id and due_at <= now()
        order by due_at limit ${limit}
        for update skip locked
      ) r
      where c.status = 'active'
      limit ${limit}
    ), taken as (
      update node_run r set due_at = null from due
      where r.customer_id = due.customer_id and r.id = due.id
    )
    insert into event_log (customer_id, id, type, at, campaign_id, run_id, contact_id)
    select customer_id, new_id(), 'run_completed', now(), campaign_id, id, contact_id from due`.execute(db);
  return Number(result.numAffectedRows ?? 0);
}
