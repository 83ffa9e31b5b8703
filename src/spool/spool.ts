import { chmodSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { AppError } from "../errors.ts";
import { type Entry, encodeEntry } from "./entry.ts";
import { listSpoolFiles, removeFile, spoolDir, takePlace } from "./place.ts";
import {
  adoptFile,
  countEntries,
  countRefused,
  insertEntries,
  type NumberedRow,
  oldestEntryMs,
  prepareFile,
  type RefusedEntry,
  type RefusedRow,
  replaceConfirming,
  selectConfirming,
  selectEntries,
  selectRefused,
  settleEntries,
  shrink,
  usedBytes,
} from "./queries.ts";

/** Hits on this machine's disk, for the time that the database is away. Every call is synchronous. */
export type Spool = {
  /** Durable when it returns. @throws SpoolFullError, and nothing is kept */
  append(entries: readonly Entry[]): void;
  /** The oldest, in the order of their arrival. */
  first(limit: number): NumberedRow[];
  /** Forgets the entries up to this number, which are in the database; the refused ones are set aside. */
  settle(upTo: number, refused: readonly RefusedRow[]): void;
  isEmpty(): boolean;
  /** Whether this customer's unsubscribe links ask first; also when nobody knows. */
  mustConfirm(customerId: string): boolean;
  setConfirming(customerIds: readonly string[]): void;
  contents(): SpoolContents;
  close(): void;
};

export type SpoolContents = {
  events: number;
  /** Of the file, what holds something. */
  bytes: number;
  oldestAt: Date | null;
  /** Entries that the database refused: kept with the reason, for a person to look at. */
  setAside: number;
  isFull: boolean;
};

export type SpoolLimits = { maxBytes: number; maxEvents: number };

export class SpoolFullError extends Error {}

/**
 * Opens this process's spool under the data directory and takes over what dead processes left.
 * @throws AppError, a sentence for a person, when it can't be used
 */
export function openSpool(dataDir: string, limits: SpoolLimits, now: () => number): Spool {
  const { place, orphans } = takePlace(spoolDir(dataDir));
  const db = openFile(place.file);
  for (const orphan of orphans) {
    adopt(db, orphan.file);
    orphan.release();
  }
  let events = countEntries(db);
  let setAside = countRefused(db);
  let confirming = toSet(selectConfirming(db));
  // Deleted rows leave free pages behind: the file is as long as the outage was until it is made short again.
  let hasGrown = true;

  function append(entries: readonly Entry[]): void {
    if (isFull()) throw new SpoolFullError("the spool is full");
    try {
      insertEntries(db, entries.map(encodeEntry), now());
    } catch (error) {
      throw new SpoolFullError("the spool can't be written to", { cause: error });
    }
    events += entries.length;
    hasGrown = true;
  }

  function isFull(): boolean {
    return events >= limits.maxEvents || usedBytes(db) >= limits.maxBytes;
  }

  function settle(upTo: number, refused: readonly RefusedRow[]): void {
    events -= settleEntries(db, upTo, refused, now());
    setAside += refused.length;
    if (events === 0 && hasGrown) hasGrown = !shrink(db);
  }

  return {
    append,
    first: (limit) => selectEntries(db, limit),
    settle,
    isEmpty: () => events === 0,
    mustConfirm: (customerId) => confirming === null || confirming.has(customerId),
    setConfirming(customerIds) {
      const known = confirming;
      if (known?.size === customerIds.length && customerIds.every((id) => known.has(id))) return;
      replaceConfirming(db, customerIds, now());
      confirming = new Set(customerIds);
    },
    contents() {
      const oldest = oldestEntryMs(db);
      const oldestAt = oldest === null ? null : new Date(oldest);
      return { events, bytes: usedBytes(db), oldestAt, setAside, isFull: isFull() };
    },
    close() {
      db.close();
      place.release();
    },
  };
}

/** `refused` are the newest of those set aside. */
export type SpoolFile = { file: string; events: number; setAside: number; refused: RefusedEntry[] };

/** What is in the spools under this data directory, also while processes use them. Changes nothing. */
export function inspectSpools(dataDir: string): SpoolFile[] {
  return listSpoolFiles(spoolDir(dataDir)).map((file) => {
    const db = new DatabaseSync(file, { readOnly: true });
    try {
      const refused = selectRefused(db, REFUSED_SHOWN);
      return { file, events: countEntries(db), setAside: countRefused(db), refused };
    } finally {
      db.close();
    }
  });
}

const REFUSED_SHOWN = 5;
const BUSY_TIMEOUT_MS = 1_000;

function openFile(file: string): DatabaseSync {
  try {
    const db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
    prepareFile(db);
    chmodSync(file, 0o600);
    return db;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError(
      "unavailable",
      `The spool ${file} can't be used (${reason}). Move it away and keep it.`,
    );
  }
}

function adopt(db: DatabaseSync, file: string): void {
  openFile(file).close();
  adoptFile(db, file);
  removeFile(file);
}

function toSet(ids: readonly string[] | null): ReadonlySet<string> | null {
  return ids === null ? null : new Set(ids);
}
