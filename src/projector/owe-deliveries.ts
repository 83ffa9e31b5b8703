import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import { CATALOGUE_TYPES } from "../webhooks/catalogue-types.ts";

/**
 * Owes each event of the batch to every endpoint that is told of it, but for what a digest gathers. An endpoint is
 * never told that it was disabled itself: when that is because it fails, it would have to fail once more.
 */
export async function oweDeliveries(db: Db): Promise<void> {
  if (!(await isAnybodyTold(db))) return;
  await sql`
    insert into webhook_delivery (customer_id, endpoint_id, event_id, kind, event_type, event_at, position, campaign_id,
      contact_id, message_id, status, due_at)
    select b.customer_id, e.id, b.event_id, 'event', b.type, b.at, b.position, b.campaign_id, b.contact_id,
      b.message_id, 'pending', now()
    from batch b
    join webhook_endpoint e on e.customer_id = b.customer_id
    where b.type = any (${CATALOGUE_TYPES}::text[]) and e.status = 'enabled' and b.type like any (e.type_patterns)
      and (e.campaign_ids is null or b.campaign_id = any (e.campaign_ids))
      and (b.by_person or e.include_automatic)
      and (e.digest_seconds is null or not b.type like any (e.digest_patterns))
      and (b.type <> 'endpoint_disabled' or b.data ->> 'endpointId' is distinct from e.id::text)
    order by b.position
    on conflict (customer_id, endpoint_id, event_id) do nothing`.execute(db);
}

async function isAnybodyTold(db: Db): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`
    select exists (
      select from webhook_endpoint e
      where e.status = 'enabled' and e.customer_id in (select customer_id from batch)
    ) as found`.execute(db);
  return rows[0]?.found ?? false;
}
