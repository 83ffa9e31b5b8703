import { z } from "zod";
import { EVENT_TYPES, type EventType, type Json } from "../events/event.ts";
import { momentProblem, spanProblem } from "./moment.ts";

/**
 * What an attribute, a field or an output may be asked. A value that is missing (or null) fits only `missing`,
 * `notEquals` and `notIn`; types don't convert, and strings compare exactly.
 */
export const OPERATORS = [
  "equals",
  "notEquals",
  "in",
  "notIn",
  "contains",
  "startsWith",
  "exists",
  "missing",
  "greaterThan",
  "atLeast",
  "lessThan",
  "atMost",
  "before",
  "after",
] as const;

export const FIELDS = ["email", "emailDomain", "timeZone", "createdAt", "updatedAt"] as const;

export const MAX_FILTER_DEPTH = 10;
export const MAX_FILTER_LEAVES = 100;
const MAX_PATH_LENGTH = 200;
const MAX_PATH_SEGMENTS = 10;
const MAX_TEXT_LENGTH = 1_000;
const MAX_VALUES = 100;
const MAX_AT_LEAST = 1_000;

export type Operator = (typeof OPERATORS)[number];
export type Scalar = string | number | boolean;
export type Comparison = { is: Operator; value?: Scalar | Scalar[] | undefined };

export type AttributeFilter = { attribute: string } & Comparison;
export type TagFilter = { tag: string };
export type FieldFilter = { field: (typeof FIELDS)[number] } & Comparison;
export type EventFilter = {
  event: EventType;
  within?: string | undefined;
  campaignId?: string | undefined;
  atLeast?: number | undefined;
};
export type NodeFilter = { node: string; output: string } & Comparison;
export type LeafFilter = AttributeFilter | TagFilter | FieldFilter | EventFilter | NodeFilter;
/** A question about a contact, and in a campaign also about what earlier nodes gave for it. */
export type Filter = { all: Filter[] } | { any: Filter[] } | { not: Filter } | LeafFilter;

const text = z
  .string()
  .max(MAX_TEXT_LENGTH, `must have at most ${MAX_TEXT_LENGTH} characters`)
  // Neither can be stored, so neither can be found.
  .refine((value) => value.isWellFormed() && !value.includes("\0"), "must be text without NUL characters");

const path = text
  .max(MAX_PATH_LENGTH, `must have at most ${MAX_PATH_LENGTH} characters`)
  .refine(
    (value) => value.split(".").length <= MAX_PATH_SEGMENTS && value.split(".").every((name) => name !== ""),
    `must be 1 to ${MAX_PATH_SEGMENTS} names with dots between them`,
  );

const scalar = z.union([text, z.number(), z.boolean()], {
  error: ({ input }) =>
    ["string", "number", "boolean"].includes(typeof input)
      ? undefined
      : "must be text, a number, true or false",
});

const comparison = {
  is: z.enum(OPERATORS, { error: `must be one of ${OPERATORS.join(", ")}` }).meta({ example: "equals" }),
  value: z
    .union([
      scalar,
      z.array(scalar).min(1, "must not be empty").max(MAX_VALUES, `must be at most ${MAX_VALUES}`),
    ])
    .optional()
    .meta({
      description:
        "What to compare with: a list for `in` and `notIn`, nothing for `exists` and `missing`, a number for " +
        "`greaterThan`, `atLeast`, `lessThan` and `atMost`; for `before` and `after` a time, or a duration from now " +
        "such as `-P30D`.",
      example: "pro",
    }),
};

const attributeFilter = z
  .strictObject({
    attribute: path.meta({ description: "Dots go into objects.", example: "plan" }),
    ...comparison,
  })
  .superRefine(checkComparison)
  .meta({ id: "AttributeFilter", example: { attribute: "plan", is: "in", value: ["pro", "team"] } });

const tagFilter = z
  .strictObject({ tag: text.min(1, "must not be empty").meta({ example: "vip" }) })
  .meta({ id: "TagFilter", description: "Has the tag.", example: { tag: "vip" } });

const fieldFilter = z
  .strictObject({
    field: z.enum(FIELDS, { error: `must be one of ${FIELDS.join(", ")}` }).meta({
      description: "Emails and their domains compare in lower case; times take `before` and `after` only.",
      example: "emailDomain",
    }),
    ...comparison,
  })
  .superRefine(checkComparison)
  .superRefine(checkField)
  .meta({ id: "FieldFilter", example: { field: "createdAt", is: "after", value: "-P30D" } });

const eventFilter = z
  .strictObject({
    event: z.enum(EVENT_TYPES, { error: "must be a type of event, such as email_opened" }),
    within: z
      .string()
      .max(40)
      .superRefine((value, context) => refuse(context, [], spanProblem(value)))
      .optional()
      .meta({ description: "How long ago at most; without it, ever.", example: "P30D" }),
    campaignId: z
      .string()
      .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "must be the id of a campaign")
      .optional()
      .meta({
        example: "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a24",
      }),
    atLeast: z.int().min(1).max(MAX_AT_LEAST).optional().meta({ description: "How often; once by default." }),
  })
  .meta({
    id: "EventFilter",
    description: "Such an event is in the contact's activity; hits of machines don't count.",
    example: { event: "email_opened", within: "P30D" },
  });

const nodeFilter = z
  .strictObject({
    node: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/, "must be the id of a node")
      .meta({ example: "hook" }),
    output: path.meta({ description: "Dots go into objects.", example: "status" }),
    ...comparison,
  })
  .superRefine(checkComparison)
  .meta({
    id: "NodeFilter",
    description: "What an earlier node of the campaign gave. Only in a condition.",
    example: { node: "hook", output: "status", is: "atMost", value: 299 },
  });

const parts = () => z.array(part).max(MAX_FILTER_LEAVES, `must have at most ${MAX_FILTER_LEAVES} conditions`);

const allFilter = z
  .strictObject({
    get all() {
      return parts();
    },
  })
  .meta({ id: "AllFilter", description: "Every one of them; an empty list fits everybody." });

const anyFilter = z
  .strictObject({
    get any() {
      return parts();
    },
  })
  .meta({ id: "AnyFilter", description: "At least one of them; an empty list fits nobody." });

const notFilter = z
  .strictObject({
    get not() {
      return part;
    },
  })
  .meta({ id: "NotFilter" });

/** The key that tells a kind of filter from the others. */
const KINDS = ["all", "any", "not", "attribute", "tag", "field", "event", "node"] as const;

const part: z.ZodType<Filter> = z
  .union(
    [attributeFilter, tagFilter, fieldFilter, eventFilter, nodeFilter, allFilter, anyFilter, notFilter],
    {
      error: ({ input }) =>
        typeof input === "object" && input !== null && KINDS.some((kind) => kind in input)
          ? undefined
          : `must be an object with one of ${KINDS.join(", ")}`,
    },
  )
  .meta({
    id: "Filter",
    description: `Which contacts: at most ${MAX_FILTER_DEPTH} deep, with at most ${MAX_FILTER_LEAVES} conditions.`,
    example: { all: [{ tag: "vip" }, { event: "email_opened", within: "P30D" }] },
  });

/** A filter as people write it. `isAboutContact` tells whether it makes sense outside a campaign. */
export const filter: z.ZodType<Filter> = z.lazy(() => part).superRefine(checkSize);

/** A filter about the contact alone, as a segment has it. */
export const contactFilter: z.ZodType<Filter> = z
  .lazy(() => part)
  .superRefine(checkSize)
  .superRefine((asked, context) => {
    const way = pathTo(asked, (leaf) => "node" in leaf);
    if (way !== null) refuse(context, [...way, "node"], "is only for the condition of a campaign");
  });

/** The ids of the nodes whose output the filter asks for, each once. */
export function nodesRead(asked: Filter): string[] {
  return [...new Set(leavesOf(asked).flatMap((leaf) => ("node" in leaf ? [leaf.node] : [])))];
}

/** Whether it asks for nothing but the contact: what a segment may do, and a condition need not. */
export function isAboutContact(asked: Filter): boolean {
  return nodesRead(asked).length === 0;
}

/** The value that a path leads to; undefined when there is none, or null. Dots go into objects and not into lists. */
export function valueAt(value: { [key: string]: Json }, dotted: string): Exclude<Json, null> | undefined {
  let found: Json = value;
  for (const name of dotted.split(".")) {
    if (found === null || typeof found !== "object" || Array.isArray(found)) return undefined;
    if (!Object.hasOwn(found, name)) return undefined;
    found = found[name] ?? null;
  }
  return found ?? undefined;
}

function leavesOf(asked: Filter): LeafFilter[] {
  if ("all" in asked) return asked.all.flatMap(leavesOf);
  if ("any" in asked) return asked.any.flatMap(leavesOf);
  return "not" in asked ? leavesOf(asked.not) : [asked];
}

type Context = z.core.$RefinementCtx;

function refuse(context: Context, path: PropertyKey[], problem: string | null): void {
  if (problem !== null) context.addIssue({ code: "custom", path, message: problem });
}

function checkComparison({ is, value }: Comparison, context: Context): void {
  refuse(context, ["value"], valueProblem(is, value));
}

function checkField({ field, is, value }: FieldFilter, context: Context): void {
  const isTime = is === "before" || is === "after";
  if ((field === "createdAt" || field === "updatedAt") !== isTime) {
    refuse(context, ["is"], isTime ? `is not for ${field}` : `must be before or after for ${field}`);
  } else if (NUMERIC.has(is)) refuse(context, ["is"], `is not for ${field}`);
  else if ([value ?? ""].flat().some((one) => typeof one !== "string")) {
    refuse(context, ["value"], "must be text");
  }
}

const NUMERIC = new Set<Operator>(["greaterThan", "atLeast", "lessThan", "atMost"]);

function valueProblem(is: Operator, value: Comparison["value"]): string | null {
  if (is === "exists" || is === "missing") {
    return value === undefined ? null : `must not be there with ${is}`;
  }
  if (value === undefined) return `is required with ${is}`;
  if (is === "in" || is === "notIn") return Array.isArray(value) ? null : `must be a list with ${is}`;
  if (Array.isArray(value)) return `must be one value with ${is}`;
  if (NUMERIC.has(is)) return typeof value === "number" ? null : `must be a number with ${is}`;
  if (is === "startsWith") return typeof value === "string" ? null : "must be text with startsWith";
  if (is !== "before" && is !== "after") return null;
  return typeof value === "string" ? momentProblem(value) : `must be a time with ${is}`;
}

function checkSize(asked: Filter, context: Context): void {
  const deep = pathTo(asked, (_, level) => level > MAX_FILTER_DEPTH);
  if (deep !== null) refuse(context, deep, `must be at most ${MAX_FILTER_DEPTH} deep`);
  const size = sizeOf(asked);
  if (size > MAX_FILTER_LEAVES) {
    refuse(context, [], `must have at most ${MAX_FILTER_LEAVES} conditions, not ${size}`);
  }
}

/** The way to the first part that is wanted; the filter itself is at level 1. */
function pathTo(
  asked: Filter,
  isWanted: (part: Filter, level: number) => boolean,
  level = 1,
): PropertyKey[] | null {
  if (isWanted(asked, level)) return [];
  for (const { path, part } of partsOf(asked)) {
    const way = pathTo(part, isWanted, level + 1);
    if (way !== null) return [...path, ...way];
  }
  return null;
}

/** How many leaves; an empty list is one. */
function sizeOf(asked: Filter): number {
  const parts = partsOf(asked);
  return parts.length === 0 ? 1 : parts.reduce((sum, { part }) => sum + sizeOf(part), 0);
}

function partsOf(asked: Filter): { path: PropertyKey[]; part: Filter }[] {
  if ("all" in asked) return asked.all.map((part, index) => ({ path: ["all", index], part }));
  if ("any" in asked) return asked.any.map((part, index) => ({ path: ["any", index], part }));
  return "not" in asked ? [{ path: ["not"], part: asked.not }] : [];
}
