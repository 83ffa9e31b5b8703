const SECONDS = /^\d+(\.\d+)?$/;

// RFC 9110 section 5.6.7: the form in use, and the two obsolete ones that must be understood.
const FIXDATE =
  /^[A-Z][a-z]{2}, (?<day>\d\d) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) (?<time>\d\d:\d\d:\d\d) GMT$/;
const RFC_850 =
  /^[A-Z][a-z]{5,8}, (?<day>\d\d)-(?<month>[A-Z][a-z]{2})-(?<year>\d\d) (?<time>\d\d:\d\d:\d\d) GMT$/;
const ASCTIME =
  /^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) (?<time>\d\d:\d\d:\d\d) (?<year>\d{4})$/;

/** About 30 years: more than anybody means, and a date is still possible when it is added to one. */
const MAX_S = 1e9;

/**
 * How long a `Retry-After` asks to wait (RFC 9110 section 10.2.3).
 * @param now Unix milliseconds
 * @returns seconds, 0 for a date that has passed; null for none, or one that can't be understood
 */
export function retryAfterSeconds(header: string | undefined, now: number): number | null {
  const text = header?.trim() ?? "";
  if (SECONDS.test(text)) return Math.min(MAX_S, Number(text));
  const at = httpDate(text, now);
  return at === null ? null : Math.min(MAX_S, Math.max(0, (at - now) / 1_000));
}

function httpDate(text: string, now: number): number | null {
  const parts = (FIXDATE.exec(text) ?? RFC_850.exec(text) ?? ASCTIME.exec(text))?.groups;
  if (parts === undefined) return null;
  const { day = "", month = "", year = "", time = "" } = parts;
  const at = (fullYear: number) =>
    Date.parse(`${day.trim().padStart(2, "0")} ${month} ${fullYear} ${time} GMT`);
  const date = year.length === 2 ? at(fullYear(Number(year), now)) : at(Number(year));
  return Number.isNaN(date) ? null : date;
}

/** Of the years with these two last digits, the latest that is at most 50 years ahead. */
function fullYear(year: number, now: number): number {
  const latest = new Date(now).getUTCFullYear() + 50;
  return latest - ((latest - year) % 100);
}
