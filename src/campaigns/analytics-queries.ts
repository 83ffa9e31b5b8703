import { type RawBuilder, sql } from "kysely";
import type { EventType } from "../events/event.ts";
import type { Db } from "../storage/pool.ts";
import type { FiresWhen, NodeType } from "./schema.ts";

export type CampaignRef = { customerId: string; campaignId: string };

/** Runs that begin are counted too, though no event says it. */
export type CountedType = EventType | "run_started";

/** Events of one type. `uniqueTotal` and `uniqueHuman` are runs; for types that a run has once, they are zero. */
export type Count = {
  type: CountedType;
  total: number;
  uniqueTotal: number;
  uniqueHuman: number;
  human: number;
  proxy: number;
  prefetch: number;
  scanner: number;
};

/** `nodeId` is empty for what belongs to no node. */
export type NodeCount = Count & { nodeId: string };

export type BucketCount = Omit<Count, "human" | "proxy" | "prefetch" | "scanner"> & {
  start: Date;
  human: number;
};

export type VersionEdge = { edgeId: string; from: string; to: string; firesWhen: FiresWhen };

export type FiredCount = { edgeId: string; fired: number };

const sums = sql`sum(total)::bigint as total, sum(unique_total)::bigint as "uniqueTotal",
  sum(unique_human)::bigint as "uniqueHuman", sum(human)::bigint as human, sum(proxy)::bigint as proxy,
  sum(prefetch)::bigint as prefetch, sum(scanner)::bigint as scanner`;

export function ofCampaign(campaign: CampaignRef): RawBuilder<unknown> {
  return sql`customer_id = ${campaign.customerId} and campaign_id = ${campaign.campaignId}`;
}

/** Every node's events over all time. */
export async function selectNodeCounts(db: Db, campaign: CampaignRef): Promise<NodeCount[]> {
  const { rows } = await sql<NodeCount>`
    select node_id as "nodeId", type, total, unique_total as "uniqueTotal", unique_human as "uniqueHuman", human, proxy,
      prefetch, scanner
    from breakdown
    where ${ofCampaign(campaign)} and dimension = 'all' and value = ''`.execute(db);
  return rows;
}

/**
 * The hours that begin in a time, or the days they begin in, oldest first; `human` are the hits of people and of the
 * image proxies that fetch when a person opens.
 */
export async function sumHours(
  db: Db,
  campaign: CampaignRef,
  range: { from: Date; to: Date; interval: "hour" | "day"; zone: string },
  filter: { nodeId: string | null; type: CountedType | null },
): Promise<BucketCount[]> {
  const day = sql`date_trunc('day', hour, (select known_zone(${range.zone}, 'UTC')))`;
  const start = range.interval === "hour" ? sql`hour` : day;
  const source = filter.nodeId === null ? sql`campaign_hour` : sql`counter`;
  const { rows } = await sql<BucketCount>`
    select ${start} as start, type, sum(total)::bigint as total, sum(unique_total)::bigint as "uniqueTotal",
      sum(unique_human)::bigint as "uniqueHuman", sum(human + proxy)::bigint as human
    from ${source}
    where ${ofCampaign(campaign)} and hour >= ${range.from} and hour < ${range.to}
      and (${filter.type}::text is null or type = ${filter.type})
      ${filter.nodeId === null ? sql`` : sql`and node_id = ${filter.nodeId}`}
    group by 1, type order by 1, type`.execute(db);
  return rows;
}

export type BounceCount = { kind: "hard" | "soft" | "provider_suppressed" | "other"; total: number };

/** A row for each kind of bounce that there was. */
export async function sumBounces(db: Db, campaign: CampaignRef): Promise<BounceCount[]> {
  const { rows } = await sql<BounceCount>`
    select value as kind, sum(total)::bigint as total from breakdown
    where ${ofCampaign(campaign)} and dimension = 'bounce' group by value`.execute(db);
  return rows;
}

export async function selectFirings(db: Db, campaign: CampaignRef): Promise<FiredCount[]> {
  const { rows } = await sql<FiredCount>`
    select value as "edgeId", total as fired from breakdown
    where ${ofCampaign(campaign)} and dimension = 'edge'`.execute(db);
  return rows;
}

/** Every node a campaign has ever been activated with, as it was last. */
export async function selectVersionNodes(
  db: Db,
  campaign: CampaignRef,
): Promise<{ nodeId: string; type: NodeType }[]> {
  const { rows } = await sql<{ nodeId: string; type: NodeType }>`
    select distinct on (node_id) node_id as "nodeId", type from campaign_node
    where ${ofCampaign(campaign)}
    order by node_id, version desc`.execute(db);
  return rows;
}

/** Every edge a campaign has ever been activated with, as it was last. */
export async function selectVersionEdges(db: Db, campaign: CampaignRef): Promise<VersionEdge[]> {
  const { rows } = await sql<VersionEdge>`
    select distinct on (edge_id) edge_id as "edgeId", from_node as "from", to_node as "to", fires_when as "firesWhen"
    from campaign_edge
    where ${ofCampaign(campaign)}
    order by edge_id, version desc`.execute(db);
  return rows;
}

export type LinkCount = Count & { url: string; nodeId: string; value: string };

/** Where a page of links or domains begins: behind the row with this number, value and node. */
export type CountCursor = { number: number; value: string; nodeId: string };

/** The links of a campaign's messages, those first that people click most; one more than the page holds. */
export async function selectLinks(
  db: Db,
  campaign: CampaignRef,
  filter: { nodeId: string | null },
  page: { limit: number; cursor: CountCursor | null },
): Promise<LinkCount[]> {
  const { cursor } = page;
  const { rows } = await sql<LinkCount>`
    select coalesce(v.url, b.value) as url, b.value, b.node_id as "nodeId", b.type, b.total,
      b.unique_total as "uniqueTotal", b.unique_human as "uniqueHuman", b.human, b.proxy, b.prefetch, b.scanner
    from breakdown b
    left join breakdown_value v on v.customer_id = b.customer_id and v.campaign_id = b.campaign_id
      and v.dimension = b.dimension and v.value = b.value
    where b.customer_id = ${campaign.customerId} and b.campaign_id = ${campaign.campaignId} and b.dimension = 'link'
      and (${filter.nodeId}::text is null or b.node_id = ${filter.nodeId})
      and (${cursor?.number ?? null}::bigint is null or b.human + b.proxy < ${cursor?.number ?? null}
        or (b.human + b.proxy = ${cursor?.number ?? null}
          and (b.value, b.node_id) > (${cursor?.value ?? null}::text, ${cursor?.nodeId ?? null}::text)))
    order by b.human + b.proxy desc, b.value, b.node_id limit ${page.limit + 1}`.execute(db);
  return rows;
}

export type DomainCount = Count & { domain: string; queued: number };

/**
 * The recipient domains of a campaign, those first that most messages go to, each with a row for every type; one
 * domain more than the page holds.
 */
export async function selectDomains(
  db: Db,
  campaign: CampaignRef,
  filter: { nodeId: string | null },
  page: { limit: number; cursor: CountCursor | null },
): Promise<DomainCount[]> {
  const { cursor } = page;
  const { rows } = await sql<DomainCount>`
    with counted as materialized (
      select value as domain, type, ${sums}
      from breakdown
      where ${ofCampaign(campaign)} and dimension = 'domain'
        and (${filter.nodeId}::text is null or node_id = ${filter.nodeId})
      group by value, type
    ), page as materialized (
      select domain, total as queued
      from counted
      where type = 'message_queued' and (${cursor?.number ?? null}::bigint is null or total < ${cursor?.number ?? null}
        or (total = ${cursor?.number ?? null} and domain > ${cursor?.value ?? null}))
      order by total desc, domain limit ${page.limit + 1}
    )
    select c.domain, p.queued, c.type, c.total, c."uniqueTotal", c."uniqueHuman", c.human, c.proxy, c.prefetch,
      c.scanner
    from page p
    join counted c on c.domain = p.domain
    order by p.queued desc, c.domain`.execute(db);
  return rows;
}

/** `device` is platform and client with a slash between them. */
export type DeviceCount = Count & { device: string };

export async function sumDevices(
  db: Db,
  campaign: CampaignRef,
  filter: { nodeId: string | null },
): Promise<DeviceCount[]> {
  const { rows } = await sql<DeviceCount>`
    select value as device, type, ${sums}
    from breakdown
    where ${ofCampaign(campaign)} and dimension = 'device'
      and (${filter.nodeId}::text is null or node_id = ${filter.nodeId})
    group by value, type`.execute(db);
  return rows;
}
