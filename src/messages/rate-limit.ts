/**
 * A token bucket that holds one second's worth, at least one, and does not forget within a second what it gave: in
 * no second more than the rate (rounded up) go, even after a rest, and in the long run the rate itself. Rates below
 * one a second work too.
 */
export type RateLimit = {
  /** How many may go now, `wanted` at most. They are taken. */
  take(nowMs: number, wanted: number): number;
  /** Gives back what was taken last and not used. */
  giveBack(count: number): void;
  /** Milliseconds until one may go. */
  waitMs(nowMs: number): number;
};

const SECOND_MS = 1_000;

export function createRateLimit(perSecond: number, startMs: number): RateLimit {
  const capacity = Math.max(1, perSecond);
  const perWindow = Math.ceil(capacity);
  let tokens = capacity;
  let at = startMs;
  // What went in the last second, oldest first.
  let taken: { at: number; count: number }[] = [];

  function move(nowMs: number): void {
    const elapsed = nowMs - at;
    at = nowMs;
    if (elapsed < 0) {
      // The clock was set back: what went lately went that much earlier by the new time.
      taken = taken.map((entry) => ({ at: entry.at + elapsed, count: entry.count }));
      return;
    }
    tokens = Math.min(capacity, tokens + (elapsed / SECOND_MS) * perSecond);
    const recent = taken.findIndex((entry) => entry.at > nowMs - SECOND_MS);
    taken = recent === -1 ? [] : taken.slice(recent);
  }

  const goneLately = () => taken.reduce((sum, { count }) => sum + count, 0);

  return {
    take(nowMs, wanted) {
      move(nowMs);
      const count = Math.min(Math.floor(tokens), perWindow - goneLately(), wanted);
      if (count <= 0) return 0;
      tokens -= count;
      taken.push({ at: nowMs, count });
      return count;
    },
    giveBack(count) {
      tokens = Math.min(capacity, tokens + count);
      for (let left = count; left > 0; ) {
        const last = taken.at(-1);
        if (last === undefined) return;
        const undone = Math.min(left, last.count);
        last.count -= undone;
        left -= undone;
        if (last.count === 0) taken.pop();
      }
    },
    waitMs(nowMs) {
      move(nowMs);
      const forToken = tokens >= 1 ? 0 : Math.ceil(((1 - tokens) / perSecond) * SECOND_MS);
      const oldest = taken[0];
      const forWindow = oldest === undefined || goneLately() < perWindow ? 0 : oldest.at + SECOND_MS - nowMs;
      return Math.max(forToken, forWindow);
    },
  };
}
