import { z } from "@hono/zod-openapi";
import type { CountCursor } from "./analytics-queries.ts";

const content = z.tuple([z.int().min(0), z.string(), z.string()]);

/** The cursor of a list that is ordered by a number: the row after which the page begins. */
export const countCursor = z
  .string()
  .max(1_000)
  .transform((text, ctx): CountCursor => {
    const cursor = decodeCursor(text);
    if (cursor !== null) return cursor;
    ctx.addIssue({ code: "custom", message: "must be the nextCursor of a previous page" });
    return z.NEVER;
  })
  .nullable()
  .default(null)
  .openapi({ type: "string", description: "The `nextCursor` of the page before." });

export function encodeCursor({ number, value, nodeId }: CountCursor): string {
  return Buffer.from(JSON.stringify([number, value, nodeId])).toString("base64url");
}

function decodeCursor(text: string): CountCursor | null {
  try {
    const [number, value, nodeId] = content.parse(JSON.parse(Buffer.from(text, "base64url").toString()));
    return [value, nodeId].some((part) => part.includes("\0")) ? null : { number, value, nodeId };
  } catch {
    return null;
  }
}
