import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import { isNotInHand } from "./claim-queries.ts";
import type { DeliveryKind } from "./delivery-queries.ts";
import type { DeliveryStatus } from "./delivery-scan-queries.ts";
import type { EndpointType } from "./told.ts";

export type HeldDelivery = {
  id: string;
  endpointId: string;
  eventId: string;
  kind: DeliveryKind;
  status: DeliveryStatus;
  hasPayload: boolean;
  hasEvent: boolean;
  /** Null: the endpoint has been deleted. */
  endpointType: EndpointType | null;
};

/** What makes a delivery `d` be tried at once, with its whole schedule before it. */
export const opened = sql`status = 'pending', schedule_from = d.attempts, schedule_at = now(), due_at = now(),
  trigger = 'manual', replay_id = null, finished_at = null`;

/** What ends one that is pending. An attempt that is under way may still deliver it. */
export const cancelled = sql`status = 'cancelled', due_at = null, finished_at = now()`;

/** A delivery that nobody else changes before the transaction ends. */
export async function lockDelivery(db: Db, customerId: string, id: string): Promise<HeldDelivery | null> {
  const { rows } = await sql<HeldDelivery>`
    select d.id, d.endpoint_id as "endpointId", d.event_id as "eventId", d.kind, d.status,
      d.payload is not null as "hasPayload", e.type as "endpointType",
      exists (select from event_log l where l.customer_id = d.customer_id and l.id = d.event_id) as "hasEvent"
    from webhook_delivery d
    left join webhook_endpoint e on e.customer_id = d.customer_id and e.id = d.endpoint_id
    where d.customer_id = ${customerId} and d.id = ${id} for update of d`.execute(db);
  return rows[0] ?? null;
}

/**
 * Opens a delivery again.
 * @param isAnew what was sent is forgotten, and rendered at the next attempt
 * @returns false when an attempt of it is being made
 */
export async function openDelivery(
  db: Db,
  customerId: string,
  delivery: Pick<HeldDelivery, "endpointId" | "eventId">,
  isAnew: boolean,
): Promise<boolean> {
  const { rows } = await sql`
    update webhook_delivery d set ${opened}, payload = case when ${isAnew} then null else d.payload end
    where d.customer_id = ${customerId} and d.endpoint_id = ${delivery.endpointId}
      and d.event_id = ${delivery.eventId} and ${isNotInHand}
    returning d.id`.execute(db);
  return rows.length === 1;
}

export async function cancelDelivery(
  db: Db,
  customerId: string,
  delivery: Pick<HeldDelivery, "endpointId" | "eventId">,
): Promise<void> {
  await sql`
    update webhook_delivery d set ${cancelled}
    where d.customer_id = ${customerId} and d.endpoint_id = ${delivery.endpointId}
      and d.event_id = ${delivery.eventId} and d.status = 'pending'`.execute(db);
}

/** The endpoints among these ids, kept from being deleted before the transaction ends. */
export async function holdEndpoints(
  db: Db,
  customerId: string,
  ids: readonly string[],
): Promise<{ id: string; type: EndpointType }[]> {
  const { rows } = await sql<{ id: string; type: EndpointType }>`
    select id, type from webhook_endpoint
    where customer_id = ${customerId} and id = any (${ids}::uuid[]) order by id for share`.execute(db);
  return rows;
}

/** What became of a delivery's event at an endpoint; `in_hand`: nothing, an attempt is being made. */
export type Resent = { endpointId: string; deliveryId: string; outcome: "created" | "reopened" | "in_hand" };

/**
 * Owes what a delivery tells to other endpoints, whatever they are told of. One that has it already gets it again, with
 * the bytes it had.
 * @param hasOwnWords it can't be rendered: its payload goes along
 */
export async function resendDelivery(
  db: Db,
  customerId: string,
  delivery: Pick<HeldDelivery, "endpointId" | "eventId">,
  endpointIds: readonly string[],
  hasOwnWords: boolean,
): Promise<Resent[]> {
  const { rows } = await sql<Resent>`
    with target as materialized (
      select o.*, g.id as target_id from webhook_delivery o cross join unnest(${endpointIds}::uuid[]) as g(id)
      where o.customer_id = ${customerId} and o.endpoint_id = ${delivery.endpointId} and o.event_id = ${delivery.eventId}
    ), sent as (
      insert into webhook_delivery as d (customer_id, endpoint_id, event_id, kind, event_type, event_at, position,
        campaign_id, contact_id, message_id, status, due_at, trigger, payload)
      select customer_id, target_id, event_id, kind, event_type, event_at, position, campaign_id, contact_id, message_id,
        'pending', now(), 'manual', case when ${hasOwnWords} then payload end
      from target order by target_id
      on conflict (customer_id, endpoint_id, event_id) do update set ${opened} where ${isNotInHand}
      returning d.id, d.endpoint_id, d.attempts
    )
    select t.target_id as "endpointId", coalesce(s.id, h.id) as "deliveryId",
      case when s.id is null then 'in_hand' when h.id is null then 'created' else 'reopened' end as outcome
    from target t
    left join sent s on s.endpoint_id = t.target_id
    left join webhook_delivery h on h.customer_id = t.customer_id and h.endpoint_id = t.target_id
      and h.event_id = t.event_id
    order by t.target_id`.execute(db);
  return rows;
}
