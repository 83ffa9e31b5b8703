import type { Event } from "../events/event.ts";
import { createGroupCommit } from "../events/group-commit.ts";
import type { EventLog } from "../events/log.ts";
import type { Logger } from "../logger.ts";
import { repeat } from "../repeat.ts";
import { type Database, isRefusal } from "../storage/pool.ts";
import {
  type Kept,
  listConfirmingCustomers,
  type ResubscribeResult,
  resubscribe,
  type SubscriptionHit,
  type UnsubscribeResult,
  unsubscribe,
} from "../tracking/queries.ts";
import { drainBatch } from "./drain.ts";
import type { Entry } from "./entry.ts";
import { createFailover, type FailoverState, within } from "./failover.ts";
import type { Spool, SpoolContents } from "./spool.ts";

/** Where the public edge puts what people do: the database, and a spool on this machine's disk while that is away. */
export type HitLog = {
  /** Resolves when the event is durable, in one or the other. */
  append(event: Event): Promise<void>;
  unsubscribe(hit: SubscriptionHit): Promise<UnsubscribeResult | Kept>;
  resubscribe(hit: SubscriptionHit): Promise<ResubscribeResult | Kept>;
  status(): HitLogStatus;
  /** Writes what has been taken; what is in the spool then stays there for the next start. */
  stop(): Promise<void>;
};

export type HitLogStatus = SpoolContents & {
  state: FailoverState;
  /** Why the database counts as away. */
  reason: string | null;
  /** Entries moved from the spool into the database since the process started. */
  drained: number;
};

export type HitLogDeps = {
  /** Connections of the hits' own, on which nothing takes longer than `ANSWER_WITHIN_MS`. */
  database: Database;
  log: EventLog;
  spool: Spool;
  isThere: boolean;
  probe(): Promise<void>;
  random(): number;
  logger: Pick<Logger, "error" | "warn">;
  /** The log has grown by other ways than `log`. */
  onAppend(): void;
  onState(state: FailoverState): void;
};

/** How long a hit waits for the database at most, once: those after it don't, until the database is back. */
export const ANSWER_WITHIN_MS = 2_000;

// Memory: 20,000 events of at most 1 kB each. The timeout is a last resort: a write ends by itself before it.
const GROUPS = { maxGroup: 1_000, maxWaiting: 20_000, maxWrites: 2, timeoutMs: 4 * ANSWER_WITHIN_MS };
const CONFIRMING_LOOK_MS = 60_000;

export function startHitLog(deps: HitLogDeps): HitLog {
  const { spool, logger } = deps;
  const { db } = deps.database;
  let drained = 0;
  let reason: string | null = null;

  const failover = createFailover({
    spool,
    isThere: deps.isThere,
    probe: deps.probe,
    async drain() {
      const count = await drainBatch(spool, deps.database, ANSWER_WITHIN_MS, logger);
      drained += count;
      if (count > 0) deps.onAppend();
    },
    isRefusal,
    answerWithinMs: ANSWER_WITHIN_MS,
    random: deps.random,
    onState(state, error) {
      reason = state === "away" && error instanceof Error ? error.message : null;
      const { events } = spool.contents();
      if (state === "away") logger.warn({ err: error }, "spool: the database is away, hits are kept here");
      if (state === "draining")
        logger.warn({ events }, "spool: the database is back, brings it what was kept");
      if (state === "database") logger.warn({ drained }, "spool: empty");
      deps.onState(state);
    },
  });

  const events = createGroupCommit<Event>(writeEvents, { ...GROUPS, isRefusal });
  // Every change is a transaction of its own in the database; in the spool they share one.
  const changes = createGroupCommit<Entry>(async (entries) => failover.keep(entries), {
    ...GROUPS,
    maxWrites: 1,
    isRefusal: () => false,
  });

  function writeEvents(group: readonly Event[]): Promise<void> {
    return failover.write(
      () => deps.log.append(group),
      () => failover.keep(group.map((event) => ({ kind: "event", event }))),
    );
  }

  async function keepUnsubscribe(hit: SubscriptionHit): Promise<"kept" | "confirmation_needed"> {
    if (hit.via === "link" && spool.mustConfirm(hit.customerId)) return "confirmation_needed";
    await changes.append({ kind: "unsubscribe", hit });
    return "kept";
  }

  async function keepResubscribe(hit: SubscriptionHit): Promise<"kept"> {
    await changes.append({ kind: "resubscribe", hit });
    return "kept";
  }

  const confirming = repeat(
    CONFIRMING_LOOK_MS,
    async () => {
      if (failover.state() === "database") {
        spool.setConfirming(await within(listConfirmingCustomers(db), ANSWER_WITHIN_MS));
      }
      return "done";
    },
    (error) => logger.warn({ err: error }, "spool: could not learn whose unsubscribe links ask first"),
  );

  return {
    append: events.append,
    unsubscribe: (hit) =>
      failover.write<UnsubscribeResult | Kept>(
        () => unsubscribe(db, hit).finally(deps.onAppend),
        () => keepUnsubscribe(hit),
      ),
    resubscribe: (hit) =>
      failover.write<ResubscribeResult | Kept>(
        () => resubscribe(db, hit).finally(deps.onAppend),
        () => keepResubscribe(hit),
      ),
    status: () => ({ ...spool.contents(), state: failover.state(), reason, drained }),
    async stop() {
      await Promise.all([events.drain(), changes.drain()]);
      await Promise.all([failover.stop(), confirming.stop()]);
    },
  };
}
