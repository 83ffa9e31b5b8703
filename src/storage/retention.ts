import { type RawBuilder, sql } from "kysely";
import type { Db } from "./pool.ts";

/** The tables that are partitioned by month and kept for as long as each customer says. */
export const KEPT_TABLES = ["activity", "event_log", "webhook_delivery", "webhook_attempt"] as const;

export type KeptTable = (typeof KEPT_TABLES)[number];

/** What of a customer's is to be removed: everything in the table from before a moment. */
export type Expiry = { table: KeptTable; customerId: string; before: Date };

/** The place in the table's key after which the next chunk begins. */
export type Place = { contactId: string; id: string };

const START = "00000000-0000-0000-0000-000000000000";

/** Before everything in a table. */
export const BEGINNING: Place = { contactId: START, id: START };

/** An empty partition of a month that is over may still get what was under way: so long it is left. */
const LATE_DAYS = 31;
/** Whoever waits for a table's lock holds up those behind him: hits, in the log's case. */
const LOCK_TIMEOUT = "500ms";

const daysOf = {
  activity: sql`activity_retention_days`,
  event_log: sql`event_retention_days`,
  webhook_delivery: sql`delivery_retention_days`,
  webhook_attempt: sql`delivery_retention_days`,
};

/** What every customer with a policy no longer wants to keep. */
export async function selectExpiries(db: Db, now: Date): Promise<Expiry[]> {
  const { rows } = await sql<Expiry>`
    select k."table", c.customer_id as "customerId",
      ${now}::timestamptz - make_interval(days => k.days) as before
    from customer c
    cross join lateral (
      values ('activity', ${daysOf.activity}), ('event_log', ${daysOf.event_log}),
        ('webhook_delivery', ${daysOf.webhook_delivery}), ('webhook_attempt', ${daysOf.webhook_attempt})
    ) as k("table", days)
    where k.days is not null
    order by k."table", c.customer_id`.execute(db);
  return rows;
}

/**
 * Removes the next rows that have expired, at most `limit`, in the order of the table's key. An event is removed only
 * after it is projected. Two processes never do this at once.
 * @param db a transaction
 * @returns where the next chunk begins, or null when this was the last
 */
export async function removeExpired(
  db: Db,
  expiry: Expiry,
  place: Place,
  limit: number,
): Promise<Place | null> {
  const { rows: locks } = await sql<{ held: boolean }>`
    select pg_try_advisory_xact_lock(hashtextextended('edgr retention', 0)) as held`.execute(db);
  if (locks[0]?.held !== true) return null;
  return await remove[expiry.table](db, expiry, place, limit);
}

type Remove = (db: Db, expiry: Expiry, place: Place, limit: number) => Promise<Place | null>;

const remove: Record<KeptTable, Remove> = {
  activity: removeActivity,
  event_log: removeById(
    "event_log",
    sql`r.position <= (select position from projector_cursor where name = 'projector')`,
  ),
  webhook_delivery: removeDeliveries,
  webhook_attempt: removeById("webhook_attempt", sql`true`),
};

async function removeActivity(
  db: Db,
  { customerId, before }: Expiry,
  place: Place,
  limit: number,
): Promise<Place | null> {
  const { rows } = await sql<{ contactId: string | null }>`
    with expired as (
      select contact_id, id from activity
      where customer_id = ${customerId} and contact_id >= ${place.contactId} and id < first_id_at(${before})
      order by contact_id, id limit ${limit}
    ), removed as (
      delete from activity a using expired e
      where a.customer_id = ${customerId} and a.contact_id = e.contact_id and a.id = e.id
        and a.id < first_id_at(${before})
    )
    select (select contact_id from expired order by contact_id desc limit 1) as "contactId"
    where (select count(*) from expired) = ${limit}`.execute(db);
  const contactId = rows[0]?.contactId ?? null;
  return contactId === null ? null : { contactId, id: START };
}

/** @param condition of a row `r`, besides its age */
function removeById(table: "event_log" | "webhook_attempt", condition: RawBuilder<unknown>): Remove {
  return async (db, { customerId, before }, place, limit) => {
    const { rows } = await sql<{ id: string | null }>`
      with expired as (
        select r.id from ${sql.table(table)} r
        where r.customer_id = ${customerId} and r.id >= ${place.id} and r.id < first_id_at(${before}) and ${condition}
        order by r.id limit ${limit}
      ), removed as (
        delete from ${sql.table(table)} r using expired e
        where r.customer_id = ${customerId} and r.id = e.id and r.id < first_id_at(${before})
      )
      select (select id from expired order by id desc limit 1) as id
      where (select count(*) from expired) = ${limit}`.execute(db);
    return placeOf(rows[0]?.id ?? null);
  };
}

/** What is still owed is kept, and what an old event was delivered of only lately. */
async function removeDeliveries(
  db: Db,
  { customerId, before }: Expiry,
  place: Place,
  limit: number,
): Promise<Place | null> {
  const { rows } = await sql<{ id: string | null }>`
    with expired as (
      select endpoint_id, event_id from webhook_delivery
      where customer_id = ${customerId} and event_id >= ${place.id} and event_id < first_id_at(${before})
        and finished_at < ${before}
      order by event_id limit ${limit}
    ), removed as (
      delete from webhook_delivery d using expired e
      where d.customer_id = ${customerId} and d.endpoint_id = e.endpoint_id and d.event_id = e.event_id
        and d.event_id < first_id_at(${before}) and d.finished_at < ${before}
    )
    select (select event_id from expired order by event_id desc limit 1) as id
    where (select count(*) from expired) = ${limit}`.execute(db);
  return placeOf(rows[0]?.id ?? null);
}

function placeOf(id: string | null): Place | null {
  return id === null ? null : { contactId: START, id };
}

/**
 * Drops the months that no customer needs any more, and those that have nothing in them: a file is gone at once, where
 * removing its rows would take hours and leave it to the vacuum.
 * @returns the names of the partitions that are gone; one that is in use stays until the next call
 */
export async function dropUnneededMonths(db: Db, table: KeptTable, now: Date): Promise<string[]> {
  const dropped: string[] = [];
  for (const month of await selectPastMonths(db, table, now)) {
    if (!(month.isExpired || (await isEmpty(db, month.name)))) continue;
    if (await dropMonth(db, table, month, now)) dropped.push(month.name);
  }
  return dropped;
}

type Month = { name: string; isExpired: boolean };

/** `isExpired`: every customer has a policy, and none of them reaches back so far. */
async function selectPastMonths(db: Db, table: KeptTable, now: Date): Promise<Month[]> {
  const { rows } = await sql<Month>`
    select name, coalesce(ends <= (
      select case when count(*) = count(days) then first_id_at(${now}::timestamptz - make_interval(days => max(days))) end
      from (select ${daysOf[table]} as days from customer) as policy), false) as "isExpired"
    from (
      select child.relname as name,
        substring(pg_get_expr(child.relpartbound, child.oid) from 'TO \\(''([0-9a-f-]{36})''\\)')::uuid as ends
      from pg_inherits i join pg_class child on child.oid = i.inhrelid
      where i.inhparent = ${table}::regclass
    ) as month
    where ends <= first_id_at(${now}::timestamptz - make_interval(days => ${LATE_DAYS}))
    order by ends`.execute(db);
  return rows;
}

async function isEmpty(db: Db, month: string): Promise<boolean> {
  const { rows } = await sql<{ empty: boolean }>`
    select not exists (select from ${sql.id(month)}) as empty`.execute(db);
  return rows[0]?.empty === true;
}

/** Looks once more behind the lock: what was empty may have got a row, what was projected may have got an event. */
async function dropMonth(db: Db, table: KeptTable, month: Month, now: Date): Promise<boolean> {
  try {
    return await db.transaction().execute(async (transaction) => {
      await sql`select set_config('lock_timeout', ${LOCK_TIMEOUT}, true)`.execute(transaction);
      await sql`lock table ${sql.id(month.name)} in access exclusive mode`.execute(transaction);
      const isUnneeded = month.isExpired
        ? await isDone[table](transaction, month.name, now)
        : await isEmpty(transaction, month.name);
      if (isUnneeded) await sql`drop table ${sql.id(month.name)}`.execute(transaction);
      return isUnneeded;
    });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === LOCK_NOT_AVAILABLE) return false;
    throw error;
  }
}

const LOCK_NOT_AVAILABLE = "55P03";

/** Whether nothing is still to be done with what is in a month. */
const isDone: Record<KeptTable, (db: Db, month: string, now: Date) => Promise<boolean>> = {
  activity: async () => true,
  event_log: isProjected,
  webhook_delivery: isDelivered,
  webhook_attempt: async () => true,
};

async function isProjected(db: Db, month: string): Promise<boolean> {
  const { rows } = await sql<{ projected: boolean }>`
    select not exists (
      select from ${sql.id(month)}
      where position > (select position from projector_cursor where name = 'projector')) as projected`.execute(
    db,
  );
  return rows[0]?.projected === true;
}

async function isDelivered(db: Db, month: string, now: Date): Promise<boolean> {
  const { rows } = await sql<{ delivered: boolean }>`
    select not exists (
      select from ${sql.id(month)} d
      join customer c using (customer_id)
      where d.finished_at is null
        or d.finished_at >= ${now}::timestamptz - make_interval(days => ${daysOf.webhook_delivery})
    ) as delivered`.execute(db);
  return rows[0]?.delivered === true;
}
