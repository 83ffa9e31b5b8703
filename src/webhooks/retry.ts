const HOUR_S = 3_600;
const DAY_S = 24 * HOUR_S;

/**
 * Seconds to wait before each attempt, the first one included (the example of Standard Webhooks): at once and soon
 * for what was a moment's hitch, then for the length of a repair, a night and a weekend.
 */
export const DEFAULT_SCHEDULE_S: readonly number[] = [
  0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400,
];

/** Seconds from the begin of a schedule after which nothing is tried any more, whoever asked to wait. */
export const MAX_AGE_S = 5 * DAY_S;

export type Tried = {
  /** The endpoint's own, in seconds; null: the default. */
  schedule: readonly number[] | null;
  /** Made so far in this schedule, at least one. */
  attemptsOfSchedule: number;
  /** Seconds that the server asked to wait. */
  retryAfterS: number | null;
  /** Seconds since this schedule began. */
  ageS: number;
  /** 0 to 1. */
  random: () => number;
};

/**
 * When a delivery that failed is tried again. The schedule's waits are spread by 20 % both ways, so that a backlog
 * does not come back at once; one that would pass the maximal age ends there. What the server asks for is never
 * shortened: longer than the maximal age leaves time for, it ends the delivery.
 * @returns seconds, or null when it has been enough
 */
export function nextDelay({ schedule, attemptsOfSchedule, retryAfterS, ageS, random }: Tried): number | null {
  const wait = (schedule ?? DEFAULT_SCHEDULE_S)[attemptsOfSchedule];
  const leftS = MAX_AGE_S - ageS;
  if (wait === undefined || leftS <= 0 || (retryAfterS ?? 0) > leftS) return null;
  const spread = wait * (0.8 + 0.4 * random());
  return Math.max(Math.min(spread, leftS), retryAfterS ?? 0);
}
