import type { MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { AppError } from "../errors.ts";
import type { ApiEnv } from "./env.ts";
import { takesFile } from "./file-body.ts";
import { jsonErrorOffset } from "./json-position.ts";
import { fieldPath, invalid } from "./problem.ts";

const MAX_BYTES = 1024 * 1024;
/** Paths that end in /bulk take this much. */
const MAX_BULK_BYTES = 10 * MAX_BYTES;
const MAX_DEPTH = 32;
const JSON_TYPE = /^application\/([\w.-]+\+)?json *(; *charset="?utf-8"?)? *$/i;
const METHODS_WITH_BODY = new Set(["POST", "PUT", "PATCH"]);
// A key of these names could reach an object's prototype in some later merge.
const FORBIDDEN_KEYS = new Set(["__proto__", "constructor", "prototype"]);

/**
 * Reads a request's body before anything looks at it, and refuses what no schema should have to think of: too
 * large, too deep, not UTF-8, not JSON, text that PostgreSQL or a mail server cannot carry. An empty body passes
 * as no body at all, so that the route's schema names what is missing.
 */
export function readJsonBody(): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    if (METHODS_WITH_BODY.has(c.req.method) && !takesFile(c.req.method, c.req.path)) {
      const maxBytes = c.req.path.endsWith("/bulk") ? MAX_BULK_BYTES : MAX_BYTES;
      const bytes = await readAtMost(c.req.raw, maxBytes);
      const headers = new Headers(c.req.raw.headers);
      if (bytes.byteLength === 0) headers.delete("Content-Type");
      else checkJson(bytes, c.req.header("Content-Type"));
      const body = bytes.byteLength === 0 ? null : bytes;
      c.req.raw = new Request(c.req.url, { method: c.req.method, headers, body });
    }
    await next();
  };
}

async function readAtMost(request: Request, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = new AppError("too_large", `The body must have at most ${maxBytes} bytes.`);
  if (Number(request.headers.get("Content-Length") ?? 0) > maxBytes) throw tooLarge;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.byteLength;
    if (length > maxBytes) throw tooLarge;
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function checkJson(bytes: Uint8Array, contentType: string | undefined): void {
  if (contentType === undefined || !JSON_TYPE.test(contentType)) {
    throw new HTTPException(415, { message: "Send the body as application/json, in UTF-8." });
  }
  checkValue(parse(decode(bytes)), []);
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalid([{ field: "body", reason: "is not valid UTF-8" }]);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const before = text.slice(0, jsonErrorOffset(text)).split("\n");
    const column = (before.at(-1) ?? "").length + 1;
    throw invalid([
      {
        field: "body",
        reason: `is not valid JSON: unexpected text at line ${before.length}, column ${column}`,
      },
    ]);
  }
}

/**
 * Refuses what no attribute may be, at `path`, which is left as it was.
 * @throws AppError that names where it is
 */
export function checkValue(value: unknown, path: string[]): void {
  if (typeof value === "string") checkText(value, path);
  if (typeof value === "number" && !Number.isFinite(value)) throw refuse(path, "is too large a number");
  if (typeof value !== "object" || value === null) return;
  if (path.length >= MAX_DEPTH) throw refuse(path, `is nested more than ${MAX_DEPTH} levels deep`);
  for (const [key, item] of Object.entries(value)) {
    path.push(key);
    if (FORBIDDEN_KEYS.has(key)) throw refuse(path, "is a name that is not allowed");
    checkText(key, path);
    checkValue(item, path);
    path.pop();
  }
}

function checkText(text: string, path: string[]): void {
  if (text.includes("\0")) throw refuse(path, "must not contain a NUL character");
  if (!text.isWellFormed()) throw refuse(path, "must not contain half of a surrogate pair");
}

function refuse(path: string[], reason: string): AppError {
  return invalid([{ field: fieldPath(path), reason }]);
}
