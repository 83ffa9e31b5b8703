/**
 * The few ways a request can be wrong. `http/problem.ts` maps each code to a status and an RFC 9457 `type`;
 * everything else that is thrown is a fault of ours and becomes a 500 without details.
 */
export type ErrorCode =
  | "invalid"
  | "unauthorized"
  | "not_found"
  | "conflict"
  | "gone"
  | "too_large"
  | "unprocessable"
  | "rate_limited"
  | "unavailable";

/** One wrong field: `field` is a path such as `nodes.0.subject`, `reason` a sentence for a person. */
export type FieldProblem = { field: string; reason: string };

export class AppError extends Error {
  readonly code: ErrorCode;
  readonly fields: readonly FieldProblem[];

  constructor(code: ErrorCode, message: string, fields: readonly FieldProblem[] = []) {
    super(message);
    this.name = "AppError";
    this.code = code;
    this.fields = fields;
  }
}
