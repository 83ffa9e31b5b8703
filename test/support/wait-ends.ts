import type { WaitNode } from "../../src/campaigns/schema.ts";
import { momentOf } from "../../src/contacts/moment.ts";

const DAY_MS = 86_400_000;
const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;

/** When a wait that begins at `start` ends, for a contact who lives in `zone`: the design's words in TypeScript. */
export function waitEnds({ duration, until, at }: WaitNode, start: Date, zone: string): Date {
  if (duration !== undefined) return momentOf(duration, start);
  if (until !== undefined) {
    const isAbsolute = /(Z|[+-]\d\d:\d\d)$/.test(until);
    return isAbsolute ? new Date(until) : instantOf(Date.parse(`${until}Z`), zone);
  }
  if (at === undefined) throw new Error("a wait for nothing");
  const wall = wallOf(start, zone);
  const midnight = wall - (wall % DAY_MS);
  const [hours = 0, minutes = 0] = at.time.split(":").map(Number);
  for (let day = midnight; ; day += DAY_MS) {
    const ends = instantOf(day + (hours * 60 + minutes) * 60_000, zone);
    const weekday = WEEKDAYS[new Date(day).getUTCDay()] ?? "sun";
    if (ends > start && at.weekdays.includes(weekday)) return ends;
  }
}

/** What the clocks of a zone show, as if they showed UTC; in milliseconds. */
function wallOf(instant: Date, zone: string): number {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  }).formatToParts(instant);
  const read = (type: Intl.DateTimeFormatPartTypes) =>
    Number(parts.find((part) => part.type === type)?.value);
  const seconds = Date.UTC(
    read("year"),
    read("month") - 1,
    read("day"),
    read("hour"),
    read("minute"),
    read("second"),
  );
  return seconds + (instant.getTime() % 1_000);
}

/** A time that the clocks skip is read as before the change, one that they show twice as after it: as PostgreSQL does. */
function instantOf(wall: number, zone: string): Date {
  const offsetAt = (instant: number) => wallOf(new Date(instant), zone) - instant;
  const before = wall - offsetAt(wall - DAY_MS);
  const after = wall - offsetAt(wall + DAY_MS);
  return new Date(wallOf(new Date(after), zone) === wall ? after : before);
}
