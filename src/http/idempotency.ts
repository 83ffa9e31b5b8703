import { createHash } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { AppError } from "../errors.ts";
import type { Db } from "../storage/pool.ts";
import type { ApiEnv } from "./env.ts";
import { takesFile } from "./file-body.ts";
import { invalid } from "./problem.ts";
import { findAnswer, type RememberedAnswer, rememberAnswer, takeIdempotencyKey } from "./queries.ts";

const KEY = /^[\x20-\x7e]{1,255}$/;

/**
 * `Idempotency-Key` on POST. The key, what the handler writes and the answer commit together: after a crash
 * either all of it is there or none. An answer of 400 or more rolls everything back and is not remembered, so that
 * the same key can be tried again.
 */
export function idempotency(db: Db): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const key = c.req.method === "POST" ? c.req.header("Idempotency-Key") : undefined;
    if (key === undefined) {
      c.set("db", db);
      return await next();
    }
    if (!KEY.test(key)) {
      throw invalid([{ field: "Idempotency-Key", reason: "must be 1 to 255 printable ASCII characters" }]);
    }
    if (takesFile(c.req.method, c.req.path)) {
      throw invalid([
        { field: "Idempotency-Key", reason: "is not taken here: a file is not kept to be compared" },
      ]);
    }
    const fingerprint = await fingerprintOf(c);
    const ran = await runOnce(db, c, key, fingerprint, next);
    if (ran) return;
    const answer = await findAnswer(db, c.var.customerId, key);
    // The key was there a moment ago; a purge may have taken it between the two statements.
    if (answer === null)
      throw new AppError("unavailable", "The key has just expired. Send the request again.");
    return replay(answer, fingerprint);
  };
}

/** @returns false, without having run the handler, when the key has been used before */
async function runOnce(
  db: Db,
  c: Context<ApiEnv>,
  key: string,
  fingerprint: string,
  next: () => Promise<void>,
): Promise<boolean> {
  try {
    return await db.transaction().execute(async (transaction) => {
      if (!(await takeIdempotencyKey(transaction, c.var.customerId, key, fingerprint))) return false;
      c.set("db", transaction);
      await next();
      if (c.res.status >= 400) throw new Refused();
      const body = await c.res.clone().text();
      await rememberAnswer(transaction, c.var.customerId, key, { status: c.res.status, body });
      return true;
    });
  } catch (error) {
    if (error instanceof Refused) return true;
    throw error;
  }
}

/** Leaves the transaction by rolling it back; the answer stands as it is. */
class Refused extends Error {}

async function fingerprintOf(c: Context<ApiEnv>): Promise<string> {
  const { pathname, search } = new URL(c.req.url);
  const hash = createHash("sha256").update(`${c.req.method} ${pathname}${search}\n`);
  return hash.update(await c.req.text()).digest("base64url");
}

function replay(answer: RememberedAnswer, fingerprint: string): Response {
  if (answer.fingerprint !== fingerprint) {
    throw new AppError("unprocessable", "This Idempotency-Key belongs to another request.", [
      { field: "Idempotency-Key", reason: "was used with another method, path or body" },
    ]);
  }
  return new Response(answer.body === "" ? null : answer.body, {
    status: answer.status,
    headers: { "Content-Type": "application/json", "Idempotency-Replayed": "true" },
  });
}
