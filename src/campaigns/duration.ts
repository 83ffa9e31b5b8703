/** An ISO 8601 duration in its calendar parts: a month is not a number of days until it is added to a date. */
export type Duration = {
  years: number;
  months: number;
  weeks: number;
  days: number;
  hours: number;
  minutes: number;
  seconds: number;
};

const DURATION =
  /^P(?:(\d{1,9})W|(?=.)(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})D)?(?:T(?=.)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,3})?)S)?)?)$/;

// A month and a year as the bounds see them; PostgreSQL adds the real ones.
const SECONDS: Record<keyof Duration, number> = {
  years: 365 * 86_400,
  months: 30 * 86_400,
  weeks: 7 * 86_400,
  days: 86_400,
  hours: 3_600,
  minutes: 60,
  seconds: 1,
};
const MAX_SECONDS = SECONDS.years;
const PARTS = ["years", "months", "weeks", "days", "hours", "minutes", "seconds"] as const;

/**
 * Reads an ISO 8601 duration (section 5.5.2.2: P1Y2M3DT4H5M6S, or weeks alone: P2W). Only seconds may have a
 * fraction, and nothing is negative: every string taken here is one PostgreSQL takes as an interval.
 */
export function parseDuration(text: string): Duration | null {
  const match = DURATION.exec(text);
  if (match === null) return null;
  const [, weeks = 0, years = 0, months = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = match.map(
    (part) => Number(part ?? 0),
  );
  return { years, months, weeks, days, hours, minutes, seconds };
}

/** Why `text` is no duration a contact may wait for (more than zero, at most one year), or null when it is. */
export function durationProblem(text: string): string | null {
  const duration = parseDuration(text);
  if (duration === null) return "must be an ISO 8601 duration such as P2D, PT30M, P1W or P1DT12H";
  const seconds = secondsOf(duration);
  if (seconds <= 0) return "must be longer than no time at all";
  if (seconds > MAX_SECONDS) return `must be at most 1 year (P1Y or P365D), not ${formatDuration(duration)}`;
  return null;
}

/** In words, such as "1 day 12 hours". */
export function formatDuration(duration: Duration): string {
  const words = PARTS.filter((part) => duration[part] !== 0).map((part) => {
    const amount = duration[part];
    return `${amount} ${amount === 1 ? part.slice(0, -1) : part}`;
  });
  return words.length === 0 ? "0 seconds" : words.join(" ");
}

function secondsOf(duration: Duration): number {
  return PARTS.reduce((sum, part) => sum + duration[part] * SECONDS[part], 0);
}
