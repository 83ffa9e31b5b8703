import type { Event } from "./event.ts";

/** Where facts go first. The promise resolves when every event of the call is durable, and rejects otherwise. */
export interface EventLog {
  append(events: readonly Event[]): Promise<void>;
}
