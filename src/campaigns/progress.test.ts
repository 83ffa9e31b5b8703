import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createSchedule, type ScheduleSettings } from "../credentials/schedule.ts";
import { estimateFinishMs, type Line, perSecond } from "./progress.ts";

const at = (time: string) => Date.parse(time);
const NOW = at("2026-11-25T12:00:00Z");

/** 3,600 messages, one a second. */
function line(settings: Partial<ScheduleSettings> = {}, more: Partial<Line> = {}): Line {
  return {
    queued: 3_600,
    ready: 3_600,
    perSecond: 1,
    limitPerSecond: 10,
    schedule: createSchedule({ sendWindow: null, warmUp: null, ...settings }),
    sentToday: 0,
    lastDueMs: NOW,
    ...more,
  };
}

const office = {
  sendWindow: {
    from: "09:00",
    to: "12:30",
    weekdays: ["wed" as const, "fri" as const],
    timeZone: "UTC",
  },
};
const warmUp = {
  warmUp: {
    startedOn: "2026-11-25",
    startPerDay: null,
    growthPercent: null,
    ceilings: [1_000, 2_000],
    maxPerDay: null,
  },
};
const finish = (...lines: Line[]) => {
  const ms = estimateFinishMs(lines, NOW);
  return ms === null ? null : new Date(ms).toISOString();
};

describe("the end of a campaign's sending", () => {
  test("comes when what is queued has gone at the pace of now, through the slowest credential", () => {
    expect(finish(line())).toBe("2026-11-25T13:00:00.000Z");
    expect(finish(line(), line({}, { queued: 7_200 }))).toBe("2026-11-25T14:00:00.000Z");
    expect(finish()).toBe("2026-11-25T12:00:00.000Z");
  });

  test("is not known when nothing goes, though it might", () => {
    expect(finish(line({}, { perSecond: 0 }))).toBeNull();
    expect(finish(line(), line({}, { perSecond: 0 }))).toBeNull();
  });

  test("waits for what is put off", () => {
    const lastDueMs = at("2026-11-26T08:00:00Z");
    expect(finish(line({}, { lastDueMs }))).toBe("2026-11-26T08:00:00.000Z");
    expect(finish(line({}, { ready: 0, perSecond: 0, lastDueMs }))).toBe("2026-11-26T08:06:00.000Z");
  });

  test("goes on in the next window when this one closes", () => {
    expect(finish(line(office))).toBe("2026-11-27T09:30:00.000Z");
    const closed = { ...office, sendWindow: { ...office.sendWindow, from: "14:00", to: "15:00" } };
    expect(finish(line(closed, { perSecond: 0 }))).toBe("2026-11-25T14:06:00.000Z");
  });

  test("goes on with the next day's ceiling when this one is reached, counting what was sent today", () => {
    expect(finish(line(warmUp, { sentToday: 500, perSecond: 10 }))).toBe("2026-11-27T00:01:50.000Z");
    expect(finish(line(warmUp, { sentToday: 1_000, perSecond: 0 }))).toBe("2026-11-27T00:02:40.000Z");
  });

  test("is not in sight when it takes hundreds of days", () => {
    const slow = { warmUp: { ...warmUp.warmUp, ceilings: null, startPerDay: 1, growthPercent: 0 } };
    expect(finish(line(slow))).toBeNull();
  });

  test("never comes earlier for a window, a ceiling, or more that is queued", () => {
    const settings = fc.constantFrom({}, office, warmUp, { ...office, ...warmUp });
    fc.assert(
      fc.property(settings, fc.integer({ min: 1, max: 20_000 }), fc.nat(1_000), (limits, queued, more) => {
        const free = estimateFinishMs([line({}, { queued })], NOW) ?? 0;
        const limited = estimateFinishMs([line(limits, { queued })], NOW) ?? 0;
        const larger = estimateFinishMs([line(limits, { queued: queued + more })], NOW) ?? 0;
        expect(limited).toBeGreaterThanOrEqual(free);
        expect(larger).toBeGreaterThanOrEqual(limited);
      }),
    );
  });
});

test("pace is measured since the first that was sent, over ten seconds at least and five minutes at most", () => {
  const pace = (secondsAgo: number) =>
    perSecond({ credentialId: "", sent: 300, since: new Date(NOW - secondsAgo * 1_000) }, NOW);
  expect([pace(0), pace(10), pace(100), pace(300), pace(310)]).toEqual([30, 30, 3, 1, 1]);
});
