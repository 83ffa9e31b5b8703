import { sql } from "kysely";
import type { EventType } from "../events/event.ts";
import type { Db } from "../storage/pool.ts";
import { addToBreakdown, counts } from "./breakdown.ts";

/** As `tracking/token.ts` shortens an address: 12 bytes of its SHA-256, base64url. */
const digest = sql`translate(encode(substr(sha256(convert_to(b.data->>'clickedUrl', 'UTF8')), 1, 12), 'base64'),
  '+/', '-_')`;

/**
 * The counters of clicks by link. Unique are the first of their run on their link, which `run_link` remembers.
 * @param types those of the batch
 */
export async function countLinks(db: Db, types: ReadonlySet<EventType>): Promise<void> {
  if (!types.has("email_clicked")) return;
  await sql`
    with clicks as materialized (
      select b.customer_id, b.campaign_id, b.node_id, b.run_id, b.position, b.agent, b.by_person,
        b.data->>'clickedUrl' as url, ${digest} as link
      from batch b
      where b.type = 'email_clicked' and b.enrollment_id is not null and b.data->>'clickedUrl' is not null
    ), firsts as materialized (
      select c.customer_id, c.run_id, c.link, bool_or(c.by_person) as by_person,
        min(c.position) filter (where l.link is null) as first,
        min(c.position) filter (where c.by_person and l.by_person is not true) as first_person
      from clicks c
      left join run_link l on l.customer_id = c.customer_id and l.run_id = c.run_id and l.link = c.link
      group by c.customer_id, c.run_id, c.link
    ), kept as (
      insert into run_link (customer_id, run_id, link, by_person)
      select customer_id, run_id, link, by_person from firsts
      where first is not null or first_person is not null
      on conflict (customer_id, run_id, link) do update set by_person = true
    ), parts as materialized (
      select b.customer_id, b.campaign_id, 'link' as dimension, b.link as value, b.node_id, 'email_clicked' as type,
        ${counts(true)}
      from clicks b
      group by b.customer_id, b.campaign_id, b.link, b.node_id
    ), ${addToBreakdown("link", links)}`.execute(db);
}

const links = sql`
  select customer_id, campaign_id, link as value, min(url) as url, min(position) as position
  from clicks
  group by customer_id, campaign_id, link`;
