import type { Bubble, Journal, Mail } from "./journal.ts";
import { actOn } from "./people.ts";

/** The recipients, at work on what was sent to them, so many of them at once. */
export type Crowd = {
  /** Lets them begin on what has arrived since the last time. */
  takeUp(): void;
  isIdle(): boolean;
  /** Rejects with the first fault of a recipient, who has none to have. */
  failed: Promise<never>;
};

/** Nobody answers in a chat before he has read; by then EDGR has recorded what it sent there. */
const READING_MS = 2_000;

/** @param onRead called when somebody has read a message in Telegram, also for those from before an interruption */
export function gatherCrowd(journal: Journal, atOnce: number, onRead: (bubble: Bubble) => void): Crowd {
  const tried = new Set(journal.entries.flatMap((entry) => (entry.kind === "trying" ? [entry.id] : [])));
  const waiting: (Mail | Bubble)[] = [];
  const inReading: Bubble[] = [];
  const failure = Promise.withResolvers<never>();
  let read = 0;
  let busy = 0;

  function next(): void {
    while (busy < atOnce) {
      const message = waiting.shift();
      if (message === undefined) break;
      busy += 1;
      if (message.kind === "bubble") onRead(message);
      actOn(message, journal, tried).then(finished, failure.reject);
    }
  }

  function finished(): void {
    busy -= 1;
    next();
  }

  return {
    takeUp() {
      for (; read < journal.entries.length; read += 1) {
        const entry = journal.entries[read];
        if (entry?.kind === "mail") waiting.push(entry);
        if (entry?.kind === "bubble") inReading.push(entry);
      }
      const isRead = ({ at }: Bubble) => Date.parse(at) + READING_MS <= Date.now();
      const unread = inReading.findIndex((bubble) => !isRead(bubble));
      waiting.push(...inReading.splice(0, unread === -1 ? inReading.length : unread));
      next();
    },
    isIdle: () =>
      busy === 0 && waiting.length === 0 && inReading.length === 0 && read === journal.entries.length,
    failed: failure.promise,
  };
}
