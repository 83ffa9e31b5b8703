import { expect, test } from "bun:test";
import { retryDelayMs } from "./retry.ts";

const HOUR_MS = 3_600_000;

test("a deferred message is tried nine times in a day or so, ever more rarely", () => {
  const delays = Array.from({ length: 8 }, (_, index) => retryDelayMs(index + 1, 0.5) ?? 0);
  expect(delays[0]).toBe(60_000);
  expect(delays).toEqual(delays.toSorted((a, b) => a - b));
  const total = delays.reduce((sum, delay) => sum + delay, 0);
  expect(total).toBeGreaterThan(20 * HOUR_MS);
  expect(total).toBeLessThan(26 * HOUR_MS);
  expect(retryDelayMs(9, 0.5)).toBeNull();
});

test("delays are spread by a fifth both ways", () => {
  expect([0, 1].map((random) => retryDelayMs(1, random))).toEqual([48_000, 72_000]);
});
