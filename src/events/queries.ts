import { CompiledQuery, sql } from "kysely";
import type pg from "pg";
import { LOCKS } from "../storage/locks.ts";
import type { Db } from "../storage/pool.ts";
import type { Event } from "./event.ts";

/**
 * The lock stands in its own subquery before the rows, so it is held before the first position is taken: the
 * projector waits for the holders when it sees a gap. The join keeps the IP as the customer chose (whole, cut to
 * its /24 or /48, or not at all) without a look-up of its own, and drops events of customers that don't exist.
 * Positions are taken in the order of the call.
 */
const APPEND = `
  insert into event_log (customer_id, id, type, at, campaign_id, run_id, message_id, contact_id,
    agent, agent_rule, user_agent, ip, data)
  select e.customer_id, e.id, e.type, e.at, e.campaign_id, e.run_id, e.message_id, e.contact_id,
    e.agent, e.agent_rule, e.user_agent,
    case c.ip_policy
      when 'whole' then e.ip
      when 'truncated' then host(network(set_masklen(e.ip, case family(e.ip) when 4 then 24 else 48 end)))::inet
    end, e.data
  from (select pg_advisory_xact_lock_shared(${LOCKS.append}, 0) offset 0) as held
  cross join unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::uuid[], $6::uuid[], $7::uuid[],
    $8::uuid[], $9::text[], $10::text[], $11::text[], $12::inet[], $13::jsonb[]) with ordinality
    as e(customer_id, id, type, at, campaign_id, run_id, message_id, contact_id, agent, agent_rule, user_agent, ip,
      data, number)
  join customer c on c.customer_id = e.customer_id
  order by e.number
  on conflict (customer_id, id) do nothing`;

/**
 * Appends to the log inside the caller's transaction, in one statement; an id that is already there is left as it
 * is.
 */
export async function appendEvents(db: Db, events: readonly Event[]): Promise<void> {
  if (events.length === 0) return;
  await db.executeQuery(CompiledQuery.raw(APPEND, columns(events)));
}

/**
 * To be called first in a transaction that inserts into the log by a statement of its own: positions are taken
 * only under this lock.
 */
export async function holdAppendLock(db: Db): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(${LOCKS.append}, 0)`.execute(db);
}

/** As `appendEvents`, committed by itself: a prepared statement, because this is the path of every pixel and click. */
export async function appendEventsCommitted(pool: pg.Pool, events: readonly Event[]): Promise<void> {
  if (events.length === 0) return;
  await pool.query({ name: "append_events", text: APPEND, values: columns(events) });
}

function columns(events: readonly Event[]): unknown[] {
  return [
    events.map((event) => event.customerId),
    events.map((event) => event.id),
    events.map((event) => event.type),
    events.map((event) => event.at.toISOString()),
    events.map((event) => event.campaignId),
    events.map((event) => event.runId),
    events.map((event) => event.messageId),
    events.map((event) => event.contactId),
    events.map((event) => event.agent),
    events.map((event) => event.agentRule),
    events.map((event) => event.userAgent),
    events.map((event) => event.ip),
    events.map((event) => JSON.stringify(event.data)),
  ];
}
