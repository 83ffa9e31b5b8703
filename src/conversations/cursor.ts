import { z } from "@hono/zod-openapi";
import { fromShortId, toShortId } from "../events/id.ts";
import { pageBy } from "../http/pagination.ts";

/** A place in a list that is ordered by time, then by id. `micros`: microseconds since 1970, as decimal digits. */
export type Place = { micros: string; id: string };

/** The cursor of a list that is ordered by time: the row after which the page begins. */
export const placeCursor = z
  .string()
  .max(100)
  .transform((text, ctx): Place => {
    const place = decodePlace(text);
    if (place !== null) return place;
    ctx.addIssue({ code: "custom", message: "must be the nextCursor of a previous page" });
    return z.NEVER;
  })
  .nullable()
  .default(null)
  .openapi({ type: "string", description: "The `nextCursor` of the page before." });

/** @param rows up to `limit + 1` rows, newest first: the one too many says that another page follows */
export function toPlacedPage<Row extends { place: Place }>(
  rows: readonly Row[],
  limit: number,
): { items: Row[]; nextCursor: string | null } {
  return pageBy(rows, limit, ({ place }) => encodePlace(place));
}

export function encodePlace({ micros, id }: Place): string {
  return `${micros}.${toShortId(id)}`;
}

function decodePlace(text: string): Place | null {
  const [, micros = "", short = ""] = /^(-?\d{1,17})\.([A-Za-z0-9_-]{22})$/.exec(text) ?? [];
  const id = fromShortId(short);
  return micros === "" || id === null ? null : { micros, id };
}
