import { describe, expect, test } from "bun:test";
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { fieldsOf } from "../http/problem.ts";
import { contactFilter, type Filter, filter, isAboutContact, nodesRead } from "./filter.ts";
import { type FilterFacts, matches } from "./filter-matches.ts";

const NOW = new Date("2026-03-31T12:00:00.000Z");

function facts(
  more: Partial<FilterFacts["contact"]> = {},
  activity: FilterFacts["activity"] = [],
): FilterFacts {
  return {
    now: NOW,
    contact: {
      email: "Ann@Example.com",
      timeZone: "Europe/Paris",
      attributes: {},
      tags: ["vip"],
      createdAt: new Date("2026-01-01T00:00:00Z"),
      updatedAt: NOW,
      ...more,
    },
    activity,
    outputs: new Map([["hook", { status: 200, plan: { name: "pro" } }]]),
  };
}

const problems = (value: unknown) => fieldsOf(filter.safeParse(value).error?.issues ?? []);
const nest = (depth: number, leaf: unknown): unknown => (depth === 1 ? leaf : { not: nest(depth - 1, leaf) });

describe("a filter", () => {
  test.each<[unknown, string, string]>([
    ["vip", "body", "must be an object with one of all, any"],
    [{}, "body", "must be an object with one of all, any"],
    [{ not: { segment: "vip" } }, "not", "must be an object with one of all, any"],
    [{ tag: 5 }, "tag", "must be of type string, not number"],
    [
      { all: [{ tag: "vip" }, { tag: 5 }, { tag: 6 }, { any: 1 }] },
      "all.1.tag",
      "must be of type string, not number",
    ],
    [{ tag: "vip", any: [] }, "any", "is not a known field"],
    [{ not: { all: [{ attribute: "plan", is: "like" }] } }, "not.all.0.is", "must be one of equals"],
    [{ attribute: "a..b", is: "exists" }, "attribute", "must be 1 to 10 names"],
    [{ attribute: "plan", is: "exists", value: 1 }, "value", "must not be there with exists"],
    [{ attribute: "plan", is: "equals" }, "value", "is required with equals"],
    [{ attribute: "plan", is: "equals", value: ["a"] }, "value", "must be one value with equals"],
    [{ attribute: "plan", is: "equals", value: null }, "value", "must be text, a number, true or false"],
    [{ attribute: "plan", is: "equals", value: "a\0b" }, "value", "must be text without NUL characters"],
    [{ attribute: "plan", is: "in", value: "a" }, "value", "must be a list with in"],
    [{ attribute: "plan", is: "in", value: [] }, "value", "must not be empty"],
    [{ attribute: "age", is: "atLeast", value: "5" }, "value", "must be a number with atLeast"],
    [{ attribute: "born", is: "before", value: "yesterday" }, "value", "must be a time such as"],
    [{ attribute: "born", is: "before", value: "2026-02-29" }, "value", "must be a time such as"],
    [{ field: "name", is: "equals", value: "a" }, "field", "must be one of email"],
    [
      { field: "createdAt", is: "equals", value: "2026-01-01" },
      "is",
      "must be before or after for createdAt",
    ],
    [{ field: "email", is: "before", value: "2026-01-01" }, "is", "is not for email"],
    [{ field: "email", is: "atMost", value: 5 }, "is", "is not for email"],
    [{ field: "email", is: "in", value: ["a", 5] }, "value", "must be text"],
    [{ event: "opened" }, "event", "must be a type of event"],
    [{ event: "email_opened", within: "-P30D" }, "within", "must be an ISO 8601 duration"],
    [{ event: "email_opened", within: "P101Y" }, "within", "must be an ISO 8601 duration"],
    [{ event: "email_opened", campaignId: "x" }, "campaignId", "must be the id of a campaign"],
    [{ node: "a b", output: "status", is: "exists" }, "node", "must be the id of a node"],
  ])("%j is refused, and the field named", (given, field, reason) => {
    expect(problems(given)[0]).toEqual({ field, reason: expect.stringContaining(reason) });
  });

  test("may be 10 deep and have 100 conditions", () => {
    expect(problems(nest(10, { tag: "vip" }))).toEqual([]);
    expect(problems({ all: Array.from({ length: 100 }, () => ({ tag: "vip" })) })).toEqual([]);
  });

  test("that is deeper or has more is refused where that begins", () => {
    expect(problems({ any: [{ tag: "vip" }, nest(10, { tag: "vip" })] })).toEqual([
      { field: `any.1${".not".repeat(9)}`, reason: "must be at most 10 deep" },
    ]);
    const half = { any: Array.from({ length: 51 }, () => ({ all: [] })) };
    expect(problems({ all: [half, half] })).toEqual([
      { field: "body", reason: "must have at most 100 conditions, not 102" },
    ]);
  });

  test("says which nodes it reads, and whether it is about the contact alone", () => {
    const hook: Filter = { node: "hook", output: "status", is: "exists" };
    const asked: Filter = {
      all: [{ tag: "vip" }, { not: { any: [hook, hook, { ...hook, node: "split" }] } }],
    };
    expect(nodesRead(asked)).toEqual(["hook", "split"]);
    expect([isAboutContact(asked), isAboutContact({ not: { tag: "vip" } })]).toEqual([false, true]);
  });

  test("about the contact alone refuses a node, and names it", () => {
    const hook: Filter = { node: "hook", output: "status", is: "exists" };
    expect(contactFilter.safeParse({ not: { tag: "vip" } }).success).toBe(true);
    expect(
      fieldsOf(contactFilter.safeParse({ any: [{ tag: "vip" }, { not: hook }] }).error?.issues ?? []),
    ).toEqual([{ field: "any.1.not.node", reason: "is only for the condition of a campaign" }]);
  });

  test("is one schema in OpenAPI that refers to itself", () => {
    const app = new OpenAPIHono();
    const body = { content: { "application/json": { schema: z.object({ filter }) } } };
    const route = {
      method: "post",
      path: "/",
      request: { body },
      responses: { 200: { description: "" } },
    } as const;
    app.openapi(createRoute(route), (c) => c.body(null, 200));
    const schemas = app.getOpenAPI31Document({ openapi: "3.1.0", info: { title: "", version: "" } })
      .components?.schemas;
    expect(schemas?.Filter).toMatchObject({
      anyOf: expect.arrayContaining([{ $ref: "#/components/schemas/AllFilter" }]),
    });
    expect(schemas?.AllFilter).toMatchObject({
      properties: { all: { items: { $ref: "#/components/schemas/Filter" } } },
    });
  });
});

describe("a filter fits", () => {
  test.each<[boolean, Filter, FilterFacts["contact"]["attributes"]]>([
    [true, { all: [] }, {}],
    [false, { any: [] }, {}],
    [true, { attribute: "plan", is: "equals", value: "pro" }, { plan: "pro" }],
    [false, { attribute: "plan", is: "equals", value: "Pro" }, { plan: "pro" }],
    [false, { attribute: "age", is: "equals", value: "5" }, { age: 5 }],
    [true, { attribute: "age", is: "notEquals", value: "5" }, { age: 5 }],
    [true, { attribute: "plan", is: "notEquals", value: "pro" }, {}],
    [true, { attribute: "plan", is: "notIn", value: ["pro"] }, { plan: null }],
    [false, { attribute: "plan", is: "in", value: ["pro"] }, {}],
    [true, { attribute: "plan", is: "missing" }, { plan: null }],
    [true, { attribute: "a.b.c", is: "exists" }, { a: { b: { c: false } } }],
    [false, { attribute: "a.0", is: "exists" }, { a: ["x"] }],
    [false, { attribute: "toString", is: "exists" }, {}],
    [true, { attribute: "likes", is: "contains", value: "tea" }, { likes: ["tea", 5] }],
    [true, { attribute: "likes", is: "contains", value: "te" }, { likes: "tea" }],
    [false, { attribute: "likes", is: "contains", value: "te" }, { likes: ["tea"] }],
    [false, { attribute: "age", is: "greaterThan", value: 5 }, { age: "6" }],
    [true, { attribute: "age", is: "atLeast", value: 5 }, { age: 5 }],
    [true, { attribute: "born", is: "before", value: "2000-01-01" }, { born: "1999-12-31T23:59:59Z" }],
    [true, { attribute: "born", is: "before", value: "2000-01-01" }, { born: "2000-01-01T00:30+01:00" }],
    [false, { attribute: "born", is: "before", value: "2000-01-01" }, { born: "31.12.1999" }],
    [true, { attribute: "renews", is: "before", value: "P7D" }, { renews: "2026-04-07" }],
    // A month before 31 March is the last day of February, as PostgreSQL has it.
    [true, { attribute: "seen", is: "after", value: "-P1M" }, { seen: "2026-02-28T12:00:01Z" }],
    [false, { attribute: "seen", is: "after", value: "-P1M" }, { seen: "2026-02-28T12:00:00Z" }],
    [false, { attribute: "seen", is: "before", value: "-P1M" }, { seen: "2026-02-28T12:00:00Z" }],
    [true, { field: "email", is: "equals", value: "ANN@example.com" }, {}],
    [true, { field: "emailDomain", is: "in", value: ["example.com"] }, {}],
    [true, { field: "createdAt", is: "before", value: "-P30D" }, {}],
    [true, { node: "hook", output: "plan.name", is: "equals", value: "pro" }, {}],
    [true, { node: "other", output: "status", is: "missing" }, {}],
  ])("%p: %j with %j", (expected, asked, attributes) => {
    expect(problems(asked)).toEqual([]);
    expect(matches(asked, facts({ attributes }))).toBe(expected);
  });

  test("by what people did, not machines, within the time and as often as asked", () => {
    const opened = { type: "email_opened", campaignId: null, agent: "human" } as const;
    const activity = [
      { ...opened, at: new Date("2026-03-01T11:59:59Z") },
      { ...opened, at: new Date("2026-03-01T12:00:00Z") },
      { ...opened, at: NOW, agent: "scanner" as const },
    ];
    const fits = (asked: Filter) => matches(asked, facts({}, activity));
    expect(fits({ event: "email_opened", within: "P30D" })).toBe(true);
    expect(fits({ event: "email_opened", within: "P29D" })).toBe(false);
    expect(fits({ event: "email_opened", within: "P30D", atLeast: 2 })).toBe(false);
    expect(fits({ event: "email_opened", atLeast: 2 })).toBe(true);
    expect(fits({ event: "email_clicked" })).toBe(false);
  });
});
