import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import type { EntryRow } from "./entry.ts";

/** `number` is the order of arrival. */
export type NumberedRow = EntryRow & { number: number };

export type RefusedRow = { number: number; reason: string };

export type RefusedEntry = { id: string; kind: string; reason: string; refusedAt: Date };

const numberedRow = z.object({
  number: z.number(),
  id: z.string(),
  kind: z.enum(["event", "unsubscribe", "resubscribe"]),
  body: z.string(),
});
const refusedEntry = z.object({
  id: z.string(),
  kind: z.string(),
  reason: z.string(),
  refusedAt: z.number().transform((ms) => new Date(ms)),
});
const counted = z.object({ count: z.number() });

/**
 * A commit is on the disk when it returns (`synchronous = full` syncs the write-ahead log each time). Numbers are
 * never given twice (`autoincrement`), also not after the file was empty. What PostgreSQL refused moves to
 * `refused`; `confirming` holds the customers whose unsubscribe links ask first, as the database last said.
 */
export function prepareFile(db: DatabaseSync): void {
  db.exec("pragma journal_mode = wal; pragma synchronous = full; pragma journal_size_limit = 4194304");
  db.exec(`
    create table if not exists entry (
      number integer primary key autoincrement,
      id text not null,
      kind text not null check (kind in ('event', 'unsubscribe', 'resubscribe')),
      body text not null,
      spooled_at integer not null
    ) strict;
    create table if not exists refused (
      number integer primary key autoincrement,
      id text not null,
      kind text not null,
      body text not null,
      spooled_at integer not null,
      reason text not null,
      refused_at integer not null
    ) strict;
    create table if not exists confirming (customer_id text primary key) strict, without rowid;
    create table if not exists confirming_known (at integer not null) strict;`);
}

/** One commit for all of them: a loop inside the process, which SQLite takes faster than one statement of JSON. */
export function insertEntries(db: DatabaseSync, rows: readonly EntryRow[], nowMs: number): void {
  inTransaction(db, () => {
    const insert = db.prepare("insert into entry (id, kind, body, spooled_at) values (?, ?, ?, ?)");
    for (const { id, kind, body } of rows) insert.run(id, kind, body, nowMs);
  });
}

/** The oldest entries, in the order of their arrival. */
export function selectEntries(db: DatabaseSync, limit: number): NumberedRow[] {
  const rows = db.prepare("select number, id, kind, body from entry order by number limit ?").all(limit);
  return rows.map((row) => numberedRow.parse(row));
}

/**
 * Forgets the entries up to this number: they are in the database, but for the refused ones, which are kept aside.
 * @returns how many there were
 */
export function settleEntries(
  db: DatabaseSync,
  upTo: number,
  refused: readonly RefusedRow[],
  nowMs: number,
): number {
  return inTransaction(db, () => {
    const setAside = db.prepare(`
      insert into refused (id, kind, body, spooled_at, reason, refused_at)
      select id, kind, body, spooled_at, ?, ? from entry where number = ?`);
    for (const { number, reason } of refused) setAside.run(reason, nowMs, number);
    return Number(db.prepare("delete from entry where number <= ?").run(upTo).changes);
  });
}

export function countEntries(db: DatabaseSync): number {
  return counted.parse(db.prepare("select count(*) as count from entry").get()).count;
}

export function countRefused(db: DatabaseSync): number {
  return counted.parse(db.prepare("select count(*) as count from refused").get()).count;
}

/** The newest first. */
export function selectRefused(db: DatabaseSync, limit: number): RefusedEntry[] {
  const rows = db
    .prepare(`
      select id, kind, reason, refused_at as "refusedAt" from refused order by number desc limit ?`)
    .all(limit);
  return rows.map((row) => refusedEntry.parse(row));
}

/** When the oldest entry came, in Unix milliseconds; null when there is none. */
export function oldestEntryMs(db: DatabaseSync): number | null {
  const row = db.prepare("select spooled_at as at from entry order by number limit 1").get();
  return row === undefined ? null : z.object({ at: z.number() }).parse(row).at;
}

/** Null when the database has never said. */
export function selectConfirming(db: DatabaseSync): string[] | null {
  if (db.prepare("select at from confirming_known").get() === undefined) return null;
  const rows = db.prepare("select customer_id as id from confirming").all();
  return rows.map((row) => z.object({ id: z.string() }).parse(row).id);
}

export function replaceConfirming(db: DatabaseSync, customerIds: readonly string[], nowMs: number): void {
  inTransaction(db, () => {
    db.exec("delete from confirming; delete from confirming_known");
    const insert = db.prepare("insert into confirming (customer_id) values (?)");
    for (const id of customerIds) insert.run(id);
    db.prepare("insert into confirming_known (at) values (?)").run(nowMs);
  });
}

/** Takes over what lies in another spool's file, behind what is here. Done twice it is there twice, which is harmless. */
export function adoptFile(db: DatabaseSync, file: string): void {
  db.prepare("attach database ? as orphan").run(file);
  try {
    inTransaction(db, () => {
      db.exec(`
        insert into main.entry (id, kind, body, spooled_at)
          select id, kind, body, spooled_at from orphan.entry order by number;
        insert into main.refused (id, kind, body, spooled_at, reason, refused_at)
          select id, kind, body, spooled_at, reason, refused_at from orphan.refused order by number`);
    });
  } finally {
    db.exec("detach database orphan");
  }
}

/**
 * Gives the space of what is gone back to the disk.
 * @returns false when that could not be done now: somebody reads the file
 */
export function shrink(db: DatabaseSync): boolean {
  try {
    db.exec("vacuum; pragma wal_checkpoint(truncate)");
    return true;
  } catch {
    return false;
  }
}

/** Bytes of the file that hold something. */
export function usedBytes(db: DatabaseSync): number {
  return (pragma(db, "page_count") - pragma(db, "freelist_count")) * pageBytes(db);
}

function pageBytes(db: DatabaseSync): number {
  return pragma(db, "page_size");
}

function pragma(db: DatabaseSync, name: "page_size" | "page_count" | "freelist_count"): number {
  return z.record(z.string(), z.number()).parse(db.prepare(`pragma ${name}`).get())[name] ?? 0;
}

function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec("begin immediate");
  try {
    const result = work();
    db.exec("commit");
    return result;
  } catch (error) {
    // A full disk has rolled it back already.
    if (db.isTransaction) db.exec("rollback");
    throw error;
  }
}
