import { expect, test } from "bun:test";
import fc from "fast-check";
import { jsonErrorOffset } from "./json-position.ts";

test.each([
  ["", 0],
  ["{", 1],
  ['{"a":1,}', 7],
  ["[1,]", 3],
  ["[1 2]", 3],
  ['{"a" 1}', 5],
  ["{a:1}", 1],
  ["{'a':1}", 1],
  ['"a\nb"', 2],
  ['"a\\x"', 2],
  ['"a', 2],
  ["01", 1],
  ["+1", 0],
  ["tru", 0],
  ["[}", 1],
  ["{]", 1],
  ["{}{}", 2],
  ["NaN", 0],
])("%j stops being JSON at %d", (text, offset) => {
  expect(() => JSON.parse(text)).toThrow();
  expect(jsonErrorOffset(text)).toBe(offset);
});

test("JSON followed by anything is wrong just there", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      expect(jsonErrorOffset(`${text}!`)).toBe(text.length);
    }),
  );
});

test("JSON without its last bracket is wrong at its end", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify([value]).slice(0, -1);
      expect(jsonErrorOffset(text)).toBe(text.length);
    }),
  );
});
