import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { accepts } from "hono/accepts";
import { toCsv } from "../exports/csv.ts";
import type { ApiEnv } from "../http/env.ts";

const JSON_TYPE = "application/json";
const CSV_TYPE = "text/csv";

/** The query parameter of an answer that can also be a table: spread into its schema. */
export const formatQuery = {
  format: z.enum(["json", "csv"]).optional().openapi({
    description:
      "`csv` for a table with a line for each item; so does `Accept: text/csv`. All of them, not a page.",
    example: "json",
  }),
};

/** An answer that is JSON or a table. */
export function jsonOrCsv<Schema extends z.ZodType>(schema: Schema, description: string, example: string) {
  return {
    description,
    content: {
      [JSON_TYPE]: { schema },
      [CSV_TYPE]: { schema: z.string().openapi({ example }) },
    },
  } as const;
}

/** Whether a table is asked for: the parameter is stronger than the header. */
export function wantsCsv(c: Context<ApiEnv>, format: "json" | "csv" | undefined): boolean {
  if (format !== undefined) return format === "csv";
  return accepts(c, { header: "Accept", supports: [JSON_TYPE, CSV_TYPE], default: JSON_TYPE }) === CSV_TYPE;
}

type Cell = string | number | null;
type Item = { readonly [name: string]: Cell | Item };

/**
 * A table of items, `opened.total` for what lies deeper. At most some ten thousand lines, so it is made at once.
 * @param sample an item, which gives the columns when there is none
 */
export function csvAnswer(c: Context<ApiEnv>, name: string, items: readonly Item[], sample: Item): Response {
  const header = flatten(sample).map(([column]) => column);
  const rows = items.map((item) => flatten(item).map(([, cell]) => (cell === null ? "" : String(cell))));
  const text = toCsv([header, ...rows], { separator: ",", spreadsheet: false });
  return c.body(text, 200, {
    "Content-Type": `${CSV_TYPE}; charset=utf-8`,
    "Content-Disposition": `attachment; filename="${name}.csv"`,
  });
}

function flatten(item: Item, prefix = ""): [column: string, cell: Cell][] {
  return Object.entries(item).flatMap(([name, value]): [string, Cell][] =>
    value !== null && typeof value === "object"
      ? flatten(value, `${prefix}${name}.`)
      : [[prefix + name, value]],
  );
}
