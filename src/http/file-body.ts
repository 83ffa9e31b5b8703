import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { AppError } from "../errors.ts";

/** The largest file somebody may upload. */
export const MAX_FILE_BYTES = 1024 ** 3;

const FILE_TYPE =
  /^(?:text\/(?:csv|plain|tab-separated-values)|application\/(?:csv|octet-stream)) *(?:;.*)?$/i;

/**
 * Whether a request's body is a file: its handler reads it as it comes, because no memory holds it. Then it is neither
 * JSON nor can it be compared with an earlier one for an `Idempotency-Key`.
 */
export function takesFile(method: string, path: string): boolean {
  return method.toUpperCase() === "POST" && path.endsWith("/imports");
}

/**
 * The bytes of an uploaded file, as they come.
 * @throws HTTPException (415) for another type of body; while it is read AppError, when it is larger than
 * `MAX_FILE_BYTES` or breaks off
 */
export function fileBody(c: Context): AsyncIterable<Uint8Array> {
  if (!FILE_TYPE.test(c.req.header("Content-Type") ?? ""))
    throw new HTTPException(415, { message: "Send the file as text/csv or application/octet-stream." });
  if (Number(c.req.header("Content-Length") ?? 0) > MAX_FILE_BYTES) throw tooLarge();
  return limited(c.req.raw.body);
}

async function* limited(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  let length = 0;
  try {
    for await (const bytes of body ?? []) {
      length += bytes.byteLength;
      if (length > MAX_FILE_BYTES) throw tooLarge();
      yield bytes;
    }
  } catch (error) {
    throw error instanceof AppError ? error : new AppError("invalid", "The upload broke off.");
  }
}

const tooLarge = () => new AppError("too_large", `The file must have at most ${MAX_FILE_BYTES} bytes.`);
