import { type Duration, parseDuration } from "../campaigns/duration.ts";

// The SQL function `iso_time` of migration 0005 takes the same texts.
const ISO_TIME =
  /^([12][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(?:T((?:[01][0-9]|2[0-3]):[0-5][0-9])(?:(:[0-5][0-9])(\.[0-9]{1,6})?)?(Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])?)?$/;
const MAX_DURATION_DAYS = 36_525;

/**
 * Reads an ISO 8601 date or date and time, to the millisecond. Without an offset it is in UTC, and a date alone is
 * its first moment.
 * @returns null for what is no such text, also a day that its month does not have
 */
export function isoTime(text: string): Date | null {
  const match = ISO_TIME.exec(text);
  if (match === null) return null;
  const [, year = "", month = "", day = "", time = "00:00", seconds = ":00", fraction = ".0", zone = "Z"] =
    match;
  if (Number(day) > daysInMonth(Number(year), Number(month))) return null;
  return new Date(`${year}-${month}-${day}T${time}${seconds}${fraction.slice(0, 4).padEnd(4, "0")}${zone}`);
}

/** Why `text` is neither a time nor a duration from now, or null when it is one. */
export function momentProblem(text: string): string | null {
  if (isoTime(text) !== null || isDuration(text.replace(/^-/, ""))) return null;
  return "must be a time such as 2026-03-06T20:00:00Z, or a duration from now such as -P30D (ago) or P7D (ahead)";
}

/** Why `text` is no span of time that has passed, or null when it is one. */
export function spanProblem(text: string): string | null {
  return isDuration(text) ? null : "must be an ISO 8601 duration such as P30D or PT12H, of at most 100 years";
}

/** The moment that a text without a `momentProblem` means. */
export function momentOf(text: string, now: Date): Date {
  const time = isoTime(text);
  if (time !== null) return time;
  const isAgo = text.startsWith("-");
  const duration = parseDuration(isAgo ? text.slice(1) : text);
  if (duration === null) throw new RangeError(`${text} is neither a time nor a duration`);
  return shift(now, duration, isAgo ? -1 : 1);
}

// Calendar parts first and clamped to the month's last day, as PostgreSQL adds an interval in UTC.
function shift(now: Date, duration: Duration, sign: 1 | -1): Date {
  const months =
    now.getUTCFullYear() * 12 + now.getUTCMonth() + sign * (duration.years * 12 + duration.months);
  const year = Math.floor(months / 12);
  const month = months - year * 12;
  const shifted = new Date(now);
  shifted.setUTCFullYear(year, month, Math.min(now.getUTCDate(), daysInMonth(year, month + 1)));
  const days = duration.weeks * 7 + duration.days;
  const seconds = ((days * 24 + duration.hours) * 60 + duration.minutes) * 60 + duration.seconds;
  return new Date(shifted.getTime() + sign * Math.round(seconds * 1000));
}

function isDuration(text: string): boolean {
  const duration = parseDuration(text);
  if (duration === null) return false;
  const days =
    duration.years * 365 +
    duration.months * 30 +
    duration.weeks * 7 +
    duration.days +
    duration.hours / 24 +
    duration.minutes / 1_440 +
    duration.seconds / 86_400;
  return days <= MAX_DURATION_DAYS;
}

/** @param month 1 to 12 */
function daysInMonth(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}
