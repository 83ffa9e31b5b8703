import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { durationProblem, formatDuration, parseDuration } from "./duration.ts";

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
});
