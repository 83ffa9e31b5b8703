import { z } from "@hono/zod-openapi";
import { fromShortId, toShortId } from "../events/id.ts";

const MAX_LIMIT = 200;
const DEFAULT_LIMIT = 50;
const LIMIT_REASON = `must be a whole number from 1 to ${MAX_LIMIT}`;

/**
 * The query parameters of every list: spread into its schema. `cursor` comes out as the id after which the page
 * begins, or null. Lists go from the newest id to the oldest, so what is added meanwhile never moves a page.
 */
export const pageQuery = {
  limit: z
    .string()
    .regex(/^\d{1,3}$/, LIMIT_REASON)
    .default(String(DEFAULT_LIMIT))
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= MAX_LIMIT, LIMIT_REASON)
    .openapi({
      type: "integer",
      minimum: 1,
      maximum: MAX_LIMIT,
      default: DEFAULT_LIMIT,
      description: "How many to return.",
    }),
  cursor: z
    .string()
    .refine((cursor) => fromShortId(cursor) !== null, "must be the nextCursor of a previous page")
    .transform((cursor) => fromShortId(cursor))
    .nullable()
    .default(null)
    .openapi({ type: "string", description: "The `nextCursor` of the page before." }),
};

export type Page = { limit: number; cursor: string | null };

/** The schema of a list of `item`. */
export function listOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    nextCursor: z
      .string()
      .nullable()
      .openapi({ description: "Null on the last page.", example: "AZicKn08fMOYxNwMDAc5jw" }),
  });
}

type Paged<Row> = { items: Row[]; nextCursor: string | null };

/** @param rows up to `limit + 1` rows, newest first: the one too many says that another page follows */
export function toPage<Row extends { id: string }>(rows: readonly Row[], limit: number): Paged<Row> {
  return pageBy(rows, limit, ({ id }) => toShortId(id));
}

/**
 * The same for a list that is not ordered by id.
 * @param cursorOf the cursor after a row
 */
export function pageBy<Row>(rows: readonly Row[], limit: number, cursorOf: (row: Row) => string): Paged<Row> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? cursorOf(last) : null };
}

/** How many rows a page is looked for in, where a filter has no index: one that fits next to nothing must not read years. */
export const SCANNED = 20_000;

/**
 * The same for a list that was looked through so far only.
 * @param lookedTo the id after which the next page begins when this one is not full; null at the list's end
 */
export function toScannedPage<Row extends { id: string }>(
  { rows, lookedTo }: { rows: readonly Row[]; lookedTo: string | null },
  limit: number,
): Paged<Row> {
  const { items, nextCursor } = toPage(rows, limit);
  return { items, nextCursor: nextCursor ?? (lookedTo === null ? null : toShortId(lookedTo)) };
}
