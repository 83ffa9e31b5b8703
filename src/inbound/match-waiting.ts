import { type Repeating, repeat } from "../repeat.ts";

/** How many of those that wait are looked at in one go. */
export const WAITING_AT_ONCE = 500;

const LOOK_MS = 1_000;

/**
 * Looks, for as long as the process lives, for the messages of what came before them.
 * @param look one look at those whose turn it is, `WAITING_AT_ONCE` at most
 * @param onAppend called when something was appended to the log
 */
export function runMatching(
  look: () => Promise<{ taken: number; matched: number }>,
  onAppend: () => void,
  onError: (error: unknown) => void,
): Repeating {
  return repeat(
    LOOK_MS,
    async () => {
      const { taken, matched } = await look();
      if (matched > 0) onAppend();
      return taken === WAITING_AT_ONCE ? "more" : "done";
    },
    onError,
  );
}
