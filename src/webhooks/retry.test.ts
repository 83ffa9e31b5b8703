import { expect, test } from "bun:test";
import fc from "fast-check";
import { DEFAULT_SCHEDULE_S, MAX_AGE_S, nextDelay, type Tried } from "./retry.ts";

const HOUR_S = 3_600;
const tried = (change: Partial<Tried>): Tried => ({
  schedule: null,
  attemptsOfSchedule: 1,
  retryAfterS: null,
  ageS: 0,
  random: () => 0.5,
  ...change,
});

test("a delivery that fails is tried ten times in three days or so, ever more rarely", () => {
  const delays = Array.from({ length: 9 }, (_, index) => nextDelay(tried({ attemptsOfSchedule: index + 1 })));
  expect(delays).toEqual([5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]);
  expect(nextDelay(tried({ attemptsOfSchedule: 10 }))).toBeNull();
});

test("waits are spread by a fifth both ways", () => {
  const delays = [0, 1].map((chance) => nextDelay(tried({ attemptsOfSchedule: 2, random: () => chance })));
  expect(delays.map((delay) => Math.round(delay ?? 0))).toEqual([240, 360]);
});

test("an endpoint's own schedule takes the place of the default", () => {
  const schedule = [0, 10, 20];
  const delays = [1, 2, 3].map((attemptsOfSchedule) => nextDelay(tried({ schedule, attemptsOfSchedule })));
  expect(delays).toEqual([10, 20, null]);
});

test("a server that asks for an hour gets it, and one that asks for less than the schedule gets the schedule", () => {
  expect(nextDelay(tried({ retryAfterS: HOUR_S }))).toBe(HOUR_S);
  expect(nextDelay(tried({ attemptsOfSchedule: 4, retryAfterS: 1 }))).toBe(2 * HOUR_S);
});

test("a server that asks for longer than a delivery lives is not tried again", () => {
  expect(nextDelay(tried({ retryAfterS: MAX_AGE_S }))).toBe(MAX_AGE_S);
  expect(nextDelay(tried({ retryAfterS: MAX_AGE_S + 1 }))).toBeNull();
  expect(nextDelay(tried({ retryAfterS: HOUR_S, ageS: MAX_AGE_S - HOUR_S + 1 }))).toBeNull();
});

test("a wait that would pass the maximal age ends there, and past it there is none", () => {
  expect(nextDelay(tried({ attemptsOfSchedule: 9, ageS: MAX_AGE_S - HOUR_S }))).toBe(HOUR_S);
  expect(nextDelay(tried({ ageS: MAX_AGE_S }))).toBeNull();
});

const anyTried = fc.record({
  schedule: fc.option(fc.array(fc.integer({ min: 0, max: 86_400 }), { minLength: 1, maxLength: 30 })),
  attemptsOfSchedule: fc.integer({ min: 1, max: 40 }),
  retryAfterS: fc.option(fc.double({ min: 0, max: 2 * MAX_AGE_S, noNaN: true })),
  ageS: fc.double({ min: 0, max: 2 * MAX_AGE_S, noNaN: true }),
  chance: fc.double({ min: 0, max: 1, noNaN: true }),
});

test("whatever is asked for, a delay is never shorter than Retry-After, later than the maximal age or after the schedule's end", () => {
  fc.assert(
    fc.property(anyTried, ({ chance, ...rest }) => {
      const delay = nextDelay({ ...rest, random: () => chance });
      const schedule = rest.schedule ?? DEFAULT_SCHEDULE_S;
      const isOver = rest.attemptsOfSchedule >= schedule.length || rest.ageS >= MAX_AGE_S;
      if (delay === null) return isOver || (rest.retryAfterS ?? 0) > MAX_AGE_S - rest.ageS;
      const wait = schedule[rest.attemptsOfSchedule] ?? Number.NaN;
      const isSpread = delay <= Math.max(wait * 1.2001, rest.retryAfterS ?? 0);
      return !isOver && isSpread && delay >= (rest.retryAfterS ?? 0) && delay <= MAX_AGE_S - rest.ageS;
    }),
  );
});

test("whatever fails for ever, it comes to an end", () => {
  const waits = fc.array(fc.option(fc.integer({ min: 0, max: 86_400 })), { minLength: 40, maxLength: 40 });
  fc.assert(
    fc.property(waits, fc.double({ min: 0, max: 1, noNaN: true }), (asked, chance) => {
      let ageS = 0;
      for (const [index, retryAfterS] of asked.entries()) {
        const attemptsOfSchedule = index + 1;
        const delay = nextDelay(tried({ attemptsOfSchedule, retryAfterS, ageS, random: () => chance }));
        if (delay === null) return ageS <= MAX_AGE_S;
        ageS += delay;
      }
      return false;
    }),
  );
});
