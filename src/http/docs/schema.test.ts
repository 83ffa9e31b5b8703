import { expect, test } from "bun:test";
import { fieldTables } from "./schema.ts";

test("a schema that holds itself is opened once", () => {
  const filter = { $ref: "#/components/schemas/Filter" };
  const schemas = {
    Segment: { type: "object", properties: { filter } },
    Filter: { anyOf: [{ $ref: "#/components/schemas/All" }, { $ref: "#/components/schemas/Tag" }] },
    All: { type: "object", properties: { all: { type: "array", items: filter } } },
    Tag: { type: "object", properties: { tag: { type: "string" } } },
  };
  const tables = fieldTables({ $ref: "#/components/schemas/Segment" }, schemas);
  expect(tables.flatMap((table) => table.rows.map((row) => row.path))).toEqual([
    "filter",
    "filter.all",
    "filter.tag",
  ]);
});
