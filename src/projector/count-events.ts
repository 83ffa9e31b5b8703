import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";

/**
 * The counters of campaign, node and hour. `total` counts every event, the four agents split the hits among it.
 * A hit is unique when it is the first of its kind for its run: the first in this batch, of a kind that `seen`
 * did not have before. What belongs to no node (`campaign_started`) is kept under the empty node id.
 */
export async function countEvents(db: Db): Promise<void> {
  await sql`
    with counted as (
      select customer_id, campaign_id, coalesce(node_id, '') as node_id, type, date_trunc('hour', at, 'UTC') as hour, agent,
        row_number() over hits = 1
          and seen & case type when 'email_opened' then 1 when 'email_clicked' then 4 when 'unsubscribed' then 16
            else 0 end = 0 as is_first,
        by_person and count(*) filter (where by_person) over hits = 1
          and seen & case type when 'email_opened' then 2 when 'email_clicked' then 8 when 'unsubscribed' then 32
            else 0 end = 0 as is_first_person
      from batch
      where campaign_id is not null
        and (type = 'campaign_started' or (enrollment_id is not null and type <> 'run_completed'))
      window hits as (partition by customer_id, run_id, type order by position rows unbounded preceding)
    )
    insert into counter (customer_id, campaign_id, node_id, type, hour,
      total, unique_total, unique_human, human, proxy, prefetch, scanner)
    select customer_id, campaign_id, node_id, type, hour, count(*),
      count(*) filter (where is_first), count(*) filter (where is_first_person),
      count(*) filter (where agent = 'human'), count(*) filter (where agent = 'proxy'),
      count(*) filter (where agent = 'prefetch'), count(*) filter (where agent = 'scanner')
    from counted
    group by customer_id, campaign_id, node_id, type, hour
    on conflict (customer_id, campaign_id, node_id, type, hour) do update set
      total = counter.total + excluded.total,
      unique_total = counter.unique_total + excluded.unique_total,
      unique_human = counter.unique_human + excluded.unique_human,
      human = counter.human + excluded.human,
      proxy = counter.proxy + excluded.proxy,
      prefetch = counter.prefetch + excluded.prefetch,
      scanner = counter.scanner + excluded.scanner`.execute(db);
}
