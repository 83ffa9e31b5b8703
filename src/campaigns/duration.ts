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

const MOMENT = /^([12]\d{3}-\d\d-\d\d)T((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?)(Z|[+-]\d\d:\d\d)?$/;
const OFFSET = /^[+-](?:0\d|1[0-3]):[0-5]\d$|^[+-]14:00$/;

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

/**
 * Why `text` is no duration a contact may wait for (at most one year, and more than zero where nothing is no wait),
 * or null when it is.
 */
export function durationProblem(text: string, { mayBeNothing = false } = {}): string | null {
  const duration = parseDuration(text);
  if (duration === null) return "must be an ISO 8601 duration such as P2D, PT30M, P1W or P1DT12H";
  const seconds = secondsOf(duration);
  if (seconds <= 0 && !mayBeNothing) return "must be longer than no time at all";
  if (seconds > MAX_SECONDS) return `must be at most 1 year (P1Y or P365D), not ${formatDuration(duration)}`;
  return null;
}

/** Why `text` is no moment to wait for, on a contact's own clock or with an offset from UTC; null when it is one. */
export function untilProblem(text: string): string | null {
  const [, day = "", time = "", offset] = MOMENT.exec(text) ?? [];
  // A day that its month does not have comes back as another day.
  const moment = new Date(`${day}T${time}Z`);
  const isReal = !Number.isNaN(moment.getTime()) && moment.toISOString().startsWith(day);
  if (!isReal || day === "")
    return "must be a moment such as 2026-12-24T09:00, or with an offset 2026-12-24T09:00+01:00";
  const isOffset = offset === undefined || offset === "Z" || OFFSET.test(offset);
  return isOffset ? null : "must have an offset from -14:00 to +14:00";
}

/** In words, such as "1 day 12 hours". */
export function formatDuration(duration: Duration): string {
  const words = PARTS.filter((part) => duration[part] !== 0).map((part) => {
    const amount = duration[part];
    return `${amount} ${amount === 1 ? part.slice(0, -1) : part}`;
  });
  return words.length === 0 ? "0 seconds" : words.join(" ");
}

/** ISO 8601 for parts that PostgreSQL read from an ISO 8601 text; a week has become seven days. */
export function isoDuration(duration: Partial<Duration>): string {
  const part = (name: keyof Duration, letter: string) => (duration[name] ? `${duration[name]}${letter}` : "");
  const date = part("years", "Y") + part("months", "M") + part("weeks", "W") + part("days", "D");
  const time = part("hours", "H") + part("minutes", "M") + part("seconds", "S");
  if (date === "" && time === "") return "PT0S";
  return `P${date}${time === "" ? "" : `T${time}`}`;
}

function secondsOf(duration: Duration): number {
  return PARTS.reduce((sum, part) => sum + duration[part] * SECONDS[part], 0);
}
