import type pg from "pg";
import { isRefusal } from "../storage/pool.ts";
import type { Event } from "./event.ts";
import type { EventLog } from "./log.ts";
import { appendEventsCommitted } from "./queries.ts";

const ATTEMPTS = 3;
const BACKOFF_MS = 50;

/**
 * The log in PostgreSQL. A write that a lost connection interrupted is tried again, which is safe because the
 * event id is the key.
 * @param onAppend called after each commit, so that the projector need not wait for its next look
 */
export function createPostgresLog(
  pool: pg.Pool,
  onAppend: () => void,
  random: () => number = Math.random,
): EventLog {
  async function append(events: readonly Event[]): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await appendEventsCommitted(pool, events);
        return onAppend();
      } catch (error) {
        if (isRefusal(error) || attempt === ATTEMPTS) throw error;
        const wait = BACKOFF_MS * 2 ** attempt * (0.5 + random());
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  return { append };
}
