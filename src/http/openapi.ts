import { z } from "@hono/zod-openapi";
import { PROBLEMS, type ProblemCode } from "./problem.ts";

/** The body of every error answer (RFC 9457). */
export const problemSchema = z
  .object({
    type: z.string().openapi({ example: "urn:edgr:problem:invalid" }),
    title: z.string().openapi({ example: "The request is not valid" }),
    status: z.int().openapi({ example: 400 }),
    detail: z.string().openapi({ example: "email: must be an email address such as ann@example.com" }),
    requestId: z.string().openapi({ example: "01989c2a-7d3c-7cc3-98c4-dc0c0c07398f" }),
    errors: z.array(
      z.object({
        field: z.string().openapi({ example: "email" }),
        reason: z.string().openapi({ example: "must be an email address such as ann@example.com" }),
      }),
    ),
  })
  .openapi("Problem", {
    description: "What is wrong (RFC 9457); `type` is stable, `errors` names the fields.",
  });

/** A request's JSON body. */
export function jsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: { "application/json": { schema } } } as const;
}

/** A JSON answer. */
export function json<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { "application/json": { schema } } } as const;
}

type ProblemResponses = Record<
  number,
  { description: string; content: { "application/problem+json": { schema: typeof problemSchema } } }
>;

/** The error answers a route may give besides 401, which all give. */
export function problems(...codes: ProblemCode[]): ProblemResponses {
  const all: ProblemCode[] = [...codes, "unauthorized"];
  return Object.fromEntries(
    all.map((code) => [
      PROBLEMS[code].status,
      {
        description: PROBLEMS[code].title,
        content: { "application/problem+json": { schema: problemSchema } },
      },
    ]),
  );
}
