import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { durationProblem, formatDuration, isoDuration, parseDuration, untilProblem } from "./duration.ts";

const NOTHING = { years: 0, months: 0, weeks: 0, days: 0, hours: 0, minutes: 0, seconds: 0 };

describe("durations", () => {
  test("are read part by part", () => {
    expect(parseDuration("P2D")).toEqual({ ...NOTHING, days: 2 });
    expect(parseDuration("P1W")).toEqual({ ...NOTHING, weeks: 1 });
    expect(parseDuration("PT0.5S")).toEqual({ ...NOTHING, seconds: 0.5 });
    expect(parseDuration("P1M")).toEqual({ ...NOTHING, months: 1 });
    expect(parseDuration("PT1M")).toEqual({ ...NOTHING, minutes: 1 });
    expect(parseDuration("P1Y2M3DT4H5M6S")).toEqual({
      years: 1,
      months: 2,
      weeks: 0,
      days: 3,
      hours: 4,
      minutes: 5,
      seconds: 6,
    });
  });

  test.each([
    "",
    "P",
    "PT",
    "P1DT",
    "2D",
    "P-2D",
    "-P2D",
    "+P2D",
    "p2d",
    "P1.5D",
    "PT1,5S",
    "PT1S ",
    "P1W2D",
    "PT5M1H",
    "P2D\n",
    "P١D",
    "P9999999999D",
    "2 days",
  ])("refuse %j", (text) => {
    expect(parseDuration(text)).toBeNull();
    expect(durationProblem(text)).toContain("ISO 8601");
  });

  test.each(["P1Y", "P12M", "P365D", "P52W", "PT8760H", "PT1S", "PT0.001S", "P11M30DT23H"])(
    "may be waited for: %s",
    (text) => {
      expect(durationProblem(text)).toBeNull();
    },
  );

  test.each(["P0D", "PT0S", "P0Y0M0DT0H0M0.000S", "P0W"])("of no time are refused: %s", (text) => {
    expect(durationProblem(text)).toBe("must be longer than no time at all");
    expect(durationProblem(text, { mayBeNothing: true })).toBeNull();
  });

  test.each([
    ["P366D", "366 days"],
    ["P1YT0.001S", "1 year 0.001 seconds"],
    ["P53W", "53 weeks"],
    ["PT999999999H", "999999999 hours"],
  ])("beyond a year are refused in words: %s", (text, words) => {
    expect(durationProblem(text)).toBe(`must be at most 1 year (P1Y or P365D), not ${words}`);
  });

  test("say what was read, singular and plural", () => {
    const amount = fc.nat(999_999_999);
    const parts = fc.record({
      years: amount,
      months: amount,
      days: amount,
      hours: amount,
      minutes: amount,
      seconds: amount,
    });
    fc.assert(
      fc.property(parts, (p) => {
        const text = `P${p.years}Y${p.months}M${p.days}DT${p.hours}H${p.minutes}M${p.seconds}S`;
        expect(parseDuration(text)).toEqual({ ...p, weeks: 0 });
      }),
    );
    expect(formatDuration({ ...NOTHING, days: 1, hours: 12 })).toBe("1 day 12 hours");
    expect(formatDuration(NOTHING)).toBe("0 seconds");
  });

  test("are written as they are read", () => {
    for (const text of ["P1Y2M3DT4H5M6S", "P2D", "PT0.25S", "P1M", "PT1M", "PT0S", "P1W"]) {
      expect(isoDuration(parseDuration(text) ?? {})).toBe(text);
    }
    expect(isoDuration({ days: 7 })).toBe("P7D");
  });
});

describe("a moment to wait for", () => {
  test.each([
    "2026-12-24T09:00",
    "2026-12-24T09:00:30",
    "2024-02-29T00:00Z",
    "2026-12-24T09:00+05:45",
    "2026-12-24T09:00-14:00",
  ])("may be %s", (text) => {
    expect(untilProblem(text)).toBeNull();
  });

  test.each([
    "",
    "2026-12-24",
    "2026-02-29T09:00",
    "2026-13-01T09:00",
    "2026-12-24T24:00",
    "2026-12-24 09:00",
    "12026-12-24T09:00",
    "2026-12-24T09:00 Europe/Paris",
    "2026-12-24T09:00z",
    "tomorrow",
  ])("is not %j", (text) => {
    expect(untilProblem(text)).toStartWith("must be a moment such as 2026-12-24T09:00");
  });

  test.each(["+14:01", "+15:00", "-99:00"])("is in no zone at %s", (offset) => {
    expect(untilProblem(`2026-12-24T09:00${offset}`)).toBe("must have an offset from -14:00 to +14:00");
  });
});
