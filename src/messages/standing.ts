import type { Logger } from "pino";
import type { LaneEnd } from "./lane.ts";
import { createRateLimit, type RateLimit } from "./rate-limit.ts";

const OUTAGE_FIRST_MS = 1_000;
const OUTAGE_MAX_MS = 60_000;
/** A credential that is held until tomorrow is looked at now and then: its ceiling has room when attempts come back. */
const HOLD_MAX_MS = 60_000;

/**
 * How a credential has done: its rate, kept over lanes, and how long it is left alone after a failure, or while its
 * window is closed, unless its settings change.
 */
export type Standing = {
  perSecond: number;
  rate: RateLimit;
  revision: string;
  restUntilMs: number;
  outageMs: number;
};

export type Standings = {
  isResting(key: string, revision: string): boolean;
  /** The standing of a credential with these settings; a new one when there was none. */
  of(key: string, perSecond: number, revision: string): Standing;
  /** Learns how a lane ended. */
  settle(standing: Standing, end: Exclude<LaneEnd, { kind: "broken" }>): void;
};

export type StandingDeps = { now: () => number; random: () => number; log: Pick<Logger, "warn"> };

export function createStandings({ now, random, log }: StandingDeps): Standings {
  const standings = new Map<string, Standing>();

  return {
    isResting(key, revision) {
      const standing = standings.get(key);
      return standing !== undefined && standing.revision === revision && standing.restUntilMs > now();
    },
    of(key, perSecond, revision) {
      const present = standings.get(key);
      if (present?.revision === revision && present.perSecond === perSecond) return present;
      // What went in the last second counts against the same rate, whatever else was changed.
      const rate = present?.perSecond === perSecond ? present.rate : createRateLimit(perSecond, now());
      const standing = { perSecond, rate, revision, restUntilMs: 0, outageMs: OUTAGE_FIRST_MS };
      standings.set(key, standing);
      return standing;
    },
    settle(standing, end) {
      if (end.kind === "idle") {
        standing.outageMs = OUTAGE_FIRST_MS;
      } else if (end.kind === "held") {
        standing.restUntilMs = Math.min(end.hold.untilMs, now() + HOLD_MAX_MS);
      } else {
        log.warn({ reason: end.reason }, "sender: a credential can't be used for now");
        standing.restUntilMs = now() + standing.outageMs * (0.8 + 0.4 * random());
        standing.outageMs = Math.min(standing.outageMs * 2, OUTAGE_MAX_MS);
      }
    },
  };
}
