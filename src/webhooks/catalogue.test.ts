import { describe, expect, test } from "bun:test";
import { catalogueEntry, exampleTold, payloadSchema } from "./catalogue.ts";
import { CATALOGUE_TYPES } from "./catalogue-types.ts";
import { customEvent } from "./format/custom.ts";

const about = {
  customerId: "01989c2a-7d3c-7cc3-98c4-dc0c0c073910",
  eventId: "01989c2a-7d3c-7cc3-98c4-dc0c0c073911",
  at: new Date("2026-03-06T20:00:26.893Z"),
};

describe.each([...CATALOGUE_TYPES])("the catalogue's %s", (type) => {
  test("has an example that is what its schema says", () => {
    const told = customEvent(exampleTold(type, about), { isTest: true });
    for (const body of [told, catalogueEntry(type).example]) {
      const wire = JSON.parse(JSON.stringify(body));
      expect(wire).toEqual(payloadSchema(type).parse(wire));
    }
  });

  test("has a schema that asks for everything that is always there, and takes what is added later", () => {
    const { schema, example } = catalogueEntry(type);
    expect(schema).toMatchObject({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      required: ["type", "timestamp", "data"],
      properties: { type: { const: type } },
    });
    const { data } = payloadSchema(type).parse({ ...example, new: 1 });
    expect(data).toBeDefined();
    const { data: _, ...without } = example;
    expect(payloadSchema(type).safeParse(without).success).toBe(false);
  });
});
