import { sql } from "kysely";
import type { Page } from "../http/pagination.ts";
import { LOCKS } from "../storage/locks.ts";
import type { Db } from "../storage/pool.ts";
import type { FileFormat, Import, ImportKey, Preview, Settings, Status } from "./import.ts";
import type { Kind } from "./mapping.ts";
import type { Cursor } from "./reader.ts";

const columns = sql`customer_id as "customerId", id, kind, status, problem, size_bytes as "sizeBytes", chunks, format,
  preview, settings, next_chunk as "nextChunk", next_offset as "nextOffset", next_row as "nextRow",
  done_bytes as "doneBytes", created, updated, unchanged, refused, worked_ms as "workedMs",
  created_at as "createdAt", started_at as "startedAt", finished_at as "finishedAt"`;

export async function insertImport(db: Db, { customerId, id, kind }: ImportKey): Promise<void> {
  await sql`insert into import (customer_id, id, kind) values (${customerId}, ${id}, ${kind})`.execute(db);
}

export async function insertChunk(
  db: Db,
  { customerId, id }: ImportKey,
  chunk: { number: number; startBytes: number; bytes: Buffer },
): Promise<void> {
  await sql`
    insert into import_chunk (customer_id, import_id, number, start_bytes, bytes)
    values (${customerId}, ${id}, ${chunk.number}, ${chunk.startBytes}, ${chunk.bytes})`.execute(db);
}

/** A chunk and where in the file it begins; null once it has been deleted. */
export async function findChunk(
  db: Db,
  { customerId, id }: ImportKey,
  number: number,
): Promise<{ bytes: Buffer; startBytes: number } | null> {
  const { rows } = await sql<{ bytes: Buffer; startBytes: number }>`
    select bytes, start_bytes as "startBytes" from import_chunk
    where customer_id = ${customerId} and import_id = ${id} and number = ${number}`.execute(db);
  return rows[0] ?? null;
}

/** Says what has been uploaded and how it reads, and where its rows begin. */
export async function saveUpload(
  db: Db,
  { customerId, id }: ImportKey,
  upload: { sizeBytes: number; chunks: number; format: FileFormat; preview: Preview },
): Promise<void> {
  const { sizeBytes, chunks, format, preview } = upload;
  await sql`
    update import set status = 'uploaded', size_bytes = ${sizeBytes}, chunks = ${chunks},
      format = ${JSON.stringify(format)}::jsonb, preview = ${JSON.stringify(preview)}::jsonb,
      next_offset = ${format.firstOffset}, next_row = ${format.firstRow}
    where customer_id = ${customerId} and id = ${id} and status in ('uploading', 'uploaded')`.execute(db);
}

/** Forgets an upload that did not come to its end. */
export async function deleteImport(db: Db, { customerId, id }: ImportKey): Promise<void> {
  await sql`delete from import where customer_id = ${customerId} and id = ${id}`.execute(db);
}

export async function findImport(db: Db, { customerId, id, kind }: ImportKey): Promise<Import | null> {
  const { rows } = await sql<Import>`
    select ${columns} from import
    where customer_id = ${customerId} and id = ${id} and kind = ${kind}`.execute(db);
  return rows[0] ?? null;
}

/** Newest first, one more than the page holds. */
export async function selectImports(db: Db, customerId: string, kind: Kind, page: Page): Promise<Import[]> {
  const { rows } = await sql<Import>`
    select ${columns} from import
    where customer_id = ${customerId} and kind = ${kind}
      and (${page.cursor}::uuid is null or id < ${page.cursor}::uuid)
    order by id desc limit ${page.limit + 1}`.execute(db);
  return rows;
}

/** @returns null when it is not `uploaded` (any more) */
export async function startImport(
  db: Db,
  { customerId, id, kind }: ImportKey,
  settings: Settings,
): Promise<Import | null> {
  const { rows } = await sql<Import>`
    update import set status = 'running', settings = ${JSON.stringify(settings)}::jsonb, started_at = now()
    where customer_id = ${customerId} and id = ${id} and kind = ${kind} and status = 'uploaded'
    returning ${columns}`.execute(db);
  return rows[0] ?? null;
}

/** @returns null when its status is none of `from` */
export async function changeStatus(
  db: Db,
  { customerId, id, kind }: ImportKey,
  from: readonly Status[],
  to: "running" | "paused" | "cancelled",
): Promise<Import | null> {
  const { rows } = await sql<Import>`
    update import set status = ${to}, finished_at = case when ${to === "cancelled"} then now() end
    where customer_id = ${customerId} and id = ${id} and kind = ${kind} and status = any(${from}::text[])
    returning ${columns}`.execute(db);
  return rows[0] ?? null;
}

/** Deletes the uploaded bytes, all of them or those before a chunk. */
export async function deleteChunks(
  db: Db,
  { customerId, id }: ImportKey,
  before: number | null,
): Promise<void> {
  await sql`
    delete from import_chunk
    where customer_id = ${customerId} and import_id = ${id} and (${before}::int is null or number < ${before}::int)`.execute(
    db,
  );
}

/** The imports that run, the one that has waited longest first. */
export async function selectWaiting(db: Db, limit: number): Promise<Import[]> {
  const { rows } = await sql<Import>`
    select ${columns} from import where status = 'running' order by worked_at limit ${limit}`.execute(db);
  return rows;
}

/** Takes an import for this connection, for as long as it lives; false while another has it. */
export async function claimImport(connection: Db, lock: number): Promise<boolean> {
  const { rows } = await sql<{ held: boolean }>`
    select pg_try_advisory_lock(${LOCKS.import}::int, ${lock}::int) as held`.execute(connection);
  return rows[0]?.held === true;
}

export async function releaseImport(connection: Db, lock: number): Promise<void> {
  await sql`select pg_advisory_unlock(${LOCKS.import}::int, ${lock}::int)`.execute(connection);
}

/**
 * Locks the import's row, so that nobody pauses or cancels it before the caller's transaction ends.
 * @returns false when it does not run (any more), or its cursor is not where the caller thinks
 */
export async function lockRunning(db: Db, { customerId, id }: ImportKey, cursor: Cursor): Promise<boolean> {
  const { rows } = await sql`
    select from import
    where customer_id = ${customerId} and id = ${id} and status = 'running'
      and next_chunk = ${cursor.chunk} and next_offset = ${cursor.offset}
    for update`.execute(db);
  return rows.length === 1;
}

/**
 * Lets the caller's transaction commit without waiting for the disk. When the server dies then, rows and cursor are
 * lost together, so that the import does them again; the first commit that waits keeps all before it.
 */
export async function commitLater(db: Db): Promise<void> {
  await sql`set local synchronous_commit = off`.execute(db);
}

export type Step = {
  cursor: Cursor;
  doneBytes: number;
  isLast: boolean;
  created: number;
  updated: number;
  unchanged: number;
  refused: number;
  workedMs: number;
};

/** Moves the cursor behind a batch and counts what became of its rows. */
export async function advance(db: Db, { customerId, id }: ImportKey, step: Step): Promise<void> {
  await sql`
    update import set next_chunk = ${step.cursor.chunk}, next_offset = ${step.cursor.offset},
      next_row = ${step.cursor.row}, done_bytes = case when ${step.isLast} then size_bytes else ${step.doneBytes} end,
      created = created + ${step.created}, updated = updated + ${step.updated},
      unchanged = unchanged + ${step.unchanged}, refused = refused + ${step.refused},
      worked_ms = worked_ms + ${step.workedMs}, worked_at = now(),
      status = case when ${step.isLast} then 'completed' else status end,
      finished_at = case when ${step.isLast} then now() end
    where customer_id = ${customerId} and id = ${id}`.execute(db);
}

/** Ends an import that cannot go on. What it has written stays. */
export async function failImport(db: Db, { customerId, id }: ImportKey, problem: string): Promise<void> {
  await sql`
    update import set status = 'failed', problem = ${problem}, finished_at = now()
    where customer_id = ${customerId} and id = ${id} and status = 'running'`.execute(db);
}

/**
 * Deletes what has served its time: uploads that nobody finished (a day), the bytes of those that nobody started or
 * went on with (a week), and what is told of imports that are over (90 days).
 */
export async function expireImports(db: Db): Promise<void> {
  await sql`delete from import where status = 'uploading' and created_at < now() - interval '1 day'`.execute(
    db,
  );
  await sql`
    with expired as (
      update import set status = 'expired', finished_at = now()
      where status in ('uploaded', 'paused') and greatest(created_at, worked_at) < now() - interval '7 days'
        and created_at < now() - interval '7 days'
      returning customer_id, id
    )
    delete from import_chunk c using expired e where c.customer_id = e.customer_id and c.import_id = e.id`.execute(
    db,
  );
  await sql`
    delete from import where finished_at is not null and created_at < now() - interval '90 days'`.execute(db);
}
