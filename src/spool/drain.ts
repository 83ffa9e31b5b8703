import type pg from "pg";
import type { Event } from "../events/event.ts";
import { appendEventsCommitted } from "../events/queries.ts";
import type { Logger } from "../logger.ts";
import { type Database, isRefusal } from "../storage/pool.ts";
import { resubscribe, type SubscriptionHit, unsubscribe } from "../tracking/queries.ts";
import { decodeEntry, type Entry } from "./entry.ts";
import { within } from "./failover.ts";
import type { NumberedRow, RefusedRow } from "./queries.ts";
import type { Spool } from "./spool.ts";

type Change = { number: number; kind: "unsubscribe" | "resubscribe"; hit: SubscriptionHit };

/** Entries that are written together: events that follow each other, or one change of a subscription. */
type Step = { upTo: number; events: { number: number; event: Event }[]; change: Change | null };

/** More than twice what the groups under way may add while a batch is drained. */
const BATCH = 5_000;
/** A batch of many changes ends early: hits wait for its end. */
const TURN_MS = 250;

/**
 * Writes the oldest part of the spool into the database and then forgets it. A process that dies between the two
 * does it again, which changes nothing: the event's id is the key. What the database refuses for its contents is set
 * aside with the reason; any other failure is thrown, and what was done until then is kept.
 * @returns how many were written
 */
export async function drainBatch(
  spool: Spool,
  { pool, db }: Database,
  answerWithinMs: number,
  log: Pick<Logger, "error">,
): Promise<number> {
  const endsAt = performance.now() + TURN_MS;
  const refused: RefusedRow[] = [];
  const rows = spool.first(BATCH);
  let upTo = 0;
  try {
    for (const step of steps(rows, refused)) {
      if (step.change !== null) {
        const { change } = step;
        await tryOne(change.number, () => within(apply(change), answerWithinMs));
      }
      await appendOrHalve(step.events);
      upTo = step.upTo;
      if (performance.now() > endsAt) break;
    }
  } finally {
    if (upTo > 0) spool.settle(upTo, notedUpTo(upTo));
  }
  return rows.filter(({ number }) => number <= upTo).length;

  async function appendOrHalve(numbered: Step["events"]): Promise<void> {
    const [first] = numbered;
    if (first === undefined) return;
    const write = () => append(pool, numbered, answerWithinMs);
    if (numbered.length === 1) return tryOne(first.number, write);
    try {
      await write();
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const middle = Math.ceil(numbered.length / 2);
      await appendOrHalve(numbered.slice(0, middle));
      await appendOrHalve(numbered.slice(middle));
    }
  }

  async function tryOne(number: number, write: () => Promise<unknown>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refused.push({ number, reason: error instanceof Error ? error.message : String(error) });
    }
  }

  function apply({ kind, hit }: Change): Promise<unknown> {
    return kind === "unsubscribe" ? unsubscribe(db, hit, true) : resubscribe(db, hit);
  }

  function notedUpTo(number: number): RefusedRow[] {
    const noted = refused.filter((row) => row.number <= number);
    for (const row of noted) log.error(row, "spool: the database refused an entry, which is set aside");
    return noted;
  }
}

function append(pool: pg.Pool, numbered: Step["events"], answerWithinMs: number): Promise<void> {
  const events = numbered.map(({ event }) => event);
  return within(appendEventsCommitted(pool, events), answerWithinMs);
}

/** The entries in their order; those that can't be read are noted as refused. */
function steps(rows: readonly NumberedRow[], refused: RefusedRow[]): Step[] {
  const found: Step[] = [];
  for (const row of rows) {
    const last = found.at(-1);
    const entry = read(row, refused);
    if (entry === null) {
      found.push({ upTo: row.number, events: [], change: null });
    } else if (entry.kind !== "event") {
      found.push({ upTo: row.number, events: [], change: { number: row.number, ...entry } });
    } else if (last === undefined) {
      found.push({ upTo: row.number, events: [{ number: row.number, event: entry.event }], change: null });
    } else {
      last.events.push({ number: row.number, event: entry.event });
      last.upTo = row.number;
    }
  }
  return found;
}

function read(row: NumberedRow, refused: RefusedRow[]): Entry | null {
  try {
    return decodeEntry(row);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    refused.push({ number: row.number, reason: `can't be read: ${reason}` });
    return null;
  }
}
