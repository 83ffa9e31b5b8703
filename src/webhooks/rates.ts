import { createRateLimit, type RateLimit } from "../messages/rate-limit.ts";
import { setNewest } from "../newest.ts";

/** The rates of endpoints, as far as this process knows them: each process keeps to them on its own. */
export type Rates = {
  /** The endpoint's; a new one when it has changed. */
  of(endpointId: string, perSecond: number, now: number): RateLimit;
};

/** Those used last are kept: one that is forgotten begins anew with a second's worth. */
const MAX_KEPT = 10_000;

export function createRates(): Rates {
  const kept = new Map<string, { perSecond: number; limit: RateLimit }>();
  return {
    of(endpointId, perSecond, now) {
      const found = kept.get(endpointId);
      const entry =
        found?.perSecond === perSecond ? found : { perSecond, limit: createRateLimit(perSecond, now) };
      setNewest(kept, endpointId, entry, MAX_KEPT);
      return entry.limit;
    },
  };
}
