import { runWaits } from "./campaigns/run-waits.ts";
import type { Config } from "./config.ts";
import type { Event } from "./events/event.ts";
import { createGroupCommit } from "./events/group-commit.ts";
import { createPostgresLog } from "./events/postgres-log.ts";
import type { Logger } from "./logger.ts";
import { runMaintenance } from "./maintenance.ts";
import { runSender } from "./messages/sender.ts";
import { runProjector } from "./projector/run-projector.ts";
import { type Database, isRefusal } from "./storage/pool.ts";
import type { Secrets } from "./storage/secrets.ts";
import type { Tokens } from "./tracking/token.ts";

/** The event log of a process and everything that follows from what is in it. */
export type Workers = {
  /** Resolves when the event is durable. */
  append(event: Event): Promise<void>;
  /** Says that somebody else has appended. */
  wake(): void;
  /** Finishes what is in hand, in the order in which one feeds the next. */
  stop(): Promise<void>;
};

// Memory of an outage: 20,000 events of at most 1 kB each. Nobody waits longer than four seconds for a redirect.
const GROUPS = { maxGroup: 1_000, maxWaiting: 20_000, maxWrites: 2, timeoutMs: 2_000, isRefusal };

/** Begins to project, send and wait. */
export function startWorkers(
  config: Config,
  database: Database,
  secrets: Secrets,
  tokens: Tokens,
  logger: Logger,
): Workers {
  const { db, pool } = database;
  const log = createPostgresLog(pool, () => projector.wake());
  const group = createGroupCommit<Event>((events) => log.append(events), GROUPS);
  const sender = runSender({
    database,
    db,
    append: group.append,
    tokens,
    publicUrl: config.publicUrl,
    encryptionKey: secrets.encryptionKey,
    log: logger,
    now: Date.now,
    random: Math.random,
  });
  const projector = runProjector(db, sender.wake, logger);
  const waits = runWaits(db, projector.wake, logger);
  const maintenance = runMaintenance(db, logger);
  return {
    append: group.append,
    wake: projector.wake,
    async stop() {
      await Promise.all([waits.stop(), maintenance.stop(), sender.stop()]);
      await group.drain();
      await projector.stop();
    },
  };
}
