import { sql } from "kysely";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import { isoDuration } from "./duration.ts";
import type { CompiledEdge, CompiledNode } from "./graph.ts";
import { type Campaign, campaignInput } from "./schema.ts";

export type CampaignStatus = "draft" | "active" | "paused";

/** What takes effect at once, whatever the version. */
export type CampaignSettings = Omit<Campaign, "name" | "nodes" | "edges">;

export type CampaignSummary = CampaignSettings & {
  id: string;
  name: string;
  status: CampaignStatus;
  /** Of the graph that people enroll into; 0 for a draft. */
  version: number;
  createdAt: Date;
  updatedAt: Date;
};

/** A campaign as it is edited: what runs is its version. */
export type StoredCampaign = CampaignSummary & Campaign;

const summary = sql`id, name, status, version, created_at as "createdAt", updated_at as "updatedAt",
  count_automatic_hits as "countAutomaticHits", max_rounds as "maxRounds", exit_on as "exitOn",
  reenroll_after as "reenrollAfter", time_zone as "timeZone",
  case when quiet_from is not null then jsonb_build_object(
    'from', to_char(quiet_from, 'HH24:MI'), 'to', to_char(quiet_to, 'HH24:MI')) end as "quietHours",
  ignore_frequency_cap as "ignoreFrequencyCap", topic_id as "topicId"`;

const columns = sql`${summary}, nodes, edges`;

/** PostgreSQL's interval comes in parts. */
type SummaryRow = Omit<CampaignSummary, "reenrollAfter"> & { reenrollAfter: Interval | null };
type CampaignRow = SummaryRow & { nodes: unknown; edges: unknown };
type Interval = Partial<Record<"years" | "months" | "days" | "hours" | "minutes" | "seconds", number>> & {
  milliseconds?: number;
};

export async function insertCampaign(
  db: Db,
  customerId: string,
  id: string,
  campaign: Campaign,
): Promise<void> {
  await sql`
    insert into campaign (customer_id, id, name, nodes, edges, count_automatic_hits, max_rounds, exit_on,
      reenroll_after, time_zone, quiet_from, quiet_to, ignore_frequency_cap, topic_id)
    values (${customerId}, ${id}, ${campaign.name}, ${JSON.stringify(campaign.nodes)}::jsonb,
      ${JSON.stringify(campaign.edges)}::jsonb, ${campaign.countAutomaticHits}, ${campaign.maxRounds},
      ${campaign.exitOn}::text[], ${campaign.reenrollAfter}::interval, ${campaign.timeZone},
      ${campaign.quietHours?.from ?? null}::time, ${campaign.quietHours?.to ?? null}::time,
      ${campaign.ignoreFrequencyCap}, ${campaign.topicId})`.execute(db);
}

export async function findCampaign(db: Db, customerId: string, id: string): Promise<StoredCampaign | null> {
  const { rows } = await sql<CampaignRow>`
    select ${columns} from campaign where customer_id = ${customerId} and id = ${id}`.execute(db);
  return rows[0] === undefined ? null : storedCampaign(rows[0]);
}

export async function hasCampaign(db: Db, customerId: string, id: string): Promise<boolean> {
  const { rows } = await sql`
    select id from campaign where customer_id = ${customerId} and id = ${id}`.execute(db);
  return rows.length === 1;
}

/** The campaign with its row locked, so that changes to it come one after the other. */
export async function lockCampaign(db: Db, customerId: string, id: string): Promise<StoredCampaign | null> {
  const { rows } = await sql<CampaignRow>`
    select ${columns} from campaign where customer_id = ${customerId} and id = ${id} for update`.execute(db);
  return rows[0] === undefined ? null : storedCampaign(rows[0]);
}

/** What enrolling needs to know; it stays so until the transaction ends, and others may enroll meanwhile. */
export async function holdCampaign(db: Db, customerId: string, id: string): Promise<CampaignSummary | null> {
  const { rows } = await sql<SummaryRow>`
    select ${summary} from campaign where customer_id = ${customerId} and id = ${id} for share`.execute(db);
  return rows[0] === undefined ? null : summaryOf(rows[0]);
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
      max_rounds = ${campaign.maxRounds}, exit_on = ${campaign.exitOn}::text[],
      reenroll_after = ${campaign.reenrollAfter}::interval, time_zone = ${campaign.timeZone},
      quiet_from = ${campaign.quietHours?.from ?? null}::time, quiet_to = ${campaign.quietHours?.to ?? null}::time,
      ignore_frequency_cap = ${campaign.ignoreFrequencyCap}, topic_id = ${campaign.topicId}, updated_at = now()
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
  const { rows } = await sql<SummaryRow>`
    select ${summary} from campaign
    where customer_id = ${customerId}
      and (${filter.status}::text is null or status = ${filter.status})
      and (${page.cursor}::uuid is null or id < ${page.cursor}::uuid)
    order by id desc limit ${page.limit + 1}`.execute(db);
  return rows.map(summaryOf);
}

// Graphs that were saved by earlier versions lack what came later.
function storedCampaign({ nodes, edges, ...row }: CampaignRow): StoredCampaign {
  const { shape } = campaignInput;
  return { ...summaryOf(row), nodes: shape.nodes.parse(nodes), edges: shape.edges.parse(edges) };
}

function summaryOf({ reenrollAfter, ...row }: SummaryRow): CampaignSummary {
  if (reenrollAfter === null) return { ...row, reenrollAfter };
  const { seconds = 0, milliseconds = 0, ...parts } = reenrollAfter;
  return { ...row, reenrollAfter: isoDuration({ ...parts, seconds: seconds + milliseconds / 1_000 }) };
}

/** Whether there is such a topic; in a transaction, it stays until that ends. */
export async function holdTopic(db: Db, customerId: string, id: string): Promise<boolean> {
  const { rows } = await sql`
    select id from topic where customer_id = ${customerId} and id = ${id} for key share`.execute(db);
  return rows.length === 1;
}

/** Whether these are exactly the nodes and edges of a version; what was compiled of the nodes is not compared. */
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
      select node_id, type, is_entry, credential_id, settings - 'compiledHtml' - 'compiledText'
      from campaign_node where ${ofVersion}
    ), edge as (
      select "edgeId", "fromNode", "toNode", "firesWhen", url, within::text, variant, "withinCycle", "closesCycle"
      from jsonb_to_recordset(${JSON.stringify(edges)}::jsonb)
        as e("edgeId" text, "fromNode" text, "toNode" text, "firesWhen" text, url text, within interval,
          variant text, "withinCycle" boolean, "closesCycle" boolean)
    ), version_edge as (
      select edge_id, from_node, to_node, fires_when, url, within::text, variant, within_cycle, closes_cycle
      from campaign_edge where ${ofVersion}
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
    update enrollment set status = 'completed', completed_at = now(), completed_reason = 'deleted'
    where customer_id = ${customerId} and campaign_id = ${id} and status = 'active'`.execute(db);
  await sql`delete from edge_timer where customer_id = ${customerId} and campaign_id = ${id}`.execute(db);
  await sql`delete from campaign where customer_id = ${customerId} and id = ${id}`.execute(db);
}
