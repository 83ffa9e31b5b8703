import { sql } from "kysely";
import type { Json } from "../events/event.ts";
import type { Db } from "../storage/pool.ts";

export type SentMessage = {
  campaignId: string;
  nodeId: string;
  runId: string;
  toAddress: string;
  /** The node as its version has it. */
  settings: unknown;
  /** Null when the campaign has been deleted. */
  campaignName: string | null;
  postalAddress: string | null;
  contactExists: boolean;
  attributes: { [name: string]: Json };
  tags: string[];
};

/** A campaign's email, with what it was made of and its contact as it is now; null when there is none. */
export async function findSentMessage(db: Db, customerId: string, id: string): Promise<SentMessage | null> {
  const { rows } = await sql<SentMessage>`
    select m.campaign_id as "campaignId", m.node_id as "nodeId", m.run_id as "runId", m.to_address as "toAddress",
      n.settings, c.name as "campaignName", cu.postal_address as "postalAddress",
      ct.id is not null as "contactExists", coalesce(ct.attributes, '{}') as attributes,
      coalesce(ct.tags, '{}') as tags
    from message m
    join customer cu on cu.customer_id = m.customer_id
    join campaign_node n on n.customer_id = m.customer_id and n.campaign_id = m.campaign_id
      and n.version = m.version and n.node_id = m.node_id
    left join campaign c on c.customer_id = m.customer_id and c.id = m.campaign_id
    left join contact ct on ct.customer_id = m.customer_id and ct.id = m.contact_id
    where m.customer_id = ${customerId} and m.id = ${id} and m.direction = 'outbound' and m.channel = 'email'
      and m.run_id is not null`.execute(db);
  return rows[0] ?? null;
}
