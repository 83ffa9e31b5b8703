import { type RawBuilder, sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import { CATALOGUE_TYPES } from "./catalogue-types.ts";
import { toLikePattern } from "./event-pattern.ts";
import { OPENED, type ReplayFilter, type Standing, type Which } from "./replay.ts";

/** A part of a customer's log, and to whom it is to be told. */
export type Scope = {
  customerId: string;
  endpointIds: readonly string[];
  filter: ReplayFilter;
  /** Events after this id … */
  afterId: string;
  /** … before this one … */
  untilId: string;
  /** … that had been projected by then. */
  untilPosition: number;
};

/** What a chunk of a replay is to open. */
export type Opening = Scope & {
  id: string;
  which: Which;
  payload: "original" | "anew";
  ratePerSecond: number | null;
  /** When the first of them is due. */
  dueFrom: Date;
};

/** How much one statement looks at, and opens for one endpoint. */
export type Limits = { events: number; perEndpoint: number };

export type Opened = {
  scanned: number;
  matched: number;
  opened: number;
  /** The most that one endpoint got. */
  most: number;
  /** The last event that was looked at; null when there was none. */
  lastId: string | null;
  isLast: boolean;
};

/**
 * Opens the deliveries of the next events: the first of them that would be one too many for an endpoint ends the chunk.
 * The endpoints can't be deleted meanwhile. A delivery that is there keeps its id and its attempts, and gets the whole
 * schedule again.
 */
export async function openDeliveries(db: Db, opening: Opening, limits: Limits): Promise<Opened> {
  const { customerId, id, which, dueFrom, ratePerSecond } = opening;
  const mayBe = OPENED[which].flatMap((standing) => STATUSES[standing]);
  const { rows } = await sql<Opened>`
    with ${pairs(opening, limits.events, sql`for key share`)}, wanted as (
      select *, row_number() over (partition by endpoint_id order by id) as number
      from pair where standing = any (${OPENED[which]}::text[])
    ), cut as materialized (
      select (select id from wanted where number > ${limits.perEndpoint} order by id limit 1) as id
    ), taken as materialized (
      select w.* from wanted w cross join cut where cut.id is null or w.id < cut.id
    ), looked as (
      select s.id from slice s cross join cut where cut.id is null or s.id < cut.id
    ), opened as (
      insert into webhook_delivery as d (customer_id, endpoint_id, event_id, kind, event_type, event_at, position,
        campaign_id, contact_id, message_id, status, schedule_at, due_at, trigger, replay_id)
      select ${customerId}, endpoint_id, id, 'event', type, at, position, campaign_id, contact_id, message_id, 'pending',
        ${dueFrom}::timestamptz,
        ${dueFrom}::timestamptz + make_interval(secs => coalesce((number - 1) / ${ratePerSecond}::float8, 0)),
        'replay', ${id}
      from taken order by endpoint_id, id
      on conflict (customer_id, endpoint_id, event_id) do update
        set status = 'pending', schedule_from = d.attempts, schedule_at = excluded.schedule_at,
          due_at = excluded.due_at, trigger = 'replay', replay_id = excluded.replay_id, finished_at = null,
          payload = case when ${opening.payload === "original"} then d.payload end
        where d.status = any (${mayBe}::text[])
      returning d.id
    )
    select (select count(*) from looked) as scanned,
      (select count(*) from matched m cross join cut where cut.id is null or m.id < cut.id) as matched,
      (select count(*) from opened) as opened,
      (select coalesce(max(number), 0) from taken) as most,
      (select id from looked order by id desc limit 1) as "lastId",
      cut.id is null and (select count(*) from slice) < ${limits.events} as "isLast"
    from cut`.execute(db);
  const [opened] = rows;
  if (opened === undefined) throw new Error("a chunk of a replay says nothing");
  return opened;
}

export type Counted = {
  scanned: number;
  events: number;
  byType: { type: string; events: number }[];
  byEndpoint: { endpointId: string; standing: Standing; events: number }[];
  lastId: string | null;
};

/** What a replay would find of the next events. */
export async function countDeliveries(db: Db, scope: Scope, events: number): Promise<Counted> {
  const { rows } = await sql<Counted>`
    with ${pairs(scope, events, sql``)}
    select (select count(*) from slice) as scanned, (select count(*) from matched) as events,
      (select id from slice order by id desc limit 1) as "lastId",
      (select coalesce(json_agg(t), '[]') from (
        select type, count(*) as events from matched group by type order by type) as t) as "byType",
      (select coalesce(json_agg(t), '[]') from (
        select endpoint_id as "endpointId", standing, count(*) as events from pair group by 1, 2) as t) as "byEndpoint"`.execute(
    db,
  );
  const [counted] = rows;
  if (counted === undefined) throw new Error("a count of a replay says nothing");
  return counted;
}

const STATUSES: { [Key in Standing]: readonly string[] } = {
  failed: ["failed", "cancelled"],
  missing: [],
  delivered: ["delivered"],
  pending: ["pending"],
  filtered: [],
};

/**
 * The next events of the log (`slice`), those that fit the filter (`matched`), and each of these with each endpoint and
 * what there is of it (`pair`): told as the projector would tell it now.
 * @param lock of the endpoints
 */
function pairs(scope: Scope, events: number, lock: RawBuilder<unknown>): RawBuilder<unknown> {
  const { customerId, filter } = scope;
  const types = filter.eventTypes?.map(toLikePattern) ?? null;
  return sql`endpoint as materialized (
      select id, type_patterns, campaign_ids, include_automatic, digest_seconds, digest_patterns
      from webhook_endpoint where customer_id = ${customerId} and id = any (${scope.endpointIds}::uuid[])
      order by id ${lock}
    ), slice as materialized (
      select id, position, type, at, campaign_id, run_id, contact_id, message_id, agent, data ->> 'endpointId' as about_id
      from event_log
      where customer_id = ${customerId} and id > ${scope.afterId} and id < ${scope.untilId}
        and position <= ${scope.untilPosition}
        and (${filter.eventIds}::uuid[] is null or id = any (${filter.eventIds}::uuid[]))
      order by id limit ${events}
    ), matched as materialized (
      select s.id, s.position, s.type, s.at, s.message_id, s.about_id, coalesce(r.campaign_id, s.campaign_id) as campaign_id,
        coalesce(r.contact_id, s.contact_id) as contact_id, coalesce(s.agent in ('human', 'proxy'), true) as by_person
      from slice s
      left join lateral (
        select campaign_id, contact_id from node_run where customer_id = ${customerId} and id = s.run_id limit 1
      ) as r on true
      where s.type = any (${CATALOGUE_TYPES}::text[]) and (${types}::text[] is null or s.type like any (${types}::text[]))
        and (${filter.campaignIds}::uuid[] is null
          or coalesce(r.campaign_id, s.campaign_id) = any (${filter.campaignIds}::uuid[]))
        and (${filter.contactId}::uuid is null or coalesce(r.contact_id, s.contact_id) = ${filter.contactId}::uuid)
        and (${filter.messageId}::uuid is null or s.message_id = ${filter.messageId}::uuid)
    ), pair as materialized (
      select m.*, e.id as endpoint_id, case
          when d.status = 'cancelled' then 'failed'
          when d.status is not null then d.status
          when m.type like any (e.type_patterns) and (e.campaign_ids is null or m.campaign_id = any (e.campaign_ids))
            and (m.by_person or e.include_automatic)
            and (m.type <> 'endpoint_disabled' or m.about_id is distinct from e.id::text)
            and (${filter.eventIds !== null} or e.digest_seconds is null or not m.type like any (e.digest_patterns))
            then 'missing'
          else 'filtered'
        end as standing
      from matched m
      cross join endpoint e
      left join lateral (
        select status from webhook_delivery d
        where d.customer_id = ${customerId} and d.endpoint_id = e.id and d.event_id = m.id
        limit 1
      ) as d on true
    )`;
}
