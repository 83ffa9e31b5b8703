import { expect, test } from "bun:test";
import fc from "fast-check";
import { cut, cutEscaped, tidy, tidyLines } from "./cut.ts";

test.each([
  ["abc", 3, "abc"],
  ["abcd", 3, "ab…"],
  ["a😀b", 3, "a…"],
  ["😀😀", 4, "😀😀"],
  ["😀😀😀", 4, "😀…"],
])("%p in %i is %p", (text, max, expected) => expect(cut(text, max)).toBe(expected));

test("an escape is never cut in halves", () => {
  expect(cutEscaped("ab&amp;cd", 7, /&(?:amp|lt|gt);|./gsu)).toBe("ab…");
  expect(cutEscaped("a\\*b", 3, /\\.|./gsu)).toBe("a…");
  expect(cutEscaped("\\😀😀", 4, /\\.|./gsu)).toBe("\\😀…");
});

test("a cut text is never longer than it may be, and never has half a character", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 2, max: 30 }), (text, max) => {
      for (const short of [
        cut(text, max),
        cutEscaped(text, max, /\\.|./gsu),
        tidy(text, max),
        tidyLines(text, max),
      ]) {
        expect(short.length).toBeLessThanOrEqual(max);
        expect(short.isWellFormed()).toBe(true);
      }
      if (text.length > max) expect(cut(text, max)).toEndWith("…");
    }),
  );
});

test("other people's text comes on one line, in its own direction", () => {
  expect(tidy(" a\r\n\u2028b\0\tc \u202Ed\u2066 ", 50)).toBe("a b c d");
  expect(tidy("\uD83D!", 50)).toBe("\uFFFD!");
});

test("lines stay lines, without empty ones", () => {
  expect(tidyLines("a\r\n\r\n b \n\n\nc", 50)).toBe("a\nb\nc");
});
