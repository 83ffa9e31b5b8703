import { sql } from "kysely";
import { compileGraph } from "../src/campaigns/graph.ts";
import { insertVersion } from "../src/campaigns/queries.ts";
import { campaignInput } from "../src/campaigns/schema.ts";
import { newId } from "../src/events/id.ts";
import { MAX_VALUES, OTHER } from "../src/projector/breakdown.ts";
import type { Db } from "../src/storage/pool.ts";
import { PLATFORMS } from "../src/tracking/device.ts";

export type CountedCampaign = { customerId: string; campaignId: string };

const NODES = 10;
const DAYS = 365;
const LINKS_OF_A_NODE = MAX_VALUES.link / NODES;
const CLIENTS = ["apple-mail", "gmail", "outlook", "chrome", "safari", "firefox", "edge", "other"];
const TYPES = [
  "run_started",
  "message_queued",
  "message_sent",
  "message_delivered",
  "message_bounced",
  "message_complained",
  "message_received",
  "email_opened",
  "email_clicked",
  "unsubscribed",
];

/**
 * Every counter there can be of a campaign with ten messages that has gone on for a year, each hour of it: what ten
 * million events leave when they are spread as evenly as they can be, and so the most there is to read.
 */
export async function fillCounters(db: Db, customerId: string, events: number): Promise<CountedCampaign> {
  const campaign = { customerId, campaignId: newId() };
  await createCampaign(db, campaign);
  await fillHours(db, campaign, events);
  await fillBreakdowns(db, campaign, events);
  await sql`vacuum analyze`.execute(db);
  return campaign;
}

async function createCampaign(db: Db, { customerId, campaignId }: CountedCampaign): Promise<void> {
  const credentialId = newId();
  const numbers = Array.from({ length: NODES }, (_, number) => number);
  const graph = campaignInput.parse({
    name: "Bench",
    nodes: numbers.map((number) => ({
      id: `n${number}`,
      type: "message",
      channel: "email",
      credentialId,
      subject: "Hi",
      html: "<p>Hi</p>",
    })),
    edges: numbers.slice(1).flatMap((number) =>
      (["opened", "clicked"] as const).map((firesWhen) => ({
        id: `${firesWhen}${number}`,
        from: `n${number - 1}`,
        to: `n${number}`,
        firesWhen,
      })),
    ),
  });
  await sql`
    insert into campaign (customer_id, id, name, status, nodes, edges, version)
    values (${customerId}, ${campaignId}, 'Bench', 'active', ${JSON.stringify(graph.nodes)}::jsonb,
      ${JSON.stringify(graph.edges)}::jsonb, 1)`.execute(db);
  const { nodes, edges } = compileGraph(graph);
  await insertVersion(db, { customerId, campaignId, version: 1 }, nodes, edges);
}

const counts = sql`total, unique_total, unique_human, human, proxy, prefetch, scanner`;
/** The columns of a row with so many events. */
const split = (total: number) => sql`${total}::int, ${total}::int - 1, ${total}::int / 2, ${total}::int / 2,
  ${total}::int / 4, ${total}::int / 8, ${total}::int / 8`;

async function fillHours(db: Db, { customerId, campaignId }: CountedCampaign, events: number): Promise<void> {
  const hours = sql`generate_series(date_trunc('hour', now()) - ${`${DAYS} days`}::interval,
    date_trunc('hour', now()), '1 hour') as hour`;
  const each = Math.ceil(events / (DAYS * 24 * NODES * TYPES.length));
  await sql`
    insert into counter (customer_id, campaign_id, node_id, type, hour, ${counts})
    select ${customerId}, ${campaignId}, 'n' || node, type, hour, ${split(each)}
    from ${hours}, generate_series(0, ${NODES - 1}) as node, unnest(${TYPES}::text[]) as type`.execute(db);
  await sql`
    insert into campaign_hour (customer_id, campaign_id, hour, type, ${counts})
    select ${customerId}, ${campaignId}, hour, type, ${split(each * NODES)}
    from ${hours}, unnest(${TYPES}::text[]) as type`.execute(db);
  await sql`
    insert into edge_counter (customer_id, campaign_id, edge_id, hour, fired)
    select ${customerId}, ${campaignId}, kind || edge, hour, ${each}
    from ${hours}, generate_series(1, ${NODES - 1}) as edge, unnest(array['opened', 'clicked']) as kind`.execute(
    db,
  );
}

async function fillBreakdowns(
  db: Db,
  { customerId, campaignId }: CountedCampaign,
  events: number,
): Promise<void> {
  const devices = PLATFORMS.flatMap((platform) => CLIENTS.map((client) => `${platform}/${client}`));
  const each = Math.ceil(events / (MAX_VALUES.domain * NODES * TYPES.length));
  await sql`
    insert into breakdown_value (customer_id, campaign_id, dimension, value, number, url)
    select ${customerId}, ${campaignId}, dimension, 'value' || number, number,
      case dimension when 'link' then 'https://example.com/a/landing/page?utm_source=news&number=' || number end
    from unnest(array['link', 'domain'], ${[MAX_VALUES.link, MAX_VALUES.domain]}::int[]) as d(dimension, most),
      generate_series(1, most) as number`.execute(db);
  await sql`
    insert into breakdown (customer_id, campaign_id, dimension, value, node_id, type, ${counts})
    select ${customerId}, ${campaignId}, p.dimension, p.value, 'n' || p.node, p.type, ${split(each)}
    from (
      select 'all' as dimension, '' as value, node, type
      from generate_series(0, ${NODES - 1}) as node, unnest(${TYPES}::text[]) as type
      union all
      select 'edge', kind || number, number, 'edge_fired'
      from generate_series(1, ${NODES - 1}) as number, unnest(array['opened', 'clicked']) as kind
      union all
      select 'domain', case number when 0 then ${OTHER} else 'value' || number end, node, type
      from generate_series(0, ${MAX_VALUES.domain}) as number, generate_series(0, ${NODES - 1}) as node,
        unnest(${TYPES.slice(1)}::text[]) as type
      union all
      select 'device', device, node, type
      from unnest(${devices}::text[]) as device, generate_series(0, ${NODES - 1}) as node,
        unnest(array['email_opened', 'email_clicked', 'unsubscribed']) as type
      union all
      select 'link', 'value' || number, (number - 1) / ${LINKS_OF_A_NODE}, 'email_clicked'
      from generate_series(1, ${MAX_VALUES.link}) as number
    ) as p`.execute(db);
}
