import { expect, test } from "bun:test";
import { createSlots } from "./slots.ts";

/** Work that ends when it is told to. */
function work() {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let hasBegun = false;
  const begin = () => {
    hasBegun = true;
    return promise;
  };
  return { begin, end: resolve, fail: reject, hasBegun: () => hasBegun };
}

test("so much is under way at a time, what comes next waits in its order, and what is more is not begun", async () => {
  const inSlot = createSlots({ slots: 2, maxWaiting: 2 });
  const works = Array.from({ length: 5 }, work);
  const results = works.map(({ begin }) => inSlot(begin));
  expect(await results[4]).toBeNull();
  expect(works.map(({ hasBegun }) => hasBegun())).toEqual([true, true, false, false, false]);
  works[1]?.end("second");
  expect(await results[1]).toBe("second");
  expect(works.map(({ hasBegun }) => hasBegun())).toEqual([true, true, true, false, false]);
  for (const [place, { end }] of works.entries()) end(String(place));
  expect(await Promise.all(results)).toEqual(["0", "second", "2", "3", null]);
});

test("what fails gives its place back", async () => {
  const inSlot = createSlots({ slots: 1, maxWaiting: 0 });
  await expect(inSlot(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await inSlot(async () => "yes")).toBe("yes");
});
