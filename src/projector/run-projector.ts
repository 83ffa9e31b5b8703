import type { Logger } from "pino";
import { createSignal } from "../signal.ts";
import { type Db, isRefusal } from "../storage/pool.ts";
import { projectNext, refuseNext } from "./project.ts";

export type Projector = {
  /** Says that something was appended: the projector looks at once instead of at its next turn. */
  wake(): void;
  /** Finishes the batch under way and ends. */
  stop(): Promise<void>;
};

const BATCH_EVENTS = 5_000;
const IDLE_MS = 250;
const RETRY_MS = 1_000;
/**
 * After a batch that was not full the projector rests, twice as long as the batch took and at most this long, while
 * the next one gathers: a batch costs the same ten statements however few events are in it, and under load hundreds
 * of small ones a second took from the hits more than half a core.
 */
const MAX_REST_MS = 100;

/**
 * Projects for as long as the process lives. Several processes may run one: the cursor's row lock lets one of
 * them work at a time. A batch that fails is tried again event by event, so that one event that can't be
 * projected is set aside and all others pass.
 * @param onProjected called after each batch: new messages and waits may have come of it
 */
export function runProjector(
  db: Db,
  onProjected: () => void,
  log: Pick<Logger, "error" | "warn">,
): Projector {
  const signal = createSignal();
  const rest = createSignal();
  let stopping = false;

  async function loop(): Promise<void> {
    while (!stopping) {
      try {
        await db.connection().execute(work);
      } catch (error) {
        log.error({ err: error }, "projector: lost its connection, tries again");
        await signal.sleep(RETRY_MS);
      }
    }
  }

  async function work(connection: Db): Promise<void> {
    while (!stopping) {
      const begun = performance.now();
      const done = await projectOrIsolate(connection, log);
      if (done === 0) await signal.sleep(IDLE_MS);
      else onProjected();
      if (done > 0 && done < BATCH_EVENTS) {
        await rest.sleep(Math.min(MAX_REST_MS, 2 * (performance.now() - begun)));
      }
    }
  }

  const running = loop();
  return {
    wake: signal.wake,
    async stop() {
      stopping = true;
      signal.wake();
      rest.wake();
      await running;
    },
  };
}

async function projectOrIsolate(connection: Db, log: Pick<Logger, "error" | "warn">): Promise<number> {
  try {
    return await projectNext(connection, BATCH_EVENTS);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    log.warn({ err: error }, "projector: a batch was refused, goes through it event by event");
  }
  for (let done = 0; done < BATCH_EVENTS; done += 1) {
    try {
      if ((await projectNext(connection, 1)) === 0) return done;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      log.error({ err: error }, "projector: set one event aside");
      await refuseNext(connection, error instanceof Error ? error.message : String(error));
    }
  }
  return BATCH_EVENTS;
}
