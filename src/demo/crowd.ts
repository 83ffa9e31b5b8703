import type { Journal, Mail } from "./journal.ts";
import { actOn } from "./people.ts";

/** The recipients, at work on their mail, so many of them at once. */
export type Crowd = {
  /** Lets them begin on what has arrived since the last time. */
  takeUp(): void;
  isIdle(): boolean;
  /** Rejects with the first fault of a recipient, who has none to have. */
  failed: Promise<never>;
};

export function gatherCrowd(journal: Journal, atOnce: number): Crowd {
  const tried = new Set(journal.entries.flatMap((entry) => (entry.kind === "trying" ? [entry.id] : [])));
  const waiting: Mail[] = [];
  const failure = Promise.withResolvers<never>();
  let read = 0;
  let busy = 0;

  function next(): void {
    while (busy < atOnce) {
      const mail = waiting.shift();
      if (mail === undefined) break;
      busy += 1;
      actOn(mail, journal, tried).then(finished, failure.reject);
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
      }
      next();
    },
    isIdle: () => busy === 0 && waiting.length === 0 && read === journal.entries.length,
    failed: failure.promise,
  };
}
