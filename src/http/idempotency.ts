import { createHash } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { openSecret, sealSecret } from "../credentials/secret-box.ts";
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
 * the same key can be tried again. The answer is sealed, since it may show a secret that is shown once.
 */
export function idempotency(db: Db, encryptionKey: Buffer): MiddlewareHandler<ApiEnv> {
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
    const seal = (body: string) => sealSecret(encryptionKey, ownerOf(c.var.customerId, key), body);
    const ran = await runOnce(db, c, { key, fingerprint, seal }, next);
    if (ran) return;
    const answer = await findAnswer(db, c.var.customerId, key);
    // The key was there a moment ago; a purge may have taken it between the two statements.
    if (answer === null)
      throw new AppError("unavailable", "The key has just expired. Send the request again.");
    if (answer.fingerprint !== fingerprint) throw belongsToAnother();
    const body = bodyOf(answer, encryptionKey, ownerOf(c.var.customerId, key));
    return new Response(body === "" ? null : body, {
      status: answer.status,
      headers: { "Content-Type": "application/json", "Idempotency-Replayed": "true" },
    });
  };
}

type Once = { key: string; fingerprint: string; seal: (body: string) => Buffer };

/** @returns false, without having run the handler, when the key has been used before */
async function runOnce(
  db: Db,
  c: Context<ApiEnv>,
  { key, fingerprint, seal }: Once,
  next: () => Promise<void>,
): Promise<boolean> {
  try {
    return await db.transaction().execute(async (transaction) => {
      if (!(await takeIdempotencyKey(transaction, c.var.customerId, key, fingerprint))) return false;
      c.set("db", transaction);
      await next();
      if (c.res.status >= 400) throw new Refused();
      const body = await c.res.clone().text();
      const answer = { status: c.res.status, sealed: seal(body) };
      await rememberAnswer(transaction, c.var.customerId, key, answer);
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

function belongsToAnother(): AppError {
  return new AppError("unprocessable", "This Idempotency-Key belongs to another request.", [
    { field: "Idempotency-Key", reason: "was used with another method, path or body" },
  ]);
}

/** @throws AppError when the encryption key is not the one that the answer was sealed with */
function bodyOf(answer: RememberedAnswer, encryptionKey: Buffer, owner: string): string {
  if (answer.sealed === null) return answer.body ?? "";
  try {
    return openSecret(encryptionKey, owner, answer.sealed);
  } catch {
    throw new AppError(
      "conflict",
      "The request was done when it first came, but its answer can't be read any more: EDGR's encryption key is another.",
      [
        {
          field: "Idempotency-Key",
          reason: "was used already: look at what came of it before using another",
        },
      ],
    );
  }
}

/** What binds an answer to its row. */
function ownerOf(customerId: string, key: string): string {
  return `${customerId}/answer/${key}`;
}
