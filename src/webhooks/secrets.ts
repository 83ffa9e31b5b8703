import { newId } from "../events/id.ts";
import type { Db } from "../storage/pool.ts";
import { sealPart, type Whose } from "./endpoint-seal.ts";
import { insertSecret } from "./secret-queries.ts";
import { toSecret } from "./sign.ts";

const SECRET_BYTES = 32;

/** @param randomBytes gives so many */
export function newSecret(randomBytes: (size: number) => Buffer): string {
  return toSecret(randomBytes(SECRET_BYTES));
}

/** Keeps a secret, sealed, as the newest of its endpoint. */
export async function addSecret(db: Db, whose: Whose, secret: string): Promise<void> {
  const id = newId();
  const sealed = sealPart(whose, `secret ${id}`, secret);
  await insertSecret(db, whose.customerId, whose.endpointId, { id, secret: sealed });
}
