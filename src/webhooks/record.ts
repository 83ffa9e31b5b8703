import { setTimeout as delay } from "node:timers/promises";
import { createGroupCommit } from "../events/group-commit.ts";
import { type Db, isRefusal } from "../storage/pool.ts";
import { type Disabling, type End, recordEnds } from "./end.ts";
import { disableEndpoint } from "./endpoint-queries.ts";

/** Keeps what came of attempts. */
export type Recorder = {
  /** Resolves when the end is in the database, however long that is away; or when it was given up. Never rejects. */
  record(end: End): Promise<void>;
  /** Whether the database did not take what was given to it last. */
  isFailing(): boolean;
  /** What the database does not take from now on is given up: the deliveries come due again when their leases end. */
  giveUp(): void;
  /** Resolves when the endpoints that were to be disabled are. */
  settled(): Promise<void>;
};

export type RecorderDeps = {
  db: Db;
  random: () => number;
  log: { error(details: object, message: string): void };
  /** Something was appended to the log. */
  onAppend: () => void;
};

const RETRY_MS = 1_000;
/**
 * One write at a time: two would wait for each other at the endpoints they share. The time is longer than any statement
 * is let run: a group that was given up earlier would be written twice.
 */
const GROUPS = { maxGroup: 256, maxWaiting: 100_000, maxWrites: 1, timeoutMs: 120_000, isRefusal };

/** Ends that come at the same time are written together: their endpoints' health is one row each. */
export function createRecorder(deps: RecorderDeps): Recorder {
  let isFailing = false;
  let isGivenUp = false;
  const disabling = new Set<Promise<void>>();
  const group = createGroupCommit<End>(async (ends) => {
    const found = await deps.db.transaction().execute((db) => recordEnds(db, ends, deps.random));
    for (const each of found) {
      const done = disable(each).finally(() => disabling.delete(done));
      disabling.add(done);
    }
  }, GROUPS);

  async function record(end: End): Promise<void> {
    let kept = end;
    for (;;) {
      try {
        await group.append(kept);
        isFailing = false;
        return;
      } catch (error) {
        deps.log.error({ err: error, attemptId: end.attempt.id }, "webhooks: an end is not recorded yet");
        if (isGivenUp || (isRefusal(error) && kept.result === null)) return;
        // What the server sent is the only part that isn't ours.
        if (isRefusal(error)) kept = { ...kept, result: null };
        else await pause();
      }
    }
  }

  async function pause(): Promise<void> {
    isFailing = true;
    await delay(RETRY_MS);
  }

  // A transaction of its own: it waits for the projector, who may wait for nothing that is locked here.
  async function disable({ customerId, endpointId, by, reason }: Disabling): Promise<void> {
    for (;;) {
      try {
        const isNew = await deps.db
          .transaction()
          .execute((db) => disableEndpoint(db, customerId, endpointId, by, reason));
        if (isNew) deps.onAppend();
        return;
      } catch (error) {
        deps.log.error({ err: error, endpointId }, "webhooks: an endpoint could not be disabled yet");
        if (isGivenUp) return;
        await delay(RETRY_MS);
      }
    }
  }

  return {
    record,
    isFailing: () => isFailing,
    giveUp() {
      isGivenUp = true;
    },
    async settled() {
      await Promise.all(disabling);
    },
  };
}
