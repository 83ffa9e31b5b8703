import { sql } from "kysely";
import type { Filter } from "../contacts/filter.ts";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";

export type Segment = {
  id: string;
  name: string;
  /** As it was stored, perhaps by an older version: to be checked again before it is used. */
  filter: Filter;
  createdAt: Date;
  updatedAt: Date;
};

const columns = sql`id, name, filter, created_at as "createdAt", updated_at as "updatedAt"`;

export async function insertSegment(
  db: Db,
  customerId: string,
  segment: { id: string; name: string; filter: Filter },
): Promise<Segment> {
  const { rows } = await sql<Segment>`
    insert into segment (customer_id, id, name, filter)
    values (${customerId}, ${segment.id}, ${segment.name}, ${JSON.stringify(segment.filter)}::jsonb)
    returning ${columns}`.execute(db);
  const [inserted] = rows;
  if (inserted === undefined) throw new Error("an insert returned nothing");
  return inserted;
}

/** Newest first, one more than the page holds. */
export async function selectSegments(db: Db, customerId: string, page: Page): Promise<Segment[]> {
  const { rows } = await sql<Segment>`
    select ${columns} from segment
    where customer_id = ${customerId} and (${page.cursor}::uuid is null or id < ${page.cursor}::uuid)
    order by id desc limit ${page.limit + 1}`.execute(db);
  return rows;
}

export async function findSegment(db: Db, customerId: string, id: string): Promise<Segment | null> {
  const { rows } = await sql<Segment>`
    select ${columns} from segment where customer_id = ${customerId} and id = ${id}`.execute(db);
  return rows[0] ?? null;
}

/** Writes what of a segment is given. */
export async function changeSegment(
  db: Db,
  customerId: string,
  id: string,
  change: { name: string | null; filter: Filter | null },
): Promise<Segment | null> {
  const filter = change.filter === null ? null : JSON.stringify(change.filter);
  const { rows } = await sql<Segment>`
    update segment set name = coalesce(${change.name}, name), filter = coalesce(${filter}::jsonb, filter),
      updated_at = now()
    where customer_id = ${customerId} and id = ${id}
    returning ${columns}`.execute(db);
  return rows[0] ?? null;
}

export async function deleteSegment(db: Db, customerId: string, id: string): Promise<boolean> {
  const { rows } = await sql`
    delete from segment where customer_id = ${customerId} and id = ${id} returning id`.execute(db);
  return rows.length === 1;
}
