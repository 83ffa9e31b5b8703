import { expect, test } from "bun:test";
import fc from "fast-check";
import { retryAfterSeconds } from "./retry-after.ts";

const NOW = Date.parse("1994-11-06T08:48:37Z");

test.each([
  ["0", 0],
  ["120", 120],
  [" 3600 ", 3_600],
  ["1.5", 1.5],
  ["Sun, 06 Nov 1994 08:49:37 GMT", 60],
  ["Sunday, 06-Nov-94 08:49:37 GMT", 60],
  ["Sun Nov  6 08:49:37 1994", 60],
  ["Sun, 06 Nov 1994 08:00:00 GMT", 0],
])("%p asks for %p seconds", (header, seconds) => {
  expect(retryAfterSeconds(header, NOW)).toBe(seconds);
});

test.each([
  [undefined],
  [""],
  ["soon"],
  ["-5"],
  ["1e3"],
  ["Infinity"],
  ["120, 120"],
  ["1994-11-06"],
  ["Sun, 06 Foo 1994 08:49:37 GMT"],
  ["Sun, 06 Nov 1994 08:49:37 CET"],
])("%p asks for nothing that can be understood", (header) => {
  expect(retryAfterSeconds(header, NOW)).toBeNull();
});

test("a year of two digits is the one nearby", () => {
  const now = Date.parse("2099-12-31T23:59:00Z");
  expect(retryAfterSeconds("Friday, 01-Jan-00 00:00:00 GMT", now)).toBe(60);
  expect(retryAfterSeconds("Friday, 31-Dec-99 23:59:30 GMT", now)).toBe(30);
});

test("a date and the seconds until then ask for the same", () => {
  const moments = fc.integer({ min: 0, max: 4_000_000_000 });
  fc.assert(
    fc.property(moments, fc.integer({ min: 0, max: 100_000_000 }), (nowS, seconds) => {
      const date = new Date((nowS + seconds) * 1_000).toUTCString();
      expect(retryAfterSeconds(date, nowS * 1_000)).toBe(seconds);
      expect(retryAfterSeconds(String(seconds), nowS * 1_000)).toBe(seconds);
    }),
  );
});

test("no number of digits is too many to be a moment", () => {
  const seconds = retryAfterSeconds("9".repeat(400), NOW) ?? Number.NaN;
  expect(new Date(NOW + seconds * 1_000).getTime()).toBeGreaterThan(NOW);
});
