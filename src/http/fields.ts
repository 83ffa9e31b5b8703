import { z } from "@hono/zod-openapi";

// Everything that could end a header or a line: C0 and C1 controls, and Unicode's two separators.
const CONTROL = /[\p{Cc}\u2028\u2029]/u;
const CONTROL_EXCEPT_NEWLINE = /[^\P{Cc}\n]/u;
const EMAIL =
  /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)$/;
const MAX_EMAIL_LENGTH = 254;

/** A name or another single line of text: trimmed, not empty, without any character that could break a header. */
export function line(max: number) {
  return z
    .string()
    .trim()
    .min(1, "must not be empty")
    .max(max, `must have at most ${max} characters`)
    .refine((text) => !CONTROL.test(text), "must be one line without control characters");
}

/** A text of several lines, each ended by a line feed. */
export function lines(max: number) {
  return z
    .string()
    .trim()
    .min(1, "must not be empty")
    .max(max, `must have at most ${max} characters`)
    .refine((text) => !CONTROL_EXCEPT_NEWLINE.test(text), "must not contain control characters");
}

/**
 * An address that a mail server will take as one envelope recipient: the shape HTML's email field accepts, in
 * ASCII, whose domain has a dot or is localhost.
 */
export function email() {
  return z
    .string()
    .max(MAX_EMAIL_LENGTH, `must have at most ${MAX_EMAIL_LENGTH} characters`)
    .refine((text) => {
      const domain = EMAIL.exec(text)?.[1];
      return domain !== undefined && (domain.includes(".") || domain.toLowerCase() === "localhost");
    }, "must be an email address such as ann@example.com")
    .openapi({ format: "email", example: "ann@example.com" });
}

/** An id of ours. */
export function id() {
  return z
    .string()
    .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "must be an id, a UUID in lower case")
    .openapi({ format: "uuid", example: "01989c2a-7d3c-7cc3-98c4-dc0c0c07398f" });
}

/** The path parameter of a route on one thing. */
export const idParams = z.object({ id: id() });

/** A moment, as it leaves the API: ISO 8601 in UTC. */
export function time() {
  return z.string().openapi({ format: "date-time", example: "2026-03-06T20:00:26.893Z" });
}
