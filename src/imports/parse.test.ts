import { expect, test } from "bun:test";
import { parseRecords } from "./parse.ts";
import { splitRecords } from "./split.ts";

const LIMITS = { records: 1_000, chars: 1_000_000, recordChars: 100_000 };

function read(text: string, maxCells = 3, separator = ",") {
  const spans = splitRecords(text, 0, "\n", LIMITS, true);
  return parseRecords(text, spans, { separator, lineEnd: "\n" }, maxCells);
}

test("spaces around a cell do not count, those in its quotes do", () => {
  expect(read('a , " b ",c\n')).toEqual([{ cells: ["a", " b ", "c"] }]);
});

test("empty cells beyond the last column do not count, others are a fault", () => {
  expect(read("a,b,c,,\na,b,c,d\n")).toEqual([{ cells: ["a", "b", "c"] }, { fault: "too_many_cells" }]);
});

test("one line written wrongly leaves the others as they are", () => {
  expect(read('a,b\n"a"x,b\na,b"c"\nd,e\n')).toEqual([
    { cells: ["a", "b"] },
    { fault: "bad_quote" },
    { fault: "bad_quote" },
    { cells: ["d", "e"] },
  ]);
});

test("two broken quotes do not swallow what is between them: the first line alone is refused", () => {
  const text = 'a,"b\nc,d\ne,"f\n';
  expect(read(text)).toEqual([{ fault: "bad_quote" }]);
  const [span] = splitRecords(text, 0, "\n", LIMITS, true);
  expect(text.slice(span?.secondLine)).toBe('c,d\ne,"f\n');
});

test("empty lines are records without cells", () => {
  expect(read("a\n\n  \nb\n")).toEqual([
    { cells: ["a"] },
    { cells: [""] },
    { cells: [""] },
    { cells: ["b"] },
  ]);
});
