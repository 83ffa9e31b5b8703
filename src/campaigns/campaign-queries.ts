import { sql } from "kysely";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import type { CompiledEdge, CompiledNode } from "./graph.ts";
import type { Campaign } from "./schema.ts";

export type CampaignStatus = "draft" | "active" | "paused";

export type CampaignSummary = {
  id: string;
  name: string;
  status: CampaignStatus;
  countAutomaticHits: boolean;
  /** Of the graph that people enroll into; 0 for a draft. */
  version: number;
  createdAt: Date;
  updatedAt: Date;
};

/** A campaign as it is edited: what runs is its version. */
export type StoredCampaign = CampaignSummary & Campaign;

const summary = sql`id, name, status, count_automatic_hits as "countAutomaticHits", version,
  created_at as "createdAt", updated_at as "updatedAt"`;

const columns = sql`${summary}, nodes, edges`;

export async function insertCampaign(
  db: Db,
  customerId: string,
  id: string,
  campaign: Campaign,
): Promise<void> {
  await sql`
    insert into campaign (customer_id, id, name, nodes, edges, count_automatic_hits)
    values (${customerId}, ${id}, ${campaign.name}, ${JSON.stringify(campaign.nodes)}::jsonb,
      ${JSON.stringify(campaign.edges)}::jsonb, ${campaign.countAutomaticHits})`.execute(db);
}

export async function findCampaign(db: Db, customerId: string, id: string): Promise<StoredCampaign | null> {
  const { rows } = await sql<StoredCampaign>`
    select ${columns} from campaign where customer_id = ${customerId} and id = ${id}`.execute(db);
  return rows[0] ?? null;
}

export async function hasCampaign(db: Db, customerId: string, id: string): Promise<boolean> {
  const { rows } = await sql`
    select id from campaign where customer_id = ${customerId} and id = ${id}`.execute(db);
  return rows.length === 1;
}

/** The campaign with its row locked, so that changes to it come one after the other. */
export async function lockCampaign(db: Db, customerId: string, id: string): Promise<StoredCampaign | null> {
  const { rows } = await sql<StoredCampaign>`
    select ${columns} from campaign where customer_id = ${customerId} and id = ${id} for update`.execute(db);
  return rows[0] ?? null;
}

/** What enrolling needs to know; it stays so until the transaction ends, and others may enroll meanwhile. */
export async function holdCampaign(db: Db, customerId: string, id: string): Promise<CampaignSummary | null> {
  const { rows } = await sql<CampaignSummary>`
    select ${summary} from campaign where customer_id = ${customerId} and id = ${id} for share`.execute(db);
  return rows[0] ?? null;
}

export async function saveCampaign(
  db: Db,
  customerId: string,
  id: string,
  campaign: Campaign,
): Promise<void> {
  await sql`
    update campaign set name = ${campaign.name}, nodes = ${JSON.stringify(campaign.nodes)}::jsonb,
      edges = ${JSON.stringify(campaign.edges)}::jsonb, count_automatic_hits = ${campaign.countAutomaticHits},
      updated_at = now()
    where customer_id = ${customerId} and id = ${id}`.execute(db);
}

export async function setCampaignStatus(
  db: Db,
  customerId: string,
  id: string,
  to: { status: "active" | "paused"; version: number },
): Promise<void> {
  await sql`
    update campaign set status = ${to.status}, version = ${to.version}, updated_at = now()
    where customer_id = ${customerId} and id = ${id}`.execute(db);
}

/** Newest first, one more than the page holds. */
export async function selectCampaigns(
  db: Db,
  customerId: string,
  filter: { status: CampaignStatus | null },
  page: Page,
): Promise<CampaignSummary[]> {
  const { rows } = await sql<CampaignSummary>`
    select ${summary} from campaign
    where customer_id = ${customerId}
      and (${filter.status}::text is null or status = ${filter.status})
      and (${page.cursor}::uuid is null or id < ${page.cursor}::uuid)
    order by id desc limit ${page.limit + 1}`.execute(db);
  return rows;
}

/** Whether these are exactly the nodes and edges of a version. */
export async function isVersion(
  db: Db,
  campaign: { customerId: string; campaignId: string; version: number },
  nodes: readonly CompiledNode[],
  edges: readonly CompiledEdge[],
): Promise<boolean> {
  const ofVersion = sql`customer_id = ${campaign.customerId} and campaign_id = ${campaign.campaignId}
    and version = ${campaign.version}`;
  const { rows } = await sql<{ same: boolean }>`
    with node as (
      select "nodeId", type, "isEntry", "credentialId", settings
      from jsonb_to_recordset(${JSON.stringify(nodes)}::jsonb)
        as n("nodeId" text, type text, "isEntry" boolean, "credentialId" uuid, settings jsonb)
    ), version_node as (
      select node_id, type, is_entry, credential_id, settings from campaign_node where ${ofVersion}
    ), edge as (
      select "edgeId", "fromNode", "toNode", "eventTypes", url
      from jsonb_to_recordset(${JSON.stringify(edges)}::jsonb)
        as e("edgeId" text, "fromNode" text, "toNode" text, "eventTypes" text[], url text)
    ), version_edge as (
      select edge_id, from_node, to_node, event_types, url from campaign_edge where ${ofVersion}
    )
    select not exists (table node except table version_node) and not exists (table version_node except table node)
      and not exists (table edge except table version_edge) and not exists (table version_edge except table edge)
      as same`.execute(db);
  return rows[0]?.same === true;
}

/**
 * Deletes a campaign and withdraws what it had ahead: messages that nobody has begun to send, waits, enrollments.
 * Its messages, enrollments and activity stay, as what happened to its contacts. The projector, whose these
 * statuses are, stands still meanwhile.
 * @param db a transaction, with the campaign locked
 */
export async function deleteCampaign(db: Db, customerId: string, id: string): Promise<void> {
  await sql`select from projector_cursor where name = 'projector' for update`.execute(db);
  await sql`
    update message set status = 'cancelled'
    where customer_id = ${customerId} and campaign_id = ${id} and status = 'queued' and claimed_by is null`.execute(
    db,
  );
  await sql`
    update node_run r set status = 'cancelled', due_at = null, finished_at = now()
    from enrollment e
    where e.customer_id = ${customerId} and e.campaign_id = ${id} and e.status = 'active'
      and r.customer_id = e.customer_id and r.enrollment_id = e.id
      and (r.status = 'waiting' or (r.status = 'running' and exists (
        select from message m
        where m.customer_id = r.customer_id and m.run_id = r.id and m.status = 'cancelled')))`.execute(db);
  await sql`
    update enrollment set status = 'completed', completed_at = now()
    where customer_id = ${customerId} and campaign_id = ${id} and status = 'active'`.execute(db);
  await sql`delete from campaign where customer_id = ${customerId} and id = ${id}`.execute(db);
}
