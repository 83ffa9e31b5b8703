import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { addDays, createZone } from "./zone.ts";

const MINUTE_MS = 60_000;
const names = fc.constantFrom(
  "UTC",
  "Europe/Paris",
  "America/New_York",
  "America/Havana",
  "Australia/Lord_Howe",
  "Asia/Kathmandu",
  "Pacific/Chatham",
);
const moments = fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2030, 0) });

describe("the clocks of a zone", () => {
  test("show at a moment what leads back to it, or to the second time they show it", () => {
    fc.assert(
      fc.property(names, moments, (name, ms) => {
        const zone = createZone(name);
        const { date, minute } = zone.read(ms);
        const found = zone.at(date, minute);
        expect(zone.read(found)).toEqual({ date, minute });
        const later = found - Math.floor(ms / MINUTE_MS) * MINUTE_MS;
        expect(later).toBeGreaterThanOrEqual(0);
        expect(later).toBeLessThanOrEqual(60 * MINUTE_MS);
      }),
    );
  });

  test("show a skipped time as much later as they jump, and of a time that comes twice the second is meant", () => {
    const paris = createZone("Europe/Paris");
    expect(new Date(paris.at("2026-03-29", 150)).toISOString()).toBe("2026-03-29T01:30:00.000Z");
    expect(new Date(paris.at("2026-10-25", 150)).toISOString()).toBe("2026-10-25T01:30:00.000Z");
    expect(new Date(paris.at("2026-10-25", 0)).toISOString()).toBe("2026-10-24T22:00:00.000Z");
  });
});

test("days are added over the ends of months and years", () => {
  expect(addDays("2027-12-31", 60)).toBe("2028-02-29");
  expect(addDays("2026-03-01", -1)).toBe("2026-02-28");
});
