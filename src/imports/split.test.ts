import { expect, test } from "bun:test";
import fc from "fast-check";
import { type LineEnd, type Span, splitRecords } from "./split.ts";

const LIMITS = { records: 1_000, chars: 1_000_000, recordChars: 200 };

function lines(text: string, lineEnd: LineEnd = "\n", limits = LIMITS): [string, string | null][] {
  return splitRecords(text, 0, lineEnd, limits, true).map(({ start, end, fault }) => [
    text.slice(start, end),
    fault,
  ]);
}

const quoted = (cell: string) => `"${cell.replaceAll('"', '""')}"`;

test("a quoted cell may go over several lines", () => {
  expect(lines('a,"b\r\nc"\r\nd,e\r\n')).toEqual([
    ['a,"b\r\nc"', null],
    ["d,e", null],
  ]);
});

test("the last line needs no end", () => {
  expect(lines("a\nb")).toEqual([
    ["a", null],
    ["b", null],
  ]);
});

test("a quote that is never closed costs its own line only", () => {
  const after = Array.from({ length: 50 }, (_, n) => `${n},"x, ${n}"`);
  expect(lines(['1,"broken', ...after].join("\n"))).toEqual([
    ['1,"broken', "quote_not_closed"],
    ...after.map((line): [string, null] => [line, null]),
  ]);
});

test("a line that is too long is one record with a fault, and the next is read as it is", () => {
  expect(lines(`${"x".repeat(201)}\nb`)).toEqual([
    ["x".repeat(201), "too_long"],
    ["b", null],
  ]);
});

test("a text that ends within its first record gives nothing until there is more", () => {
  expect(splitRecords("a,b", 0, "\n", LIMITS, false)).toEqual([]);
  expect(splitRecords('a,"b\nc\n', 0, "\n", LIMITS, false)).toEqual([]);
  expect(splitRecords("a,b\nc", 0, "\n", LIMITS, false)).toHaveLength(1);
});

const cell = fc.string({ unit: fc.constantFrom("a", '"', ",", "\n", "\r", "é", " "), maxLength: 12 });
const table = fc.array(fc.array(cell.map(quoted), { minLength: 1, maxLength: 3 }), { maxLength: 20 });

test("whatever is in the cells, a file that is written rightly is cut where its records end", () => {
  fc.assert(
    fc.property(table, fc.constantFrom("\n", "\r\n"), (rows, end) => {
      const records = rows.map((cells) => cells.join(","));
      const text = records.map((record) => `${record}${end}`).join("");
      expect(lines(text)).toEqual(records.map((record) => [record, null]));
    }),
  );
});

test("whatever is in a file, every character of it is in one record, and none is cut twice", () => {
  const anything = fc.string({ unit: fc.constantFrom("a", '"', ",", "\n", "\r"), maxLength: 300 });
  fc.assert(
    fc.property(anything, fc.integer({ min: 1, max: 40 }), (text, recordChars) => {
      const spans = walk(text, recordChars);
      expect(spans.map(({ start }) => start)).toEqual(
        [0, ...spans.slice(0, -1).map(({ next }) => next)].slice(0, spans.length),
      );
      expect(spans.at(-1)?.next ?? 0).toBe(text.length);
    }),
  );
});

function walk(text: string, recordChars: number): Span[] {
  return splitRecords(text, 0, "\n", { ...LIMITS, recordChars }, true);
}
