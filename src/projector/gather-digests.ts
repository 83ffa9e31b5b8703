import { sql } from "kysely";
import { NIL_ID } from "../events/id.ts";
import type { Db } from "../storage/pool.ts";
import { CATALOGUE_TYPES } from "../webhooks/catalogue-types.ts";

/** In the place of a campaign, for what is of none. */
const NO_CAMPAIGN = NIL_ID;

/**
 * Counts what chat endpoints gather of the batch into their open digests, and opens one where there is none. A digest
 * that is being closed is waited for, and a new one opened: every event is in exactly one.
 */
export async function gatherDigests(db: Db): Promise<void> {
  if (!(await isGathered(db))) return;
  await sql`
    with tally as materialized (
      select customer_id, type, coalesce(campaign_id, ${NO_CAMPAIGN}) as campaign_id, by_person, count(*) as total
      from batch
      where type = any (${CATALOGUE_TYPES}::text[])
      group by 1, 2, 3, 4
    ), gathered as materialized (
      select e.customer_id, e.id as endpoint_id, t.type, t.campaign_id, sum(t.total) as total
      from tally t
      join webhook_endpoint e on e.customer_id = t.customer_id and e.digest_seconds is not null
      where e.status = 'enabled' and t.type like any (e.type_patterns) and t.type like any (e.digest_patterns)
        and (e.campaign_ids is null or t.campaign_id = any (e.campaign_ids))
        and (t.by_person or e.include_automatic)
      group by 1, 2, 3, 4
    ), opened as (
      insert into webhook_digest (customer_id, endpoint_id, opened_at)
      select distinct customer_id, endpoint_id, now() from gathered order by customer_id, endpoint_id
      on conflict (customer_id, endpoint_id) do update set opened_at = webhook_digest.opened_at
      returning customer_id, endpoint_id
    )
    insert into webhook_digest_count as c (customer_id, endpoint_id, event_type, campaign_id, total)
    select g.customer_id, g.endpoint_id, g.type, g.campaign_id, g.total
    from gathered g
    join opened o on o.customer_id = g.customer_id and o.endpoint_id = g.endpoint_id
    on conflict (customer_id, endpoint_id, event_type, campaign_id) do update
      set total = c.total + excluded.total`.execute(db);
}

async function isGathered(db: Db): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`
    select exists (
      select from webhook_endpoint e
      where e.digest_seconds is not null and e.customer_id in (select customer_id from batch)
    ) as found`.execute(db);
  return rows[0]?.found ?? false;
}
