import { createSignal } from "../signal.ts";
import type { Entry } from "./entry.ts";
import type { Spool } from "./spool.ts";

/**
 * Where hits go. `database`: straight there. `away`: into the spool, at once, while the database is tried now and
 * then. `draining`: the database is back; hits go behind those that wait in the spool, until it is empty.
 */
export type FailoverState = "database" | "away" | "draining";

export type FailoverDeps = {
  spool: Pick<Spool, "append" | "isEmpty">;
  /** Whether the database is known to be there at the start. */
  isThere: boolean;
  /** Rejects while the database can't be used. */
  probe(): Promise<void>;
  /** Moves some of the spool into the database; rejects when that can't be done now. */
  drain(): Promise<void>;
  isRefusal(error: unknown): boolean;
  /** How long somebody may wait for the database before it counts as away. */
  answerWithinMs: number;
  random(): number;
  onState(state: FailoverState, error: unknown): void;
};

export type Failover = {
  /**
   * Does `direct` while the database is there. When that fails, or nobody knows in time how it ended, and for as long
   * as the database is away, does `keep` instead, which has to go on to `Failover.keep`. What the database refuses
   * for its contents is thrown.
   */
  write<T>(direct: () => Promise<T>, keep: () => T | Promise<T>): Promise<T>;
  /** Puts entries into the spool and sees that they leave it. @throws SpoolFullError */
  keep(entries: readonly Entry[]): void;
  state(): FailoverState;
  /** Finishes the batch under way. What is left in the spool is there at the next start. */
  stop(): Promise<void>;
};

const IDLE_MS = 60_000;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 2_000;

export function createFailover(deps: FailoverDeps): Failover {
  const signal = createSignal();
  let state: FailoverState = !deps.isThere ? "away" : deps.spool.isEmpty() ? "database" : "draining";
  let stopping = false;
  let turn = Promise.withResolvers<void>();

  async function write<T>(direct: () => Promise<T>, keep: () => T | Promise<T>): Promise<T> {
    // One drained batch for each group that comes meanwhile, and batches are larger than groups: the spool ends.
    if (state === "draining") await turn.promise;
    if (state !== "database") return keep();
    try {
      return await within(direct(), deps.answerWithinMs);
    } catch (error) {
      if (deps.isRefusal(error)) throw error;
      if (state === "database") leave("away", error);
      return keep();
    }
  }

  function keep(entries: readonly Entry[]): void {
    deps.spool.append(entries);
    if (state === "database") leave("draining", null);
  }

  function leave(next: FailoverState, error: unknown): void {
    enter(next, error);
    signal.wake();
  }

  function enter(next: FailoverState, error: unknown): void {
    const isNew = next !== state;
    state = next;
    endTurn();
    if (isNew) deps.onState(next, error);
  }

  function endTurn(): void {
    turn.resolve();
    turn = Promise.withResolvers();
  }

  async function loop(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!stopping) {
      if (state === "database") {
        await signal.sleep(IDLE_MS);
        continue;
      }
      try {
        if (state === "away") await deps.probe();
        if (state === "away") enter("draining", null);
        await deps.drain();
        pauseMs = FIRST_PAUSE_MS;
        // No hit can come between this look and the change of state.
        if (deps.spool.isEmpty()) enter("database", null);
        else endTurn();
      } catch (error) {
        enter("away", error);
        await signal.sleep(pauseMs * (0.5 + deps.random()));
        pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
      }
    }
  }

  const running = loop();
  return {
    write,
    keep,
    state: () => state,
    async stop() {
      stopping = true;
      signal.wake();
      await running;
      // Nobody drains any more: who waits for a turn goes into the spool.
      if (state === "draining") state = "away";
      endTurn();
    },
  };
}

export class NoAnswerError extends Error {}

/** @throws NoAnswerError when nobody knows in time; the work may still be done after that */
export function within<T>(work: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new NoAnswerError(`the database did not answer within ${ms} ms`)),
      ms,
    );
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
