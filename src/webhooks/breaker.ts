/** How calling an endpoint goes, as far as it decides how much is sent there. */
export type Health = {
  /** The first of the failures since the last delivery. */
  failingSince: Date | null;
  consecutiveFailures: number;
  /** Not null: the breaker is open until then, and half open afterwards, until a probe has ended. */
  openUntil: Date | null;
  /** How often it has opened since the endpoint was last seen to work at full rate. */
  openedTimes: number;
  /** Deliveries at the same moment while a backlog drains; null: as many as the endpoint takes. */
  ramp: number | null;
  /** The endpoint asked for a pause. */
  slowedUntil: Date | null;
};

export type Chance = {
  /** Unix milliseconds. */
  now: number;
  maxConcurrency: number;
  /** 0 to 1. */
  random: () => number;
};

export const HEALTHY: Health = {
  failingSince: null,
  consecutiveFailures: 0,
  openUntil: null,
  openedTimes: 0,
  ramp: null,
  slowedUntil: null,
};

/** In a row, until the breaker opens. */
const FAILURES_TO_OPEN = 5;
const FIRST_OPEN_MS = 30_000;
const MAX_OPEN_MS = 600_000;

const DISABLE_AFTER_MS = 5 * 24 * 3_600_000;
/** What hardly anything was sent to has not shown for days that it is dead. */
const FAILURES_TO_DISABLE = 5;

/** The health after one attempt has ended; of several, folded in their order. */
export function afterEnd(health: Health, end: "delivered" | "failed", chance: Chance): Health {
  return end === "delivered" ? afterDelivery(health, chance) : afterFailure(health, chance);
}

/** Nothing but failures for five days. */
export function shouldDisable({ failingSince, consecutiveFailures }: Health, now: number): boolean {
  if (failingSince === null || consecutiveFailures < FAILURES_TO_DISABLE) return false;
  return now - failingSince.getTime() >= DISABLE_AFTER_MS;
}

/** A probe's success closes the breaker; then the concurrency doubles with each delivery up to what is allowed. */
function afterDelivery(health: Health, { maxConcurrency }: Chance): Health {
  const next = health.openUntil !== null ? 1 : (health.ramp ?? maxConcurrency) * 2;
  const ramp = next < maxConcurrency ? next : null;
  return {
    ...health,
    failingSince: null,
    consecutiveFailures: 0,
    openUntil: null,
    // An endpoint that falls over again while its backlog drains gets a longer rest than the last time.
    openedTimes: ramp === null ? 0 : health.openedTimes,
    ramp,
  };
}

function afterFailure(health: Health, chance: Chance): Health {
  const failed: Health = {
    ...health,
    failingSince: health.failingSince ?? new Date(chance.now),
    consecutiveFailures: health.consecutiveFailures + 1,
    // Too much at once may be why: half as much finds what the endpoint can take.
    ramp: health.ramp === null ? null : Math.max(1, Math.floor(health.ramp / 2)),
  };
  // Begun before it opened: it is open already. A probe's failure is one more in a row.
  if (isAhead(health.openUntil, chance.now)) return failed;
  return failed.consecutiveFailures >= FAILURES_TO_OPEN ? opened(failed, chance) : failed;
}

function opened(health: Health, { now, random }: Chance): Health {
  const forMs = Math.min(MAX_OPEN_MS, FIRST_OPEN_MS * 2 ** health.openedTimes);
  const openUntil = new Date(now + Math.round(forMs * (0.8 + 0.4 * random())));
  return { ...health, openUntil, openedTimes: health.openedTimes + 1, ramp: null };
}

function isAhead(moment: Date | null, now: number): boolean {
  return moment !== null && moment.getTime() > now;
}
