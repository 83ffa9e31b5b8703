import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createSchedule, holdOf, type SendWindow, type WarmUp, WEEKDAYS } from "./schedule.ts";

const MINUTE_MS = 60_000;
const at = (time: string) => Date.parse(time);
const office: SendWindow = {
  from: "09:00",
  to: "17:30",
  weekdays: ["mon", "tue", "wed", "thu", "fri"],
  timeZone: "Europe/Paris",
};
const windowed = (sendWindow: SendWindow) => createSchedule({ sendWindow, warmUp: null });

/** What a wall clock says, by another way than the schedule's: the whole formatted at once. */
function wallClock(timeZone: string, ms: number): { weekday: string; time: string } {
  const text = new Intl.DateTimeFormat("en-GB", {
    timeZone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).format(ms);
  const [weekday = "", time = ""] = text.replace(",", "").split(" ");
  return { weekday: weekday.toLowerCase(), time };
}

function isOpen({ from, to, weekdays, timeZone }: SendWindow, ms: number): boolean {
  const { weekday, time } = wallClock(timeZone, ms);
  const names: readonly string[] = WEEKDAYS;
  const today = names.indexOf(weekday);
  const opensOn = (day: number) => weekdays.some((name) => name === WEEKDAYS[(day + 7) % 7]);
  if (from < to) return opensOn(today) && time >= from && time < to;
  return (opensOn(today) && time >= from) || (opensOn(today - 1) && time < to);
}

describe("a send window", () => {
  test("is open between its times on its weekdays, and says when it opens next", () => {
    const schedule = windowed(office);
    const wednesday = at("2026-11-25T10:00:00Z");
    expect(schedule.opensAt(wednesday)).toBe(wednesday);
    expect(schedule.opensAt(at("2026-11-25T07:59:00Z"))).toBe(at("2026-11-25T08:00:00Z"));
    expect(schedule.opensAt(at("2026-11-25T16:30:00Z"))).toBe(at("2026-11-26T08:00:00Z"));
    expect(schedule.opensAt(at("2026-11-27T20:00:00Z"))).toBe(at("2026-11-30T08:00:00Z"));
    expect(schedule.closesAt(wednesday)).toBe(at("2026-11-25T16:30:00Z"));
  });

  test("over midnight belongs to the weekday it opens on", () => {
    const schedule = windowed({ ...office, from: "22:00", to: "04:00", weekdays: ["fri"] });
    expect(schedule.opensAt(at("2026-11-28T02:00:00Z"))).toBe(at("2026-11-28T02:00:00Z"));
    expect(schedule.opensAt(at("2026-11-27T02:00:00Z"))).toBe(at("2026-11-27T21:00:00Z"));
  });

  test("whose ends meet is open for days on end", () => {
    const schedule = windowed({ ...office, from: "00:00", to: "00:00" });
    expect(schedule.closesAt(at("2026-11-25T10:00:00Z"))).toBe(at("2026-11-27T23:00:00Z"));
    expect(schedule.opensAt(at("2026-11-28T10:00:00Z"))).toBe(at("2026-11-29T23:00:00Z"));
  });

  test("opens in the minute in which a wall clock says so, when no clock is changed", () => {
    const times = fc.tuple(fc.integer({ min: 0, max: 23 }), fc.constantFrom("00", "30"));
    const time = times.map(([hour, minute]) => `${String(hour).padStart(2, "0")}:${minute}`);
    const windows = fc.record({
      from: time,
      to: time,
      weekdays: fc.subarray([...WEEKDAYS], { minLength: 1 }),
      timeZone: fc.constantFrom("UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu"),
    });
    const minutes = fc.integer({ min: at("2026-05-01T00:00:00Z"), max: at("2026-08-01T00:00:00Z") });
    fc.assert(
      fc.property(windows, minutes, (window, ms) => {
        const now = Math.floor(ms / MINUTE_MS) * MINUTE_MS;
        const schedule = windowed(window);
        const opensAt = schedule.opensAt(now);
        expect(opensAt === now).toBe(isOpen(window, now));
        expect(isOpen(window, opensAt)).toBe(true);
        if (opensAt > now) expect(isOpen(window, opensAt - MINUTE_MS)).toBe(false);
        for (let between = now; between < opensAt; between += 30 * MINUTE_MS) {
          expect(isOpen(window, between)).toBe(false);
        }
        const closesAt = schedule.closesAt(opensAt) ?? 0;
        expect(isOpen(window, closesAt - MINUTE_MS)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });
});

describe("a warm-up", () => {
  const growing: WarmUp = {
    startedOn: "2026-11-25",
    startPerDay: 50,
    growthPercent: 50,
    ceilings: null,
    maxPerDay: 200,
  };
  const ceilings = (warmUp: WarmUp, days: string[]) =>
    days.map((day) => createSchedule({ sendWindow: null, warmUp }).ceiling(day));

  test("grows from day to day up to its highest ceiling, and is its first before it starts", () => {
    const days = ["2026-11-20", "2026-11-25", "2026-11-26", "2026-11-27", "2026-11-28", "2026-11-29"];
    expect(ceilings(growing, days)).toEqual([50, 50, 75, 112, 168, 200]);
    expect(ceilings({ ...growing, maxPerDay: null }, ["2036-11-25"])).toEqual([1_000_000_000]);
  });

  test("by a list goes along it, and leaves the highest ceiling when it is over", () => {
    const listed = { ...growing, startPerDay: null, growthPercent: null, ceilings: [10, 500] };
    const days = ["2026-11-25", "2026-11-26", "2026-11-27"];
    expect(ceilings(listed, days)).toEqual([10, 200, 200]);
    expect(ceilings({ ...listed, maxPerDay: null }, days)).toEqual([10, 500, null]);
  });

  test("that is reached holds until the next day in the window's zone, or until the window opens on it", () => {
    const now = at("2026-11-25T12:00:00Z");
    const without = createSchedule({ sendWindow: null, warmUp: growing });
    expect(holdOf(without, 49, now)).toBeNull();
    expect(holdOf(without, 50, now)).toEqual({ reason: "warm_up", untilMs: at("2026-11-26T00:00:00Z") });
    const windowed = createSchedule({ sendWindow: office, warmUp: growing });
    expect(windowed.day(at("2026-11-25T23:30:00Z"))).toBe("2026-11-26");
    expect(windowed.nextDayAt(now)).toBe(at("2026-11-25T23:00:00Z"));
    expect(holdOf(windowed, 50, now)).toEqual({ reason: "warm_up", untilMs: at("2026-11-26T08:00:00Z") });
    expect(holdOf(windowed, 0, at("2026-11-25T20:00:00Z"))?.reason).toBe("send_window");
  });
});
