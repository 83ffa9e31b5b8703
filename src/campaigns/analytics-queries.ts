import { sql } from "kysely";
import type { EventType } from "../events/event.ts";
import type { Db } from "../storage/pool.ts";
import type { NodeType } from "./schema.ts";

type CampaignRef = { customerId: string; campaignId: string };

/** A node's events of one type, over all hours. `nodeId` is empty for what belongs to no node. */
export type NodeCount = {
  nodeId: string;
  type: EventType;
  total: number;
  uniqueTotal: number;
  uniqueHuman: number;
  human: number;
  proxy: number;
  prefetch: number;
  scanner: number;
};

export type HourCount = { hour: Date; type: EventType; total: number; human: number };

export type VersionEdge = { edgeId: string; from: string; to: string; eventTypes: EventType[] };

export async function sumNodeCounters(db: Db, campaign: CampaignRef): Promise<NodeCount[]> {
  const { rows } = await sql<NodeCount>`
    select node_id as "nodeId", type, sum(total)::bigint as total, sum(unique_total)::bigint as "uniqueTotal",
      sum(unique_human)::bigint as "uniqueHuman", sum(human)::bigint as human, sum(proxy)::bigint as proxy,
      sum(prefetch)::bigint as prefetch, sum(scanner)::bigint as scanner
    from counter
    where customer_id = ${campaign.customerId} and campaign_id = ${campaign.campaignId}
    group by node_id, type`.execute(db);
  return rows;
}

/** Oldest first. `human` are the hits of people and of the image proxies that fetch when a person opens. */
export async function sumHours(db: Db, campaign: CampaignRef, from: Date): Promise<HourCount[]> {
  const { rows } = await sql<HourCount>`
    select hour, type, sum(total)::bigint as total, sum(human + proxy)::bigint as human
    from counter
    where customer_id = ${campaign.customerId} and campaign_id = ${campaign.campaignId} and hour >= ${from}
    group by hour, type order by hour, type`.execute(db);
  return rows;
}

export async function sumEdgeCounters(
  db: Db,
  campaign: CampaignRef,
): Promise<{ edgeId: string; fired: number }[]> {
  const { rows } = await sql<{ edgeId: string; fired: number }>`
    select edge_id as "edgeId", sum(fired)::bigint as fired from edge_counter
    where customer_id = ${campaign.customerId} and campaign_id = ${campaign.campaignId}
    group by edge_id`.execute(db);
  return rows;
}

/** Every node a campaign has ever been activated with, as it was last. */
export async function selectVersionNodes(
  db: Db,
  campaign: CampaignRef,
): Promise<{ nodeId: string; type: NodeType }[]> {
  const { rows } = await sql<{ nodeId: string; type: NodeType }>`
    select distinct on (node_id) node_id as "nodeId", type from campaign_node
    where customer_id = ${campaign.customerId} and campaign_id = ${campaign.campaignId}
    order by node_id, version desc`.execute(db);
  return rows;
}

/** Every edge a campaign has ever been activated with, as it was last. */
export async function selectVersionEdges(db: Db, campaign: CampaignRef): Promise<VersionEdge[]> {
  const { rows } = await sql<VersionEdge>`
    select distinct on (edge_id) edge_id as "edgeId", from_node as "from", to_node as "to",
      event_types as "eventTypes"
    from campaign_edge
    where customer_id = ${campaign.customerId} and campaign_id = ${campaign.campaignId}
    order by edge_id, version desc`.execute(db);
  return rows;
}
