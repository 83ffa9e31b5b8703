import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";

/** The contact's timeline: every event that concerns a contact, but for the graph's own bookkeeping. */
export async function recordActivity(db: Db): Promise<void> {
  await sql`
    insert into activity (customer_id, contact_id, id, type, at, campaign_id, node_id, run_id, message_id,
      agent, agent_rule, user_agent, ip, data)
    select customer_id, contact_id, event_id, type, at, campaign_id, node_id, run_id, message_id,
      agent, agent_rule, user_agent, ip, data
    from batch
    where contact_id is not null and type <> 'run_completed'
    on conflict do nothing`.execute(db);
}
