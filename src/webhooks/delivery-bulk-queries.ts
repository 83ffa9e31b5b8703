import { type RawBuilder, sql } from "kysely";
import { SCANNED } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import { isNotInHand } from "./claim-queries.ts";
import { cancelled, opened } from "./delivery-action-queries.ts";
import { type DeliveryFilter, type DeliveryStatus, matching, scan } from "./delivery-scan-queries.ts";

export type BulkAction = "retry" | "cancel";

export type Counted = {
  status: DeliveryStatus;
  endpointId: string;
  scanned: number;
  matched: number;
};

/** What one statement did. */
export type Chunk = {
  matched: number;
  changed: number;
  /** Where to go on; null when nothing is left. */
  lookedTo: string | null;
};

/** Rows a statement changes at most: it holds them for a fraction of a second, and vacuum can follow. */
const CHANGED = 5_000;

const ACTIONS: { [Key in BulkAction]: { change: RawBuilder<unknown>; mayBe: RawBuilder<unknown> } } = {
  // What is in hand is left to those who try it: it would be sent twice. A deleted endpoint would never get it.
  retry: {
    change: opened,
    mayBe: sql`${isNotInHand} and exists (
      select from webhook_endpoint e where e.customer_id = d.customer_id and e.id = d.endpoint_id)`,
  },
  cancel: { change: cancelled, mayBe: sql`true` },
};

/** How many deliveries fit, of the newest so many rows that the filter's index leads to, by status and endpoint. */
export async function countMatching(
  db: Db,
  customerId: string,
  filter: DeliveryFilter,
  place: { before: string | null; rows: number },
): Promise<Counted[]> {
  const counted = await sql<Counted>`
    select d.status, d.endpoint_id as "endpointId", count(*) as scanned,
      count(*) filter (where ${matching(filter)}) as matched
    from ${scan(customerId, filter, place)} as d
    group by 1, 2 order by 2, 1`.execute(db);
  return counted.rows;
}

/**
 * Does a thing to the next deliveries that fit, from the newest to the oldest. Whatever somebody else holds is passed
 * over: this waits for nobody, and so can't be in a deadlock. One that was taken in hand since the statement began, whose
 * attempt it does not see, has another number of attempts.
 * @param db a transaction
 * @param place.most changes at most so many, of the statement's own limit
 */
export async function changeMatching(
  db: Db,
  customerId: string,
  action: BulkAction,
  filter: DeliveryFilter,
  { before, most }: { before: string | null; most: number },
): Promise<Chunk> {
  // It takes thousands of rows for a part worth reading all of the table for: 1.2 s of a statement at 350,000 rows.
  await sql`set local enable_hashjoin = off`.execute(db);
  await sql`set local enable_mergejoin = off`.execute(db);
  const { change, mayBe } = ACTIONS[action];
  const limit = Math.min(most, CHANGED);
  const { rows } = await sql<Chunk>`
    with scanned as materialized (
      select * from ${scan(customerId, filter, { before, rows: SCANNED })} as d
    ), matched as materialized (
      select * from scanned d where ${matching(filter)} order by d.id desc limit ${limit}
    ), held as materialized (
      select l.* from matched m cross join lateral (
        select d.customer_id, d.endpoint_id, d.event_id from webhook_delivery d
        where d.customer_id = m.customer_id and d.endpoint_id = m.endpoint_id and d.event_id = m.event_id
          and d.status = m.status and d.attempts = m.attempts and ${mayBe}
        for update skip locked
      ) as l
    ), changed as (
      update webhook_delivery d set ${change}
      from held h
      where d.customer_id = h.customer_id and d.endpoint_id = h.endpoint_id and d.event_id = h.event_id
      returning d.id
    )
    select (select count(*) from matched) as matched, (select count(*) from changed) as changed,
      case when (select count(*) from matched) = ${limit} then (select id from matched order by id limit 1)
        when (select count(*) from scanned) = ${SCANNED} then (select id from scanned order by id limit 1)
      end as "lookedTo"`.execute(db);
  const [chunk] = rows;
  if (chunk === undefined) throw new Error("a select of aggregates gives one row");
  return chunk;
}
