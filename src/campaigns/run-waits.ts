import type { Logger } from "pino";
import { createSignal } from "../signal.ts";
import type { Db } from "../storage/pool.ts";
import { completeDueWaits } from "./queries.ts";

export type WaitRunner = { stop(): Promise<void> };

const LOOK_MS = 1_000;
const WAITS_AT_ONCE = 1_000;

/** Ends due waits, for as long as the process lives; a wait ends at most about a second late. */
export function runWaits(db: Db, onAppend: () => void, log: Logger): WaitRunner {
  const signal = createSignal();
  let stopping = false;

  async function loop(): Promise<void> {
    while (!stopping) {
      try {
        const ended = await db.transaction().execute((trx) => completeDueWaits(trx, WAITS_AT_ONCE));
        if (ended > 0) onAppend();
        if (ended === WAITS_AT_ONCE) continue;
      } catch (error) {
        log.error({ err: error }, "waits: could not look for due ones, tries again");
      }
      await signal.sleep(LOOK_MS);
    }
  }

  const running = loop();
  return {
    async stop() {
      stopping = true;
      signal.wake();
      await running;
    },
  };
}
