import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { afterEnd, HEALTHY, type Health, shouldDisable } from "./breaker.ts";

const NOW = Date.parse("2026-11-25T10:00:00Z");
const DAY_MS = 24 * 3_600_000;
const MAX = 10;
const at = (now: number) => ({ now, maxConcurrency: MAX, random: () => 0.5 });

function ends(health: Health, end: "delivered" | "failed", times: number, now = NOW): Health {
  return Array.from({ length: times }).reduce<Health>((before) => afterEnd(before, end, at(now)), health);
}

/** How long it is open from then on, in seconds. */
const openFor = ({ openUntil }: Health, now: number) => ((openUntil?.getTime() ?? now) - now) / 1_000;

const broken = ends(HEALTHY, "failed", 5);
const whenHalfOpen = NOW + 30_000;

/** How many may be under way at once, as `holdDueDeliveries` asks it of the row. */
function concurrencyNow(health: Health, maxConcurrency: number, now: number): number {
  const isAhead = (until: Date | null) => until !== null && until.getTime() > now;
  if (isAhead(health.slowedUntil) || isAhead(health.openUntil)) return 0;
  if (health.openUntil !== null) return 1;
  return Math.min(health.ramp ?? maxConcurrency, maxConcurrency);
}

describe("the breaker", () => {
  test("stays closed for four failures in a row, and for any number with a success among every five", () => {
    const four = ends(HEALTHY, "failed", 4);
    expect(concurrencyNow(four, MAX, NOW)).toBe(MAX);
    const better = ends(afterEnd(four, "delivered", at(NOW)), "failed", 4);
    expect(concurrencyNow(better, MAX, NOW)).toBe(MAX);
  });

  test("opens with the fifth for 30 seconds, spread by a fifth both ways, in which nothing is sent", () => {
    expect(openFor(broken, NOW)).toBe(30);
    expect(concurrencyNow(broken, MAX, whenHalfOpen - 1)).toBe(0);
    const opened = [0, 1].map((chance) =>
      afterEnd(ends(HEALTHY, "failed", 4), "failed", { ...at(NOW), random: () => chance }),
    );
    expect(opened.map((health) => openFor(health, NOW))).toEqual([24, 36]);
  });

  test("lets one probe through afterwards, and opens for twice as long when that fails, up to ten minutes", () => {
    let health = broken;
    let now = NOW;
    const lengths = Array.from({ length: 7 }, () => {
      now = health.openUntil?.getTime() ?? now;
      expect(concurrencyNow(health, MAX, now)).toBe(1);
      health = afterEnd(health, "failed", at(now));
      return openFor(health, now);
    });
    expect(lengths).toEqual([60, 120, 240, 480, 600, 600, 600]);
  });

  test("is not opened for longer by attempts that had begun before it opened", () => {
    const stragglers = ends(broken, "failed", 20, NOW + 15_000);
    expect(stragglers.openUntil).toEqual(broken.openUntil);
    expect(stragglers.openedTimes).toBe(1);
  });

  test("closes with the probe's success, and lets ever more through up to what the endpoint takes", () => {
    let health = broken;
    const allowed = Array.from({ length: 6 }, () => {
      health = afterEnd(health, "delivered", at(whenHalfOpen));
      return concurrencyNow(health, MAX, whenHalfOpen);
    });
    expect(allowed).toEqual([1, 2, 4, 8, MAX, MAX]);
    expect(health).toEqual(HEALTHY);
  });

  test("halves what is let through when a failure comes while the backlog drains, down to one", () => {
    const draining = ends(broken, "delivered", 3, whenHalfOpen);
    const allowed = [1, 2, 3].map((failures) =>
      concurrencyNow(ends(draining, "failed", failures, whenHalfOpen), MAX, whenHalfOpen),
    );
    expect(allowed).toEqual([2, 1, 1]);
  });

  test("opens for longer when the endpoint falls over again before its backlog is drained", () => {
    const draining = ends(broken, "delivered", 2, whenHalfOpen);
    expect(openFor(ends(draining, "failed", 5, whenHalfOpen), whenHalfOpen)).toBe(60);
    const drained = ends(broken, "delivered", 5, whenHalfOpen);
    expect(openFor(ends(drained, "failed", 5, whenHalfOpen), whenHalfOpen)).toBe(30);
  });
});

test("an endpoint that takes one at a time is at full rate as soon as it works", () => {
  const one = { ...at(whenHalfOpen), maxConcurrency: 1 };
  expect(afterEnd(broken, "delivered", one)).toEqual(HEALTHY);
});

test("nothing is sent while the endpoint has asked for a pause, whatever else it does", () => {
  const slowed = { ...HEALTHY, slowedUntil: new Date(NOW + 1_000) };
  expect(concurrencyNow(slowed, MAX, NOW)).toBe(0);
  expect(concurrencyNow(afterEnd(slowed, "delivered", at(NOW)), MAX, NOW)).toBe(0);
  expect(concurrencyNow(slowed, MAX, NOW + 1_000)).toBe(MAX);
});

describe("an endpoint is given up", () => {
  test("after five days of nothing but failures", () => {
    expect(shouldDisable(broken, NOW + 5 * DAY_MS - 1)).toBe(false);
    expect(shouldDisable(broken, NOW + 5 * DAY_MS)).toBe(true);
  });

  test("never after fewer than five failures, nor when anything got through since", () => {
    expect(shouldDisable(ends(HEALTHY, "failed", 4), NOW + 50 * DAY_MS)).toBe(false);
    const worked = ends(ends(broken, "delivered", 1), "failed", 9, NOW + 4 * DAY_MS);
    expect(shouldDisable(worked, NOW + 8 * DAY_MS)).toBe(false);
    expect(shouldDisable(HEALTHY, NOW)).toBe(false);
  });
});

const step = fc.record({
  end: fc.constantFrom<"delivered" | "failed">("delivered", "failed"),
  waitMs: fc.integer({ min: 0, max: 1_000_000 }),
  chance: fc.double({ min: 0, max: 1, noNaN: true }),
});

/** Every state that these ends lead through. */
function walk(steps: { end: "delivered" | "failed"; waitMs: number; chance: number }[], max: number) {
  let now = NOW;
  let health = HEALTHY;
  return steps.map(({ end, waitMs, chance }) => {
    now += waitMs;
    const before = health;
    health = afterEnd(health, end, { now, maxConcurrency: max, random: () => chance });
    return { before, health, end, now };
  });
}

describe("whatever happens to an endpoint", () => {
  const steps = fc.array(step, { maxLength: 60 });
  const maxima = fc.integer({ min: 1, max: 100 });

  test("no more is let through than it takes, and never nothing for longer than twelve minutes", () => {
    fc.assert(
      fc.property(steps, maxima, (happened, max) => {
        for (const { health, now } of walk(happened, max)) {
          const allowed = concurrencyNow(health, max, now);
          expect(allowed).toBeGreaterThanOrEqual(0);
          expect(allowed).toBeLessThanOrEqual(max);
          expect(concurrencyNow(health, max, now + 720_000)).toBeGreaterThanOrEqual(1);
        }
      }),
    );
  });

  test("a delivery ends all that was held against it, and what follows brings it back to full rate", () => {
    fc.assert(
      fc.property(steps, maxima, (happened, max) => {
        const states = walk([...happened, ...Array(9).fill({ end: "delivered", waitMs: 0, chance: 0 })], max);
        for (const { health, end } of states) {
          if (end === "delivered")
            expect(health).toMatchObject({ failingSince: null, consecutiveFailures: 0 });
        }
        const last = states.at(-1);
        expect(last === undefined ? 0 : concurrencyNow(last.health, max, last.now)).toBe(max);
      }),
    );
  });

  test("a failure lets no more through than before it", () => {
    fc.assert(
      fc.property(steps, maxima, (happened, max) => {
        for (const { before, health, end, now } of walk(happened, max)) {
          if (end === "delivered") continue;
          expect(concurrencyNow(health, max, now)).toBeLessThanOrEqual(concurrencyNow(before, max, now));
          expect(health.failingSince?.getTime()).toBeLessThanOrEqual(now);
        }
      }),
    );
  });
});
