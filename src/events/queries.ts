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
 * only under this lock, but for those that the projector takes while it holds the cursor.
 */
export async function holdAppendLock(db: Db): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(${LOCKS.append}, 0)`.execute(db);
}

/** As `appendEvents`, committed by itself: a prepared statement, because this is the path of every pixel and click. */
export async function appendEventsCommitted(pool: pg.Pool, events: readonly Event[]): Promise<void> {
  if (events.length === 0) return;
  await pool.query({ name: "append_events", text: APPEND, values: columns(events) });
}

// The arrays are written here and not by the driver, which looks into every element for what needs escaping: of the
// ids, times and closed vocabularies none can, and they are most of a hit.
function columns(events: readonly Event[]): string[] {
  return [
    plainArray(events, (event) => event.customerId),
    plainArray(events, (event) => event.id),
    plainArray(events, (event) => event.type),
    plainArray(events, (event) => event.at.toISOString()),
    plainArray(events, (event) => event.campaignId),
    plainArray(events, (event) => event.runId),
    plainArray(events, (event) => event.messageId),
    plainArray(events, (event) => event.contactId),
    plainArray(events, (event) => event.agent),
    quotedArray(events, (event) => event.agentRule),
    quotedArray(events, (event) => event.userAgent),
    plainArray(events, (event) => event.ip),
    quotedArray(events, (event) => JSON.stringify(event.data)),
  ];
}

function plainArray(events: readonly Event[], pick: (event: Event) => string | null): string {
  return `{${events.map((event) => pick(event) ?? "null").join(",")}}`;
}

function quotedArray(events: readonly Event[], pick: (event: Event) => string | null): string {
  return `{${events.map((event) => quote(pick(event))).join(",")}}`;
}

function quote(text: string | null): string {
  return text === null ? "null" : `"${text.replace(/["\\]/g, "\\$&")}"`;
}
