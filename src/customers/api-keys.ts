import { createHash, randomBytes } from "node:crypto";
import { AppError } from "../errors.ts";
import { newId } from "../events/id.ts";
import type { Db } from "../storage/pool.ts";
import {
  type ApiKey,
  findApiKeys,
  insertApiKey,
  insertCustomer,
  insertFirstCustomer,
  selectApiKeys,
  setApiKeyRevoked,
} from "./queries.ts";

const FIRST_CUSTOMER = "default";
const MAX_PREFIX_LENGTH = 12;

/**
 * Creates an API key, and its customer when there is none of that name. The key is returned this once: only its
 * hash is kept.
 * @param key.key a secret chosen by the operator; by default 32 random bytes after `edgr_`
 * @throws AppError conflict when that very key exists already
 */
export async function createApiKey(
  db: Db,
  key: { customerName: string; name: string; key?: string },
): Promise<{ id: string; key: string; customerCreated: boolean }> {
  const id = newId();
  const secret = key.key ?? `edgr_${randomBytes(32).toString("base64url")}`;
  const customerCreated = await insertCustomer(db, newId(), key.customerName);
  const inserted = await insertApiKey(db, {
    customerName: key.customerName,
    id,
    name: key.name,
    prefix: prefixOf(secret),
    hash: hashApiKey(secret),
  });
  if (!inserted) throw new AppError("conflict", "This API key exists already.");
  return { id, key: secret, customerCreated };
}

/** Every API key of every customer, for the operator at the command line. */
export function listApiKeys(db: Db): Promise<ApiKey[]> {
  return selectApiKeys(db);
}

/**
 * Revokes the one key with this id or prefix; running processes notice within seconds.
 * @throws AppError not_found when there is none, conflict when the prefix fits several
 */
export async function revokeApiKey(db: Db, idOrPrefix: string): Promise<ApiKey> {
  const [key, ...others] = await findApiKeys(db, idOrPrefix);
  if (key === undefined || idOrPrefix === "") {
    throw new AppError("not_found", `No active API key has the id or prefix "${idOrPrefix}".`);
  }
  if (others.length > 0) {
    throw new AppError(
      "conflict",
      `${others.length + 1} API keys begin with "${idOrPrefix}"; name one by its id.`,
    );
  }
  await setApiKeyRevoked(db, key.id);
  return key;
}

/**
 * Makes an empty installation usable: the customer `default`, and `apiKey` as a key of the oldest customer. May run
 * at every start and in several processes at once. A key that was revoked stays revoked, and an earlier key stays
 * valid when the operator sets another one.
 */
export async function ensureFirstCustomer(db: Db, apiKey: string | null): Promise<void> {
  await insertFirstCustomer(db, newId(), FIRST_CUSTOMER);
  if (apiKey === null) return;
  await insertApiKey(db, {
    customerName: null,
    id: newId(),
    name: "EDGR_API_KEY",
    prefix: prefixOf(apiKey),
    hash: hashApiKey(apiKey),
  });
}

/** What the database keeps of a key. A plain hash is enough: keys are random, not chosen by people. */
export function hashApiKey(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

// A short key chosen by the operator must not be given away by what helps to recognise it.
function prefixOf(key: string): string {
  return key.slice(0, Math.min(MAX_PREFIX_LENGTH, Math.floor(key.length / 4)));
}
