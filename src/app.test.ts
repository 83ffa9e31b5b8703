import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import { createTestDatabase, type TestDatabase } from "../test/support/database.ts";
import { assembleWholeApp } from "../test/support/whole-app.ts";

type Schema = { [key: string]: unknown };
type Operation = {
  name: string;
  summary: string | undefined;
  tags: string[];
  operationId: string | undefined;
  parameters: { name: string; in: string; schema: Schema; isExplained: boolean }[];
  /** Of request and answers, each with where it stands. */
  bodies: { at: string; schema: Schema }[];
  statuses: string[];
};

const anything = z.record(z.string(), z.unknown());
const content = z.record(z.string(), z.object({ schema: anything.default({}) })).default({});
const document = z.object({
  components: z.object({ schemas: z.record(z.string(), anything) }),
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        summary: z.string().optional(),
        operationId: z.string().optional(),
        tags: z.array(z.string()).default([]),
        parameters: z
          .array(
            z.object({
              name: z.string(),
              in: z.string(),
              schema: anything,
              description: z.string().optional(),
              example: z.unknown().optional(),
            }),
          )
          .default([]),
        requestBody: z.object({ content }).optional(),
        responses: z.record(z.string(), z.object({ content })),
      }),
    ),
  ),
});

let operations: Operation[] = [];
let schemas: Record<string, Schema> = {};
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  const app = assembleWholeApp(database);
  const answer = await app.fetch(new Request("http://localhost/openapi.json"), { ip: null });
  const read = document.parse(await answer.json());
  schemas = read.components.schemas;
  operations = Object.entries(read.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      summary: operation.summary,
      operationId: operation.operationId,
      tags: operation.tags,
      parameters: operation.parameters.map((parameter) => ({
        name: parameter.name,
        in: parameter.in,
        schema: parameter.schema,
        isExplained: parameter.description !== undefined || parameter.example !== undefined,
      })),
      bodies: [
        ...schemasOf("request", operation.requestBody?.content),
        ...Object.entries(operation.responses).flatMap(([status, response]) =>
          schemasOf(status, response.content),
        ),
      ],
      statuses: Object.keys(operation.responses),
    })),
  );
});

afterAll(() => database.close());

function schemasOf(where: string, of: z.output<typeof content> = {}): { at: string; schema: Schema }[] {
  return Object.entries(of).flatMap(([type, { schema }]) =>
    /json/.test(type) ? [{ at: `${where} ${type}`, schema }] : [],
  );
}

/** Where a reader of the schema is left to guess what a value looks like. */
function withoutExample(schema: Schema, at: string, within: readonly string[] = []): string[] {
  const reference = typeof schema.$ref === "string" ? schema.$ref.split("/").at(-1) : undefined;
  if (reference !== undefined) {
    const target = schemas[reference];
    if (target === undefined) return [`${at}: ${reference} is not there`];
    return within.includes(reference) ? [] : withoutExample(target, at, [...within, reference]);
  }
  const known = ["example", "examples", "default", "enum", "const"];
  if (known.some((key) => key in schema) || schema.format === "password") return [];
  // A reference that is described anew stands beside its description, which is no schema of its own.
  const parts = ["anyOf", "oneOf", "allOf"]
    .flatMap((key) => list(schema[key]))
    .filter((part) => "$ref" in part || "type" in part);
  if (parts.length > 0) return parts.flatMap((part) => withoutExample(part, at, within));
  const properties = Object.entries(anything.safeParse(schema.properties).data ?? {});
  if (properties.length > 0)
    return properties.flatMap(([name, value]) =>
      withoutExample(anything.parse(value), `${at}.${name}`, within),
    );
  if (schema.type === "array") return withoutExample(anything.parse(schema.items ?? {}), `${at}[]`, within);
  return schema.type === "boolean" || schema.type === "null" ? [] : [at];
}

function list(value: unknown): Schema[] {
  return z.array(anything).safeParse(value).data ?? [];
}

describe("the OpenAPI document", () => {
  test("has a summary, a tag and an id of its own for every operation", () => {
    const bare = operations.filter((of) => !of.summary || of.tags.length === 0 || !of.operationId);
    expect(bare.map(({ name }) => name)).toEqual([]);
    const ids = operations.map(({ operationId }) => operationId);
    expect(ids.length).toBe(new Set(ids).size);
  });

  test("says what every operation answers when it is refused", () => {
    const silent = operations.filter(({ statuses }) => !statuses.some((status) => status.startsWith("4")));
    expect(silent.map(({ name }) => name)).toEqual([]);
  });

  test("shows an example of everything that is sent and answered", () => {
    const guesses = operations.flatMap(({ name, bodies }) =>
      bodies.flatMap(({ at, schema }) => withoutExample(schema, `${name} ${at}`)),
    );
    expect([...new Set(guesses)]).toEqual([]);
  });

  test("explains every parameter or shows an example of it", () => {
    const guesses = operations.flatMap(({ name, parameters }) =>
      parameters
        .filter(({ isExplained, schema }) => !isExplained && withoutExample(schema, "").length > 0)
        .map((parameter) => `${name} ${parameter.in} ${parameter.name}`),
    );
    expect(guesses).toEqual([]);
  });
});
