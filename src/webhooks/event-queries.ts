import { sql } from "kysely";
import type { Event } from "../events/event.ts";
import { type Page, SCANNED } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import type { MatchingState } from "./why-not.ts";

/** An event of the log, with what its run says of it. */
export type LoggedEvent = Omit<Event, "customerId"> & {
  position: number;
  nodeId: string | null;
  /** What it means for others is worked out. */
  isProjected: boolean;
};

export type EventFilter = {
  /** A pattern of LIKE. */
  typePattern: string | null;
  campaignId: string | null;
  contactId: string | null;
  messageId: string | null;
  from: Date | null;
  to: Date | null;
};

const columns = sql`e.id, e.position, e.type, e.at, coalesce(r.campaign_id, e.campaign_id) as "campaignId",
  r.node_id as "nodeId", e.run_id as "runId", e.message_id as "messageId",
  coalesce(r.contact_id, e.contact_id) as "contactId", e.agent, e.agent_rule as "agentRule",
  e.user_agent as "userAgent", host(e.ip) as ip, e.data,
  e.position <= (select position from projector_cursor where name = 'projector') as "isProjected"`;

const run = sql`left join node_run r on r.customer_id = e.customer_id and r.id = e.run_id`;

/**
 * Events, newest first, one more than the page holds, of the next 20,000 of the log.
 * @returns `lookedTo`: where to go on when the page is not full; null when the log ends there
 */
export async function selectEvents(
  db: Db,
  customerId: string,
  filter: EventFilter,
  { limit, cursor }: Page,
): Promise<{ rows: LoggedEvent[]; lookedTo: string | null }> {
  const scanned = sql`
    select id, position, customer_id, type, at, campaign_id, run_id, message_id, contact_id, agent, agent_rule,
      user_agent, ip, data
    from event_log
    where customer_id = ${customerId}
      and (${cursor}::uuid is null or id < ${cursor}::uuid)
      and (${filter.from}::timestamptz is null or id >= first_id_at(${filter.from}::timestamptz))
      and (${filter.to}::timestamptz is null or id < first_id_at(${filter.to}::timestamptz))
    order by id desc limit ${SCANNED}`;
  const { rows } = await sql<LoggedEvent>`
    select ${columns} from (${scanned}) as e ${run}
    where (${filter.typePattern}::text is null or e.type like ${filter.typePattern})
      and (${filter.campaignId}::uuid is null or coalesce(r.campaign_id, e.campaign_id) = ${filter.campaignId}::uuid)
      and (${filter.contactId}::uuid is null or coalesce(r.contact_id, e.contact_id) = ${filter.contactId}::uuid)
      and (${filter.messageId}::uuid is null or e.message_id = ${filter.messageId}::uuid)
    order by e.id desc limit ${limit + 1}`.execute(db);
  if (rows.length > limit) return { rows, lookedTo: null };
  const last = await sql<{ id: string }>`
    select id from (${scanned}) as e order by id desc offset ${SCANNED - 1}`.execute(db);
  return { rows, lookedTo: last.rows[0]?.id ?? null };
}

export async function findEvent(db: Db, customerId: string, id: string): Promise<LoggedEvent | null> {
  const { rows } = await sql<LoggedEvent>`
    select ${columns} from event_log e ${run}
    where e.customer_id = ${customerId} and e.id = ${id}`.execute(db);
  return rows[0] ?? null;
}

/** What became of an event at one endpoint. */
export type Fate = {
  /** The endpoint's. */
  id: string;
  type: "custom" | "slack" | "discord";
  url: string;
  description: string | null;
  delivery: FatedDelivery | null;
  /** What it was told of when the event came; null: it was not there. */
  state: MatchingState | null;
};

export type FatedDelivery = {
  id: string;
  status: "pending" | "delivered" | "failed" | "cancelled";
  attempts: number;
  nextAttemptAt: string | null;
  lastStatus: number | null;
  lastFailure: string | null;
};

/** Every endpoint there is, newest first, one more than the page holds. */
export async function selectFates(
  db: Db,
  customerId: string,
  event: Pick<LoggedEvent, "id" | "type" | "position">,
  { limit, cursor }: Page,
): Promise<Fate[]> {
  const { rows } = await sql<Fate>`
    select e.id, e.type, e.url_shown as url, e.description,
      case when d.id is not null then jsonb_build_object('id', d.id, 'status', d.status, 'attempts', d.attempts,
        'nextAttemptAt', to_char(d.due_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'lastStatus', d.last_status, 'lastFailure', d.last_failure) end as delivery,
      case when s.version is not null then jsonb_build_object('status', s.status, 'reason', s.reason,
        'eventTypes', s.event_types, 'campaignIds', s.campaign_ids, 'includeAutomatic', s.include_automatic,
        'isGathered', s.digest_seconds is not null and ${event.type} like any (s.digest_patterns)) end as state
    from webhook_endpoint e
    left join webhook_delivery d on d.customer_id = e.customer_id and d.endpoint_id = e.id
      and d.event_id = ${event.id}
    left join lateral (
      select * from webhook_endpoint_state s
      where s.customer_id = e.customer_id and s.endpoint_id = e.id and s.since_position < ${event.position}
      order by s.version desc limit 1
    ) as s on true
    where e.customer_id = ${customerId} and (${cursor}::uuid is null or e.id < ${cursor}::uuid)
    order by e.id desc limit ${limit + 1}`.execute(db);
  return rows;
}
