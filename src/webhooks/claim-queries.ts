import { type RawBuilder, sql } from "kysely";
import type { Event, Json } from "../events/event.ts";
import type { Db } from "../storage/pool.ts";
import type { EndpointType } from "./told.ts";

/** An enabled endpoint to which something is due, and which may be called now. */
export type ReadyEndpoint = {
  customerId: string;
  endpointId: string;
  type: EndpointType;
  maxConcurrency: number;
  ratePerSecond: number | null;
};

/** How much may be taken for an endpoint. */
export type Want = {
  customerId: string;
  endpointId: string;
  /** Requests to it that are under way here. */
  running: number;
  /** The same with those whose end is not in the database yet. */
  unended: number;
  /** Of its deliveries, at most. */
  most: number;
};

/** A delivery that this transaction holds, with what is needed to tell of its event. */
export type DueDelivery = {
  customerId: string;
  endpointId: string;
  eventId: string;
  id: string;
  kind: "event" | "digest" | "test";
  /** `digest` for one. */
  eventType: string;
  eventAt: Date;
  /** Made before this one. */
  attempts: number;
  /** How many of them before the present schedule began. */
  scheduleFrom: number;
  scheduleAt: Date;
  trigger: "automatic" | "manual" | "replay";
  /** Null: nothing was sent so far, or it is to be rendered anew. */
  payload: string | null;
  /** Of the endpoint. */
  endpointType: EndpointType;
  revision: string;
  /** Null: there is a payload, or the event is no longer in the log. */
  event: LoggedEvent | null;
  campaignId: string | null;
  /** Null when there is none. */
  campaignName: string | null;
  contactId: string | null;
  /** Null when there is no such contact any more. */
  contactAttributes: { [name: string]: Json } | null;
  contactEmail: string | null;
  contactChatId: number | null;
};

export type LoggedEvent = Pick<
  Event,
  "type" | "runId" | "messageId" | "agent" | "agentRule" | "userAgent" | "ip" | "data"
> & { nodeId: string | null };

/** An attempt about to be made. */
export type BegunAttempt = {
  id: string;
  delivery: Pick<DueDelivery, "customerId" | "endpointId" | "eventId" | "id" | "attempts">;
  trigger: DueDelivery["trigger"];
  startedAt: Date;
  /** Null: the delivery has one. */
  payload: string | null;
  /** As they may be shown. */
  headers: { [name: string]: string };
};

/**
 * How long a delivery is in the hands of who took it: longer than an attempt with all around it. One that comes due
 * again was in the hands of a process that died.
 */
const LEASE_S = 60;

/**
 * A part of a statement that is `recursive`: `owed`, the endpoints for which something is pending. It goes from one of
 * them to the next in the index, however much is pending for each, and whatever other endpoints there are.
 * @param limit how many at most; null: all
 */
export function owedEndpoints(limit: number | null): RawBuilder<unknown> {
  return sql`
    owed as (
      (select customer_id, endpoint_id, 1 as number from webhook_delivery
        where status = 'pending' order by customer_id, endpoint_id limit 1)
      union all
      select next.customer_id, next.endpoint_id, owed.number + 1
      from owed
      cross join lateral (
        select customer_id, endpoint_id from webhook_delivery
        where status = 'pending' and (customer_id, endpoint_id) > (owed.customer_id, owed.endpoint_id)
        order by customer_id, endpoint_id limit 1
      ) as next
      where ${limit}::int is null or owed.number < ${limit}
    )`;
}

/** The endpoints for which something is due. */
export async function selectReadyEndpoints(db: Db): Promise<ReadyEndpoint[]> {
  const { rows } = await sql<ReadyEndpoint>`
    with recursive ${owedEndpoints(null)}
    select e.customer_id as "customerId", e.id as "endpointId", e.type, e.max_concurrency as "maxConcurrency",
      e.rate_per_second as "ratePerSecond"
    from owed
    join webhook_endpoint e on e.customer_id = owed.customer_id and e.id = owed.endpoint_id
    left join webhook_health h on h.customer_id = e.customer_id and h.endpoint_id = e.id
    where e.status = 'enabled' and ${mayBeCalled} and exists (
      select from webhook_delivery d
      where d.customer_id = e.customer_id and d.endpoint_id = e.id and d.status = 'pending' and d.due_at <= now())`.execute(
    db,
  );
  return rows;
}

/**
 * Holds due deliveries, the longest due of each endpoint, as many as its breaker, its ramp and `wants` leave room for;
 * of one that wants them in order, only the first of all that are pending.
 * @param db a transaction
 */
export async function holdDueDeliveries(db: Db, wants: readonly Want[]): Promise<DueDelivery[]> {
  const holding = sql`
    with room as materialized (
      select e.customer_id, e.id, e.strict_order, least(w.most, e.max_concurrency - w.running,
        case when h.open_until is not null then 1 - w.unended else h.ramp - w.unended end) as places
      from unnest(${wants.map((want) => want.customerId)}::uuid[], ${wants.map((want) => want.endpointId)}::uuid[],
        ${wants.map((want) => want.running)}::int[], ${wants.map((want) => want.unended)}::int[],
        ${wants.map((want) => want.most)}::int[]) as w(customer_id, endpoint_id, running, unended, most)
      join webhook_endpoint e on e.customer_id = w.customer_id and e.id = w.endpoint_id and e.status = 'enabled'
      left join webhook_health h on h.customer_id = e.customer_id and h.endpoint_id = e.id
      where ${mayBeCalled}
    ), longest_due as materialized (
      select d.* from room
      cross join lateral (
        select ${held} from webhook_delivery d
        where d.customer_id = room.customer_id and d.endpoint_id = room.id and ${isDue}
        order by d.due_at limit greatest(0, room.places)
        for update skip locked
      ) as d
      where not room.strict_order
    ), first_in_order as materialized (
      select d.* from room
      cross join lateral (
        select customer_id, endpoint_id, event_id from webhook_delivery
        where customer_id = room.customer_id and endpoint_id = room.id and status = 'pending'
        order by position, event_id limit 1
      ) as first
      cross join lateral (
        select ${held} from webhook_delivery d
        where d.customer_id = first.customer_id and d.endpoint_id = first.endpoint_id and d.event_id = first.event_id
          and ${isDue}
        for update skip locked
      ) as d
      where room.strict_order and room.places > 0
    ), held as (
      table longest_due union all table first_in_order
    )`;
  return selectHeld(db, holding);
}

/**
 * Holds one pending delivery, whatever its due time and its endpoint's state, unless an attempt of it is under way.
 * @param db a transaction
 */
export async function holdDelivery(db: Db, customerId: string, id: string): Promise<DueDelivery | null> {
  const holding = sql`
    with held as materialized (
      select ${held} from webhook_delivery d
      where d.customer_id = ${customerId} and d.id = ${id} and d.status = 'pending' and ${isNotInHand}
      for update
    )`;
  return (await selectHeld(db, holding))[0] ?? null;
}

/** What is known of one delivery, in whatever state. It is not held; null also when its endpoint is gone. */
export async function findUnheld(db: Db, customerId: string, id: string): Promise<DueDelivery | null> {
  const found = sql`
    with held as materialized (
      select ${held} from webhook_delivery d where d.customer_id = ${customerId} and d.id = ${id}
    )`;
  return (await selectHeld(db, found))[0] ?? null;
}

const mayBeCalled = sql`(h.open_until is null or h.open_until <= now())
  and (h.slowed_until is null or h.slowed_until <= now())`;

const held = sql`d.customer_id, d.endpoint_id, d.event_id, d.id, d.kind, d.event_type, d.event_at, d.campaign_id,
  d.contact_id, d.attempts, d.schedule_from, d.schedule_at, d.trigger, d.payload`;

// Somebody may have opened it anew while an attempt of it is under way: that one is waited for. Not `exists`: for that
// the planner reads all attempts at once, of which only a few are asked for.
export const isNotInHand = sql<boolean>`(d.attempts = 0 or (
  select a.id from webhook_attempt a
  where a.customer_id = d.customer_id and a.delivery_id = d.id and a.outcome = 'running'
    and a.started_at > now() - make_interval(secs => ${LEASE_S})
  limit 1) is null)`;

const isDue = sql`d.status = 'pending' and d.due_at <= now() and ${isNotInHand}`;

/**
 * What is known of deliveries in `held`. What is joined is looked up row by row: the planner takes the few that were
 * held for a part of the whole table, and would read all of the log for them.
 */
async function selectHeld(db: Db, holding: RawBuilder<unknown>): Promise<DueDelivery[]> {
  const { rows } = await sql<DueDelivery>`
    ${holding}
    select held.customer_id as "customerId", held.endpoint_id as "endpointId", held.event_id as "eventId", held.id,
      held.kind, held.event_type as "eventType", held.event_at as "eventAt", held.attempts,
      held.schedule_from as "scheduleFrom", held.schedule_at as "scheduleAt", held.trigger, held.payload, e.type as "endpointType", e.revision,
      ev.event, c.id as "campaignId", c.name as "campaignName", ct.id as "contactId",
      ct.attributes as "contactAttributes", ct.email as "contactEmail", ct.telegram_chat_id as "contactChatId"
    from held
    cross join lateral (
      select type, updated_at::text as revision from webhook_endpoint
      where customer_id = held.customer_id and id = held.endpoint_id limit 1
    ) as e
    left join lateral (
      select jsonb_build_object('type', type, 'nodeId', r.node_id, 'runId', run_id, 'messageId', message_id,
        'agent', agent, 'agentRule', agent_rule, 'userAgent', user_agent, 'ip', host(ip), 'data', data) as event
      from event_log
      left join lateral (
        select node_id from node_run where customer_id = held.customer_id and id = event_log.run_id limit 1
      ) as r on true
      where customer_id = held.customer_id and id = held.event_id and held.payload is null and held.kind = 'event'
      limit 1
    ) as ev on true
    left join lateral (
      select id, name from campaign
      where customer_id = held.customer_id and id = held.campaign_id and held.payload is null limit 1
    ) as c on true
    left join lateral (
      select id, attributes, email, telegram_chat_id from contact
      where customer_id = held.customer_id and id = held.contact_id and held.payload is null limit 1
    ) as ct on true`.execute(db);
  return rows;
}

/**
 * Takes deliveries that are held: they are due again when the lease is over, what is sent is kept with them, and an
 * attempt of each is running. One that was running before was in the hands of a process that died.
 * @param db the transaction that holds them
 */
export async function beginAttempts(db: Db, begun: readonly BegunAttempt[]): Promise<void> {
  const again = begun.filter(({ delivery }) => delivery.attempts > 0);
  await sql`
    with begun as materialized (
      select * from unnest(${begun.map(({ delivery }) => delivery.customerId)}::uuid[],
        ${begun.map(({ delivery }) => delivery.endpointId)}::uuid[],
        ${begun.map(({ delivery }) => delivery.eventId)}::uuid[],
        ${begun.map(({ delivery }) => delivery.id)}::uuid[],
        ${begun.map(({ id }) => id)}::uuid[],
        ${begun.map(({ delivery }) => delivery.attempts + 1)}::int[],
        ${begun.map(({ trigger }) => trigger)}::text[],
        ${begun.map(({ startedAt }) => startedAt.toISOString())}::timestamptz[],
        ${begun.map(({ payload }) => payload)}::text[],
        ${begun.map(({ headers }) => JSON.stringify(headers))}::jsonb[])
        as b(customer_id, endpoint_id, event_id, delivery_id, id, number, trigger, started_at, payload, headers)
    ), leased as (
      update webhook_delivery d set attempts = b.number, due_at = now() + make_interval(secs => ${LEASE_S}),
        payload = coalesce(b.payload, d.payload), last_attempt_at = b.started_at
      from begun b
      where d.customer_id = b.customer_id and d.endpoint_id = b.endpoint_id and d.event_id = b.event_id
    ), interrupted as (
      update webhook_attempt a set outcome = 'interrupted', finished_at = now(), failure = 'interrupted',
        reason = 'The process that made it died before it saw what came of it.'
      from unnest(${again.map(({ delivery }) => delivery.customerId)}::uuid[],
        ${again.map(({ delivery }) => delivery.id)}::uuid[]) as b(customer_id, delivery_id)
      where a.customer_id = b.customer_id and a.delivery_id = b.delivery_id and a.outcome = 'running'
    )
    insert into webhook_attempt (customer_id, id, delivery_id, endpoint_id, event_id, number, trigger, started_at,
      outcome, request_headers)
    select customer_id, id, delivery_id, endpoint_id, event_id, number, trigger, started_at, 'running', headers
    from begun`.execute(db);
}
