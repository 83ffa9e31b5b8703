import { sql } from "kysely";
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
    insert into campaign_edge (customer_id, campaign_id, version, edge_id, from_node, to_node, event_types, url,
      fires_when, within, variant, kind, is_negative, within_cycle, closes_cycle)
    select ${campaign.customerId}, ${campaign.campaignId}, ${campaign.version}, "edgeId", "fromNode", "toNode",
      "eventTypes", url, "firesWhen", within, variant, kind, "isNegative", "withinCycle", "closesCycle"
    from jsonb_to_recordset(${JSON.stringify(edges)}::jsonb)
      as e("edgeId" text, "fromNode" text, "toNode" text, "eventTypes" text[], url text, "firesWhen" text,
        within interval, variant text, kind text, "isNegative" boolean, "withinCycle" boolean,
        "closesCycle" boolean)`.execute(db);
}
