import { sql } from "kysely";
import { LOCKS } from "../storage/locks.ts";
import type { Db } from "../storage/pool.ts";
import type { Event } from "./event.ts";

/**
 * Appends to the log inside the caller's transaction, in one statement; an id that is already there is left as it
 * is. The IP is kept as the customer chose: whole, cut to its /24 or /48, or not at all.
 * @param db a transaction: the shared lock taken here must be held until it commits
 */
export async function appendEvents(db: Db, events: readonly Event[]): Promise<void> {
  if (events.length === 0) return;
  await sql`select pg_advisory_xact_lock_shared(${LOCKS.append}, 0)`.execute(db);
  await sql`
    insert into event_log (customer_id, id, type, at, campaign_id, run_id, message_id, contact_id,
      agent, agent_rule, user_agent, ip, data)
    select e.customer_id, e.id, e.type, e.at, e.campaign_id, e.run_id, e.message_id, e.contact_id,
      e.agent, e.agent_rule, e.user_agent,
      case c.ip_policy
        when 'whole' then e.ip
        when 'truncated' then host(network(set_masklen(e.ip, case family(e.ip) when 4 then 24 else 48 end)))::inet
      end, e.data
    from unnest(
      ${events.map((event) => event.customerId)}::uuid[], ${events.map((event) => event.id)}::uuid[],
      ${events.map((event) => event.type)}::text[], ${events.map((event) => event.at.toISOString())}::timestamptz[],
      ${events.map((event) => event.campaignId)}::uuid[], ${events.map((event) => event.runId)}::uuid[],
      ${events.map((event) => event.messageId)}::uuid[], ${events.map((event) => event.contactId)}::uuid[],
      ${events.map((event) => event.agent)}::text[], ${events.map((event) => event.agentRule)}::text[],
      ${events.map((event) => event.userAgent)}::text[], ${events.map((event) => event.ip)}::inet[],
      ${events.map((event) => JSON.stringify(event.data))}::jsonb[]
    ) as e(customer_id, id, type, at, campaign_id, run_id, message_id, contact_id, agent, agent_rule, user_agent, ip, data)
    join customer c on c.customer_id = e.customer_id
    on conflict (customer_id, id) do nothing`.execute(db);
}
