import type { Hook } from "@hono/zod-openapi";
import type { Context, ErrorHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import type { Logger } from "pino";
import type { z } from "zod";
import { AppError, type ErrorCode, type FieldProblem } from "../errors.ts";
import type { ApiEnv } from "./env.ts";
import { requestIdOf } from "./request-id.ts";

export type ProblemCode =
  | ErrorCode
  | "forbidden"
  | "method_not_allowed"
  | "unsupported_media_type"
  | "internal";

/** Every kind of error answer there is; `type` is `urn:edgr:problem:` and the code. */
export const PROBLEMS = {
  invalid: { status: 400, title: "The request is not valid" },
  unauthorized: { status: 401, title: "A valid API key is needed" },
  forbidden: { status: 403, title: "The request is not allowed" },
  not_found: { status: 404, title: "There is nothing here" },
  method_not_allowed: { status: 405, title: "This address does not take that method" },
  conflict: { status: 409, title: "The request conflicts with what is already there" },
  gone: { status: 410, title: "It is no longer there" },
  too_large: { status: 413, title: "The request is too large" },
  unsupported_media_type: { status: 415, title: "The body must be JSON" },
  unprocessable: { status: 422, title: "The request cannot be carried out as it is" },
  rate_limited: { status: 429, title: "Too many requests" },
  internal: { status: 500, title: "EDGR failed to answer" },
  unavailable: { status: 503, title: "EDGR cannot answer just now" },
} as const satisfies Record<ProblemCode, { status: number; title: string }>;

const MAX_FIELDS = 100;
const MAX_PATH_LENGTH = 200;
const RETRY_AFTER_SECONDS = "5";

export type Problem = { code: ProblemCode; detail: string; fields: readonly FieldProblem[] };

/** An RFC 9457 answer. */
export function problemResponse(c: Context<ApiEnv>, problem: Problem): Response {
  const { status, title } = PROBLEMS[problem.code];
  const requestId = requestIdOf(c);
  c.header("X-Request-Id", requestId);
  if (problem.code === "unauthorized") c.header("WWW-Authenticate", 'Bearer realm="edgr"');
  if (problem.code === "unavailable") c.header("Retry-After", RETRY_AFTER_SECONDS);
  const body = {
    type: `urn:edgr:problem:${problem.code}`,
    title,
    status,
    detail: problem.detail,
    requestId,
    errors: problem.fields.slice(0, MAX_FIELDS),
  };
  return c.body(JSON.stringify(body), status, { "Content-Type": "application/problem+json" });
}

/** The one place where what was thrown becomes an answer; faults of ours are logged here and nowhere else. */
export function answerErrors(logger: Logger): ErrorHandler<ApiEnv> {
  return (error, c) => {
    const problem = problemOf(error);
    if (PROBLEMS[problem.code].status >= 500) {
      logger.error(
        { err: error, requestId: requestIdOf(c), method: c.req.method, path: c.req.path },
        "request failed",
      );
    }
    return problemResponse(c, problem);
  };
}

/** Turns what a route's schemas refused into a 400 that names the fields. */
export const refuseInvalid: Hook<unknown, ApiEnv, string, void> = (result) => {
  if (!result.success) throw invalid(fieldsOf(result.error.issues));
};

/** A 400 for these fields. */
export function invalid(fields: readonly FieldProblem[]): AppError {
  const [first] = fields;
  return new AppError(
    "invalid",
    first === undefined ? "The request is not valid." : `${first.field}: ${first.reason}`,
    fields,
  );
}

/** Zod's issues as the fields of a problem: `contacts.3.email`; the body itself is called `body`. */
export function fieldsOf(
  issues: readonly z.core.$ZodIssue[],
  prefix: readonly PropertyKey[] = [],
): FieldProblem[] {
  return issues.flatMap((issue) => {
    const path = [...prefix, ...issue.path];
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ field: fieldPath([...path, key]), reason: "is not a known field" }));
    }
    // A union that has words of its own for this input says them; otherwise the branch that was meant speaks.
    const closest =
      issue.code === "invalid_union" && issue.message === "Invalid input" ? closestBranch(issue.errors) : [];
    return closest.length > 0
      ? fieldsOf(closest, path)
      : [{ field: fieldPath(path), reason: reasonOf(issue) }];
  });
}

/** A path for a person, safe to print however hostile the keys in it are. */
export function fieldPath(segments: readonly PropertyKey[]): string {
  if (segments.length === 0) return "body";
  const path = segments.map(String).join(".");
  return path.slice(0, MAX_PATH_LENGTH).toWellFormed();
}

function reasonOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_union" && issue.message === "Invalid input")
    return "must be one of the documented kinds";
  const [, expected, received] = /^Invalid input: expected (.+), received (.+)$/.exec(issue.message) ?? [];
  if (expected === undefined) return issue.message;
  return received === "undefined" ? "is required" : `must be of type ${expected}, not ${received}`;
}

function closestBranch(branches: readonly z.core.$ZodIssue[][]): readonly z.core.$ZodIssue[] {
  return branches.reduce(
    (best, branch) => (distance(branch) < distance(best) ? branch : best),
    branches[0] ?? [],
  );
}

/** A branch that does not know a key that was given means another kind of thing, however little else it has against it. */
function distance(branch: readonly z.core.$ZodIssue[]): number {
  const unknownKeys = branch.flatMap((issue) =>
    issue.code === "unrecognized_keys" && issue.path.length === 0 ? issue.keys : [],
  );
  return unknownKeys.length * MAX_FIELDS + Math.min(branch.length, MAX_FIELDS - 1);
}

function problemOf(error: unknown): Problem {
  if (error instanceof AppError) return { code: error.code, detail: error.message, fields: error.fields };
  if (error instanceof HTTPException && error.status < 500) {
    const code = error.status === 415 ? "unsupported_media_type" : "invalid";
    return { code, detail: error.message, fields: [] };
  }
  const sqlState = error instanceof Error && "code" in error ? String(error.code) : "";
  if (sqlState === UNIQUE_VIOLATION) {
    return {
      code: "conflict",
      detail: "Another request took the same value at the same moment.",
      fields: [],
    };
  }
  if (UNREACHABLE.test(sqlState) || (error instanceof Error && isLostConnection(error))) {
    return {
      code: "unavailable",
      detail: "The database does not answer. Try again in a few seconds.",
      fields: [],
    };
  }
  return {
    code: "internal",
    detail: "Something went wrong on our side; quote the request id to report it.",
    fields: [],
  };
}

// A Unix socket that nobody listens on is ENOENT, as is a file that is not there: the call tells them apart.
function isLostConnection(error: Error): boolean {
  return ("syscall" in error && error.syscall === "connect") || LOST_CONNECTION.test(error.message);
}

const UNIQUE_VIOLATION = "23505";
// PostgreSQL's classes for a lost connection, a shutdown, too many connections, a cancelled statement, a deadlock;
// then Node's names for a server that is not there.
const UNREACHABLE =
  /^(08...|57P0.|53300|57014|40P01|40001|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN)$/;
// The driver throws these without a code.
const LOST_CONNECTION =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/;
