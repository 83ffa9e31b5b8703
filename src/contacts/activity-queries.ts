import { sql } from "kysely";
import type { Agent, EventType, Json } from "../events/event.ts";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";

export type Activity = {
  id: string;
  type: EventType;
  at: Date;
  campaignId: string | null;
  nodeId: string | null;
  runId: string | null;
  messageId: string | null;
  agent: Agent | null;
  agentRule: string | null;
  userAgent: string | null;
  ip: string | null;
  data: { [key: string]: Json };
};

/** Newest first, one more than the page holds. */
export async function selectActivity(
  db: Db,
  customerId: string,
  contactId: string,
  filter: { type: EventType | null; campaignId: string | null },
  page: Page,
): Promise<Activity[]> {
  const { rows } = await sql<Activity>`
    select id, type, at, campaign_id as "campaignId", node_id as "nodeId", run_id as "runId",
      message_id as "messageId", agent, agent_rule as "agentRule", user_agent as "userAgent", host(ip) as ip, data
    from activity
    where customer_id = ${customerId} and contact_id = ${contactId}
      and (${filter.type}::text is null or type = ${filter.type})
      and (${filter.campaignId}::uuid is null or campaign_id = ${filter.campaignId}::uuid)
      and (${page.cursor}::uuid is null or id < ${page.cursor}::uuid)
    order by id desc limit ${page.limit + 1}`.execute(db);
  return rows;
}
