import { sql } from "kysely";
import type { Event } from "../events/event.ts";
import { appendEvents } from "../events/queries.ts";
import type { Db } from "../storage/pool.ts";
import type { WebhookCall } from "./webhook-call.ts";

/**
 * Takes due runs of webhook nodes of running campaigns, oldest first, no more of a campaign than `perCampaign` less
 * what is `busy`. A taken run is due again after `leaseMs`: if this process dies, the call is made once more then.
 * @param busy how many calls of a campaign are under way, by campaign id
 */
export async function takeWebhookCalls(
  db: Db,
  limits: { total: number; perCampaign: number; busy: ReadonlyMap<string, number>; leaseMs: number },
): Promise<WebhookCall[]> {
  const { rows } = await sql<WebhookCall>`
    with due as materialized (
      select r.*, c.name as campaign_name
      from campaign c
      left join jsonb_each_text(${JSON.stringify(Object.fromEntries(limits.busy))}::jsonb) as busy(id, calls)
        on busy.id = c.id::text
      cross join lateral (
        select customer_id, id, campaign_id, version, node_id, enrollment_id, contact_id
        from node_run
        where customer_id = c.customer_id and campaign_id = c.id and node_type = 'webhook' and due_at <= now()
        order by due_at limit greatest(0, ${limits.perCampaign} - coalesce(busy.calls::int, 0))
        for update skip locked
      ) r
      where c.status = 'active'
      limit ${limits.total}
    ), leased as (
      update node_run r set due_at = now() + ${limits.leaseMs} * interval '1 millisecond'
      from due where r.customer_id = due.customer_id and r.id = due.id
    ), counted as (
      insert into webhook_call (customer_id, run_id, attempts)
      select customer_id, id, 1 from due
      on conflict (customer_id, run_id) do update set attempts = webhook_call.attempts + 1
      returning customer_id, run_id, attempts
    )
    select due.customer_id as "customerId", due.id as "runId", due.enrollment_id as "enrollmentId",
      due.campaign_id as "campaignId", due.campaign_name as "campaignName", due.version,
      due.node_id as "nodeId", n.settings, due.contact_id as "contactId", counted.attempts,
      case when ct.id is not null then jsonb_build_object('email', ct.email, 'timeZone', ct.time_zone,
        'attributes', ct.attributes, 'tags', ct.tags) end as contact
    from due
    join counted on counted.customer_id = due.customer_id and counted.run_id = due.id
    join campaign_node n on n.customer_id = due.customer_id and n.campaign_id = due.campaign_id
      and n.version = due.version and n.node_id = due.node_id
    left join contact ct on ct.customer_id = due.customer_id and ct.id = due.contact_id`.execute(db);
  return rows;
}

/**
 * Says how a run ended, and takes it out of the queue together with that.
 * @param db a transaction
 */
export async function endWebhookCall(db: Db, run: RunRef, event: Event): Promise<void> {
  await appendEvents(db, [event]);
  await sql`
    update node_run set due_at = null
    where customer_id = ${run.customerId} and id = ${run.runId} and status = 'waiting'`.execute(db);
  await sql`
    delete from webhook_call where customer_id = ${run.customerId} and run_id = ${run.runId}`.execute(db);
}

export type RunRef = { customerId: string; runId: string };

/** Puts a run back into the queue, unless it was cancelled meanwhile. */
export async function postponeWebhookCall(
  db: Db,
  run: RunRef,
  delayMs: number,
  reason: string,
): Promise<void> {
  await sql`
    with postponed as (
      update node_run set due_at = now() + ${delayMs} * interval '1 millisecond'
      where customer_id = ${run.customerId} and id = ${run.runId} and status = 'waiting'
    )
    update webhook_call set last_reason = ${reason}
    where customer_id = ${run.customerId} and run_id = ${run.runId}`.execute(db);
}
