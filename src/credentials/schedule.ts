import { addDays, createZone } from "./zone.ts";

export const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

/** Beginning on each of these weekdays at `from`, until `to` of the same day, or of the next when that is not later. */
export type SendWindow = {
  from: string;
  to: string;
  weekdays: (typeof WEEKDAYS)[number][];
  timeZone: string;
};

/** Either `ceilings`, day by day, or `startPerDay` that grows by `growthPercent` with every day. */
export type WarmUp = {
  startedOn: string;
  startPerDay: number | null;
  growthPercent: number | null;
  ceilings: number[] | null;
  maxPerDay: number | null;
};

/**
 * When a credential may send, and how much on a day. Its days are those of the window's time zone, of UTC without a
 * window.
 */
export type Schedule = {
  timeZone: string;
  /** When the window opens next; `nowMs` itself while it is open. */
  opensAt(nowMs: number): number;
  /** When the window that is open now closes; null when it never does. */
  closesAt(nowMs: number): number | null;
  day(nowMs: number): string;
  /** When the next day begins. */
  nextDayAt(nowMs: number): number;
  /** How much may be sent on a day; null: as much as there is. */
  ceiling(day: string): number | null;
};

export type ScheduleSettings = { sendWindow: SendWindow | null; warmUp: WarmUp | null };

/** Why nothing is sent through a credential for now, and until when. */
export type Hold = { reason: "send_window" | "warm_up"; untilMs: number };

const DAY_MS = 86_400_000;
const DAYS_AHEAD = 8;
/** Nobody sends more on a day; growth ends here before it leaves the integers of the database. */
const MAX_CEILING = 1_000_000_000;

export function createSchedule({ sendWindow, warmUp }: ScheduleSettings): Schedule {
  const timeZone = sendWindow?.timeZone ?? "UTC";
  const zone = createZone(timeZone);
  const day = (nowMs: number) => zone.read(nowMs).date;

  function* openings(nowMs: number): Generator<{ from: number; to: number }> {
    if (sendWindow === null) return;
    const [from, to] = [minuteOf(sendWindow.from), minuteOf(sendWindow.to)];
    const today = day(nowMs);
    for (let ahead = -1; ahead <= DAYS_AHEAD; ahead += 1) {
      const date = addDays(today, ahead);
      if (!sendWindow.weekdays.includes(weekdayOf(date))) continue;
      yield { from: zone.at(date, from), to: zone.at(to > from ? date : addDays(date, 1), to) };
    }
  }

  return {
    timeZone,
    opensAt(nowMs) {
      if (sendWindow === null) return nowMs;
      for (const { from, to } of openings(nowMs)) if (nowMs < to) return Math.max(nowMs, from);
      return nowMs + DAYS_AHEAD * DAY_MS;
    },
    closesAt(nowMs) {
      if (sendWindow === null) return null;
      let closes = nowMs;
      for (const { from, to } of openings(nowMs)) {
        if (from > closes) break;
        closes = Math.max(closes, to);
      }
      return closes;
    },
    day,
    nextDayAt: (nowMs) => zone.at(addDays(day(nowMs), 1), 0),
    ceiling: (date) => (warmUp === null ? null : ceilingOf(warmUp, date)),
  };
}

/** @param sent how many went out on the day it is now */
export function holdOf(schedule: Schedule, sent: number, nowMs: number): Hold | null {
  const opensAt = schedule.opensAt(nowMs);
  if (opensAt > nowMs) return { reason: "send_window", untilMs: opensAt };
  const ceiling = schedule.ceiling(schedule.day(nowMs));
  if (ceiling === null || sent < ceiling) return null;
  return { reason: "warm_up", untilMs: schedule.opensAt(schedule.nextDayAt(nowMs)) };
}

/** Before the day it starts on, the first day's ceiling holds; when the list is over, only `maxPerDay` does. */
function ceilingOf(warmUp: WarmUp, date: string): number | null {
  const days = Math.max(0, Math.round((Date.parse(date) - Date.parse(warmUp.startedOn)) / DAY_MS));
  const { startPerDay, growthPercent, ceilings, maxPerDay } = warmUp;
  const growing =
    ceilings === null
      ? Math.min(MAX_CEILING, Math.floor((startPerDay ?? 0) * (1 + (growthPercent ?? 0) / 100) ** days))
      : (ceilings[days] ?? null);
  if (growing === null || maxPerDay === null) return growing ?? maxPerDay;
  return Math.min(growing, maxPerDay);
}

function weekdayOf(date: string): (typeof WEEKDAYS)[number] {
  // The first of January 1970 was a Thursday.
  return WEEKDAYS[(Math.floor(Date.parse(date) / DAY_MS) + 3) % 7] ?? "mon";
}

function minuteOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  return hours * 60 + minutes;
}
