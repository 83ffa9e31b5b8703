import type { MiddlewareHandler } from "hono";
import { hashApiKey } from "../customers/api-keys.ts";
import { findCustomerByKey, touchApiKey } from "../customers/queries.ts";
import { AppError } from "../errors.ts";
import type { Db } from "../storage/pool.ts";
import type { ApiEnv } from "./env.ts";

const BEARER = /^Bearer +([\x21-\x7e]{1,200})$/i;
/** How long a revoked key may still work. */
const CACHE_MS = 5_000;
const CACHE_SIZE = 1_000;

type Owner = { customerId: string; keyName: string };

/**
 * Finds the customer of `Authorization: Bearer <key>`. The key is hashed before it is looked up, so neither the
 * index nor the cache compares secrets byte by byte.
 */
export function authenticate(db: Db, now: () => Date): MiddlewareHandler<ApiEnv> {
  const cache = new Map<string, Owner & { until: number }>();

  async function ownerOf(key: string): Promise<Owner | null> {
    const hash = hashApiKey(key);
    const cacheKey = hash.toString("base64url");
    const at = now().getTime();
    const known = cache.get(cacheKey);
    if (known !== undefined && known.until > at) return known;
    const found = await findCustomerByKey(db, hash);
    cache.delete(cacheKey);
    if (found === null) return null;
    await touchApiKey(db, hash);
    if (cache.size >= CACHE_SIZE) cache.clear();
    cache.set(cacheKey, { ...found, until: at + CACHE_MS });
    return found;
  }

  return async (c, next) => {
    const header = c.req.header("Authorization");
    const key = BEARER.exec(header ?? "")?.[1];
    const owner = key === undefined ? null : await ownerOf(key);
    if (owner === null) throw new AppError("unauthorized", refusal(header, key));
    c.set("customerId", owner.customerId);
    c.set("actor", owner.keyName);
    await next();
  };
}

function refusal(header: string | undefined, key: string | undefined): string {
  if (header === undefined) return "Send your API key as `Authorization: Bearer <key>`.";
  if (key === undefined) return "The Authorization header must be `Bearer <key>`.";
  return "This API key does not exist or has been revoked.";
}
