import { type RawBuilder, sql } from "kysely";

export const DELIVERY_STATUSES = ["pending", "delivered", "failed", "cancelled"] as const;
export const TRIGGERS = ["automatic", "manual", "replay"] as const;

export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];
export type Trigger = (typeof TRIGGERS)[number];

/** Which deliveries: those that fit everything that is not null. */
export type DeliveryFilter = {
  endpointId: string | null;
  status: DeliveryStatus | null;
  /** A pattern of LIKE. */
  typePattern: string | null;
  campaignId: string | null;
  contactId: string | null;
  messageId: string | null;
  eventId: string | null;
  trigger: Trigger | null;
  /** Of what is owed since then, or since before: the time of its id. */
  from: Date | null;
  to: Date | null;
};

const columns = sql`d.customer_id, d.endpoint_id, d.event_id, d.id, d.kind, d.event_type, d.event_at, d.campaign_id,
  d.contact_id, d.message_id, d.status, d.attempts, d.due_at, d.trigger, d.replay_id, d.last_status, d.last_failure,
  d.last_attempt_at, d.finished_at, d.created_at`;

/**
 * Deliveries among which those of a filter are, newest first, as a subquery: of the index that leads to the fewest it
 * reads so many rows at most, however few of them fit. What is left of the filter is `matching`.
 */
export function scan(
  customerId: string,
  filter: DeliveryFilter,
  { before, rows }: { before: string | null; rows: number },
): RawBuilder<unknown> {
  const { from, to } = filter;
  const conditions = [
    sql`d.customer_id = ${customerId}`,
    ...leadOf(customerId, filter),
    ...(before === null ? [] : [sql`d.id < ${before}::uuid`]),
    ...(from === null ? [] : [sql`d.id >= first_id_at(${from}::timestamptz)`]),
    ...(to === null ? [] : [sql`d.id < first_id_at(${to}::timestamptz)`]),
  ];
  return sql`(
    select ${columns} from webhook_delivery d where ${sql.join(conditions, sql` and `)}
    order by d.id desc limit ${rows}
  )`;
}

/** What a row `d` of a scan must be to fit the filter. */
export function matching(filter: DeliveryFilter): RawBuilder<unknown> {
  const { endpointId, status, typePattern, campaignId, contactId, messageId, eventId, trigger } = filter;
  const conditions = [
    sql`true`,
    ...(endpointId === null ? [] : [sql`d.endpoint_id = ${endpointId}::uuid`]),
    ...(status === null ? [] : [sql`d.status = ${status}`]),
    ...(typePattern === null ? [] : [sql`d.event_type like ${typePattern}`]),
    ...(campaignId === null ? [] : [sql`d.campaign_id = ${campaignId}::uuid`]),
    ...(contactId === null ? [] : [sql`d.contact_id = ${contactId}::uuid`]),
    ...(messageId === null ? [] : [sql`d.message_id = ${messageId}::uuid`]),
    ...(eventId === null ? [] : [sql`d.event_id = ${eventId}::uuid`]),
    ...(trigger === null ? [] : [sql`d.trigger = ${trigger}`]),
  ];
  return sql.join(conditions, sql` and `);
}

/** One condition, or two, for which there is an index that goes on by id. */
function leadOf(customerId: string, filter: DeliveryFilter): RawBuilder<unknown>[] {
  const { endpointId, status, campaignId, contactId, messageId, eventId } = filter;
  if (eventId !== null) return [sql`d.event_id = ${eventId}::uuid`];
  if (contactId !== null) return [sql`d.contact_id = ${contactId}::uuid`];
  if (messageId !== null) {
    // A message has one contact, whose deliveries are few: an index by message would cost every delivery an entry more.
    return [
      sql`d.contact_id = (select contact_id from message where customer_id = ${customerId} and id = ${messageId})`,
    ];
  }
  if (status !== null && status !== "delivered") {
    const ofEndpoint = endpointId === null ? [] : [sql`d.endpoint_id = ${endpointId}::uuid`];
    return [sql`d.status = ${status} and d.status <> 'delivered'`, ...ofEndpoint];
  }
  if (campaignId !== null) return [sql`d.campaign_id = ${campaignId}::uuid`];
  return endpointId === null ? [] : [sql`d.endpoint_id = ${endpointId}::uuid`];
}
