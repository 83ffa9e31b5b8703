import type { Logger } from "pino";
import { purgeIdempotencyKeys } from "./http/queries.ts";
import { createSignal } from "./signal.ts";
import { ensurePartitions } from "./storage/partitions.ts";
import type { Db } from "./storage/pool.ts";

const HOUR_MS = 60 * 60 * 1000;

/** Once an hour: makes the coming months' partitions and forgets idempotency keys that have served their time. */
export function runMaintenance(db: Db, log: Logger): { stop(): Promise<void> } {
  const signal = createSignal();
  let stopping = false;

  async function loop(): Promise<void> {
    while (!stopping) {
      try {
        await ensurePartitions(db);
        await purgeIdempotencyKeys(db);
      } catch (error) {
        log.error({ err: error }, "maintenance: could not finish, tries again in an hour");
      }
      await signal.sleep(HOUR_MS);
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
