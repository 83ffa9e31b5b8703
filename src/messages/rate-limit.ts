/**
 * A token bucket that holds one second's worth, at least one: over any time t no more than that and rate × t go,
 * and rates below one a second work too.
 */
export type RateLimit = {
  /** How many may go now, `wanted` at most. They are taken. */
  take(nowMs: number, wanted: number): number;
  /** Gives back what was taken and not used. */
  giveBack(count: number): void;
  /** Milliseconds until one may go. */
  waitMs(nowMs: number): number;
};

export function createRateLimit(perSecond: number, startMs: number): RateLimit {
  const capacity = Math.max(1, perSecond);
  let tokens = capacity;
  let at = startMs;

  function refill(nowMs: number): void {
    tokens = Math.min(capacity, tokens + (Math.max(0, nowMs - at) / 1000) * perSecond);
    at = nowMs;
  }

  return {
    take(nowMs, wanted) {
      refill(nowMs);
      const taken = Math.min(Math.floor(tokens), wanted);
      tokens -= taken;
      return taken;
    },
    giveBack(count) {
      tokens = Math.min(capacity, tokens + count);
    },
    waitMs(nowMs) {
      refill(nowMs);
      return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) / perSecond) * 1000);
    },
  };
}
