const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** More than any zone's clock is ever moved, and less than it is left between two moves. */
const BEYOND_A_CHANGE_MS = DAY_MS;

/** What the clocks of a time zone show. */
export type LocalTime = { date: string; minute: number };

/** The clocks of one time zone. Dates are written 2026-11-25; a minute is counted from midnight. */
export type Zone = {
  read(ms: number): LocalTime;
  /**
   * The moment at which the clocks show that. Of a time that comes twice it is the second, and one that is skipped
   * is as much later as the clocks jump.
   */
  at(date: string, minute: number): number;
};

/** @param name one of the IANA database's */
export function createZone(name: string): Zone {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: name,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
  });

  function read(ms: number): LocalTime {
    const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type, value]));
    const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? "";
    return {
      date: `${part("year").padStart(4, "0")}-${part("month")}-${part("day")}`,
      minute: Number(part("hour")) * 60 + Number(part("minute")),
    };
  }

  function offsetMs(ms: number): number {
    const { date, minute } = read(ms);
    return Date.parse(date) + minute * MINUTE_MS - Math.floor(ms / MINUTE_MS) * MINUTE_MS;
  }

  return {
    read,
    at(date, minute) {
      const asUtc = Date.parse(date) + minute * MINUTE_MS;
      const before = asUtc - offsetMs(asUtc - BEYOND_A_CHANGE_MS);
      const after = asUtc - offsetMs(asUtc + BEYOND_A_CHANGE_MS);
      return asUtc - offsetMs(after) === after ? after : before;
    },
  };
}

/** The date so many days later. */
export function addDays(date: string, days: number): string {
  return new Date(Date.parse(date) + days * DAY_MS).toISOString().slice(0, 10);
}
