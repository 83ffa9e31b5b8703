import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createRateLimit } from "./rate-limit.ts";

const rates = fc.oneof(fc.double({ min: 0.01, max: 50, noNaN: true }), fc.integer({ min: 1, max: 10_000 }));
const steps = fc.array(
  fc.record({
    waitMs: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 5_000 })),
    wanted: fc.integer({ min: 0, max: 500 }),
    unused: fc.integer({ min: 0, max: 500 }),
  }),
  { maxLength: 60 },
);

describe("a rate limit", () => {
  const played = (rate: number, taken: { waitMs: number; wanted: number; unused: number }[]) => {
    const limit = createRateLimit(rate, 0);
    let now = 0;
    return taken.map(({ waitMs, wanted, unused }) => {
      now += waitMs;
      const granted = limit.take(now, wanted);
      const back = Math.min(unused, granted);
      limit.giveBack(back);
      return { at: now, count: granted - back };
    });
  };

  test("lets no more go, in any second from the first on, than the rate rounded up", () => {
    fc.assert(
      fc.property(rates, steps, (rate, taken) => {
        const sent = played(rate, taken);
        for (const [start, { at: from }] of sent.entries()) {
          const inSecond = sent.slice(start).filter(({ at }) => at < from + 1_000);
          expect(inSecond.reduce((sum, { count }) => sum + count, 0)).toBeLessThanOrEqual(
            Math.max(1, Math.ceil(rate)),
          );
        }
      }),
    );
  });

  test("lets no more go, over any time, than the rate times it and what was saved in a second", () => {
    fc.assert(
      fc.property(rates, steps, (rate, taken) => {
        const sent = played(rate, taken);
        for (const [start, { at: from }] of sent.entries()) {
          let count = 0;
          for (const { at, count: more } of sent.slice(start)) {
            count += more;
            expect(count).toBeLessThanOrEqual(Math.max(1, rate) + ((at - from) / 1000) * rate + 1e-6);
          }
        }
      }),
    );
  });

  test("lets as much go in the long run as the rate says, for whoever waits as long as he is told", () => {
    fc.assert(
      fc.property(rates, (rate) => {
        const limit = createRateLimit(rate, 0);
        const untilMs = Math.max(10_000, 20_000 / rate);
        let now = 0;
        let sent = 0;
        while (now < untilMs) {
          sent += limit.take(now, 1_000_000);
          now += Math.max(1, limit.waitMs(now));
        }
        // Times are whole milliseconds: at most one of them is lost for every token.
        const perToken = Math.ceil(1000 / rate) + 1;
        expect(sent).toBeGreaterThanOrEqual(Math.floor(Math.min(untilMs / perToken, untilMs)));
      }),
      { numRuns: 50 },
    );
  });

  test("of less than one a second still lets one go now and then", () => {
    const limit = createRateLimit(0.1, 0);
    expect(limit.take(0, 5)).toBe(1);
    expect(limit.waitMs(0)).toBe(10_000);
    expect(limit.take(9_999, 5)).toBe(0);
    expect(limit.take(10_000, 5)).toBe(1);
  });

  test("gives nothing away when the clock is set back, and goes on from there", () => {
    const limit = createRateLimit(2, 1_000_000);
    expect(limit.take(1_000_000, 2)).toBe(2);
    expect(limit.take(0, 2)).toBe(0);
    expect(limit.take(1_000, 2)).toBe(2);
  });
});
