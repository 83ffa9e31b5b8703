import { expect, test } from "bun:test";
import { describeRebuilt } from "./replay.ts";

const table = { table: "activity", live: 10, rebuilt: 10, missing: 0, extra: 0, different: 0, examples: [] };

test("what is the same is said in one sentence below the counts", () => {
  const lines = describeRebuilt({ position: 10, tables: [table] });
  expect(lines.at(-1)).toBe("All is as the log says.");
  expect(lines[0]).toContain("activity");
});

test("what is not the same is named by its keys", () => {
  const tables = [{ ...table, live: 9, missing: 1, examples: [{ customer_id: "a", id: "b" }] }];
  const lines = describeRebuilt({ position: 10, tables });
  expect(lines.at(-1)).toBe('  activity {"customer_id":"a","id":"b"}');
  expect(lines.at(-2)).toContain("Not all");
});
