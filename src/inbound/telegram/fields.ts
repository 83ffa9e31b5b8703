import { z } from "zod";

/**
 * Text as PostgreSQL takes it, with as many UTF-16 code units as before: what points into it by number still fits.
 */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

export const text = z.string().transform(storable);

/** A chat, user or message: 52 bits at most (protocols 3.4), so exact in a double. */
export const number = z.int();

/** What may be missing, or be of a kind that nobody documented yet: null then. */
export function maybe<Output>(schema: z.ZodType<Output>) {
  return z
    .unknown()
    .optional()
    .transform((value): Output | null => {
      const parsed = schema.safeParse(value);
      return parsed.success ? parsed.data : null;
    });
}

export const maybeText = maybe(text);

export const maybeNumber = maybe(number);

/** Unix seconds. */
export const maybeTime = maybe(
  z
    .int()
    .min(1)
    .max(100_000_000_000)
    .transform((seconds) => new Date(seconds * 1_000)),
);
