import { type RawBuilder, sql } from "kysely";
import type { EventType } from "../events/event.ts";
import type { Db } from "../storage/pool.ts";
import { classifyDevice } from "../tracking/device.ts";
import { addCounts, addToBreakdown, countColumns, counts, hourOf, summedCounts } from "./breakdown.ts";

const HITS: readonly EventType[] = ["email_opened", "email_clicked", "unsubscribed"];

/** Types of which a run remembers in `seen` whether it has had one. */
const REMEMBERED: readonly EventType[] = [
  ...HITS,
  "message_received",
  "message_delivered",
  "message_bounced",
  "message_complained",
];

const remembered = sql`case b.type when 'email_opened' then b.seen & 1 when 'email_clicked' then b.seen & 4
  when 'unsubscribed' then b.seen & 16 when 'message_delivered' then b.seen & 64
  when 'message_bounced' then b.seen & 128 when 'message_complained' then b.seen & 256 else b.seen & 512 end`;
const rememberedOfPerson = sql`case b.type when 'email_opened' then b.seen & 2 when 'email_clicked' then b.seen & 8
  when 'unsubscribed' then b.seen & 32 else ${remembered} end`;

/**
 * The counters of campaign, node and type: by hour, and over all time by nothing, by recipient domain, by device
 * and by kind of bounce.
 * `total` counts every event, the four agents split the hits among it. Unique are the first of their type for their
 * run, so a run counts under the device that came first, and a node that runs again in a cycle can count again. What
 * belongs to no node is kept under the empty node id.
 * @param types those of the batch
 */
export async function countEvents(db: Db, types: ReadonlySet<EventType>): Promise<void> {
  const isHit = HITS.some((type) => types.has(type));
  const hasFirsts = REMEMBERED.some((type) => types.has(type));
  const device = isHit ? deviceOf(await selectUserAgents(db)) : NO_DEVICE;
  const bounce = types.has("message_bounced") ? kindOfBounce : sql`null::text`;
  await sql`
    with ${hasFirsts ? sql`${firsts},` : sql``} tally as materialized (
      select b.customer_id, b.campaign_id, coalesce(b.node_id, '') as node_id, b.type, ${hourOf(sql`b.at`)} as hour,
        b.recipient_domain as domain, ${device.column} as device, ${bounce} as bounce, min(b.position) as position, ${counts(hasFirsts)}
      from batch b ${device.join}
      where b.campaign_id is not null and b.type not in ('run_completed', 'timer_elapsed')
        and not starts_with(b.type, 'provider_')
        and (b.enrollment_id is not null or b.type in ('campaign_started', 'campaign_completed'))
      group by 1, 2, 3, 4, 5, 6, 7, 8
    ), by_hour as (
      insert into counter (customer_id, campaign_id, node_id, type, hour, ${countColumns})
      select customer_id, campaign_id, node_id, type, hour, ${summedCounts}
      from tally
      group by customer_id, campaign_id, node_id, type, hour
      on conflict (customer_id, campaign_id, node_id, type, hour) do update set ${addCounts("counter")}
    ), by_campaign_hour as (
      insert into campaign_hour (customer_id, campaign_id, hour, type, ${countColumns})
      select customer_id, campaign_id, hour, type, ${summedCounts}
      from tally
      group by customer_id, campaign_id, hour, type
      on conflict (customer_id, campaign_id, hour, type) do update set ${addCounts("campaign_hour")}
    ), parts as materialized (
      select t.customer_id, t.campaign_id, p.dimension, p.value, t.node_id, t.type, ${summedCounts}
      from tally t
      cross join lateral (values ('all', ''), ('domain', t.domain), ('device', t.device), ('bounce', t.bounce))
        as p(dimension, value)
      where p.value is not null
      group by t.customer_id, t.campaign_id, p.dimension, p.value, t.node_id, t.type
    ), ${addToBreakdown("domain", domains)}`.execute(db);
}

const kindOfBounce = sql`case when b.type = 'message_bounced' then case
  when b.data->>'bounceSubType' in ('OnAccountSuppressionList', 'Suppressed') then 'provider_suppressed'
  when b.data->>'bounceType' = 'Permanent' then 'hard' when b.data->>'bounceType' = 'Transient' then 'soft'
  else 'other' end end`;

const firsts = sql`
  firsts as materialized (
    select min(b.position) filter (where ${remembered} = 0) as first,
      min(b.position) filter (where b.by_person and ${rememberedOfPerson} = 0) as first_person
    from batch b
    where b.enrollment_id is not null and b.type = any (${REMEMBERED}::text[])
    group by b.customer_id, b.run_id, b.type
  )`;

const domains = sql`
  select customer_id, campaign_id, domain as value, null::text as url, min(position) as position
  from tally
  where domain is not null
  group by customer_id, campaign_id, domain`;

type DeviceSql = { column: RawBuilder<unknown>; join: RawBuilder<unknown> };

const NO_DEVICE: DeviceSql = { column: sql`null::text`, join: sql`` };

// Link checkers change their names and use browsers': they are one device, whatever they say.
function deviceOf(userAgents: readonly string[]): DeviceSql {
  const devices = userAgents.map((userAgent) => {
    const { platform, client } = classifyDevice(userAgent);
    return `${platform}/${client}`;
  });
  return {
    column: sql`case when b.agent = 'scanner' then 'bot/bot' when b.agent is not null
      then coalesce(d.device, 'other/other') end`,
    join: sql`left join unnest(${userAgents}::text[], ${devices}::text[]) as d(user_agent, device)
      on d.user_agent = b.user_agent`,
  };
}

async function selectUserAgents(db: Db): Promise<string[]> {
  const { rows } = await sql<{ userAgent: string }>`
    select distinct user_agent as "userAgent" from batch
    where agent <> 'scanner' and user_agent is not null`.execute(db);
  return rows.map(({ userAgent }) => userAgent);
}
