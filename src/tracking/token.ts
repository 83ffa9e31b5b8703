import { createHash, createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import { fromShortId, toShortId } from "../events/id.ts";

/** A signing key. `kid` is 1 to 4 letters or digits; a retired key neither signs nor verifies. */
export type SigningKey = { kid: string; secret: Buffer; retired: boolean };

export type TokenClaims = {
  customerId: string;
  campaignId: string;
  /** What `nodeClaim` made of the node's id. Informational: the run identifies the node. */
  node: string;
  runId: string;
  messageId: string;
  /** Unix seconds. */
  expiresAt: number;
  /** What `urlDigest` made of the destination; null in tokens of pixels and unsubscribe links. */
  urlDigest: string | null;
};

export type Tokens = {
  /** @throws RangeError when a claim could not be read back from the token it would make */
  sign(claims: TokenClaims): string;
  /** The claims of a token that we signed, expired or not; null for anything else. */
  verify(token: string): TokenClaims | null;
};

export const DEFAULT_TOKEN_LIFE_S = 400 * 24 * 60 * 60;

/** No token is longer, whatever the node is called; what is longer is refused before any work is done on it. */
export const MAX_TOKEN_CHARS = 320;

const SHORT_NODE = /^[A-Za-z0-9._-]{1,12}$/;
const NODE_CLAIM = /^(?:[A-Za-z0-9._-]{1,12}|~[A-Za-z0-9_-]{11})$/;
const URL_DIGEST = /^[A-Za-z0-9_-]{16}$/;
const KID = /^[A-Za-z0-9]{1,4}$/;
const MIN_SECRET_BYTES = 32; // RFC 7518 section 3.2
const SIGNATURE_CHARS = 43;
// Eleven digits, the year 5138. Header 38, payload 236 and signature 43 characters with two dots: 319 at most.
const MAX_EXPIRY_S = 99_999_999_999;

/**
 * A node's id as tokens carry it, at most 12 characters: itself when it is short and plain, else `~` and the
 * beginning of its SHA-256.
 */
export function nodeClaim(nodeId: string): string {
  if (SHORT_NODE.test(nodeId)) return nodeId;
  return `~${createHash("sha256").update(nodeId).digest("base64url").slice(0, 11)}`;
}

/** The first 12 bytes of the SHA-256 of the URL's UTF-8, as 16 base64url characters. */
export function urlDigest(url: string): string {
  return createHash("sha256").update(url).digest("base64url").slice(0, 16);
}

/**
 * Signs and verifies tracking tokens: JWTs (RFC 7519) with HS256 and exactly the header `{alg, kid}`.
 * @param keys newest first: the first that is not retired signs, every one that is not retired verifies
 * @throws RangeError for a bad or repeated `kid`, a secret under 32 bytes, or when every key is retired
 */
export function createTokens(keys: readonly SigningKey[]): Tokens {
  // A token is ours only if its header is one of these, byte for byte: no other algorithm can be asked for.
  const live = new Map<string, KeyObject>();
  for (const { kid, secret, retired } of keys) {
    if (!KID.test(kid)) throw new RangeError("A signing key's kid must be 1 to 4 letters or digits");
    if (secret.length < MIN_SECRET_BYTES) throw new RangeError(`The secret of key ${kid} is under 32 bytes`);
    if (retired) continue;
    const header = encode(JSON.stringify({ alg: "HS256", kid }));
    if (live.has(header)) throw new RangeError(`The signing key ${kid} is listed twice`);
    live.set(header, createSecretKey(secret));
  }
  const [newest] = live;
  if (newest === undefined) throw new RangeError("There is no signing key that is not retired");
  const [newestHeader, newestKey] = newest;

  return {
    sign(claims) {
      const signed = `${newestHeader}.${encode(JSON.stringify(toPayload(claims)))}`;
      return `${signed}.${signature(newestKey, signed)}`;
    },
    verify(token) {
      if (token.length > MAX_TOKEN_CHARS) return null;
      const headerEnd = token.indexOf(".");
      const payloadEnd = token.length - SIGNATURE_CHARS - 1;
      if (payloadEnd <= headerEnd || token[payloadEnd] !== ".") return null;
      const key = live.get(token.slice(0, headerEnd));
      if (key === undefined) return null;
      if (!isSame(signature(key, token.slice(0, payloadEnd)), token.slice(payloadEnd + 1))) return null;
      return parsePayload(token.slice(headerEnd + 1, payloadEnd));
    },
  };
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64url");
}

function signature(key: KeyObject, signed: string): string {
  return createHmac("sha256", key).update(signed).digest("base64url");
}

// Hits are verified one after the other, so they can share memory: fresh buffers would cost as much as the HMAC.
const expectedBytes = Buffer.alloc(SIGNATURE_CHARS);
const givenBytes = Buffer.alloc(SIGNATURE_CHARS * 3);
const payloadBytes = Buffer.alloc(MAX_TOKEN_CHARS);

/**
 * Compares signatures in constant time, and as text: base64url's spare bits in the last character would let one
 * signature be written in four ways.
 */
function isSame(expected: string, given: string): boolean {
  expectedBytes.write(expected);
  if (givenBytes.write(given) !== SIGNATURE_CHARS) return false;
  return timingSafeEqual(expectedBytes, givenBytes.subarray(0, SIGNATURE_CHARS));
}

function toPayload(claims: TokenClaims): Record<string, string | number> {
  const { node, expiresAt } = claims;
  if (!NODE_CLAIM.test(node)) throw new RangeError("A token's node must come from nodeClaim");
  if (!isExpiry(expiresAt)) throw new RangeError("A token's expiry must be whole Unix seconds");
  const payload = {
    c: shortId(claims.customerId),
    k: shortId(claims.campaignId),
    n: node,
    r: shortId(claims.runId),
    m: shortId(claims.messageId),
    exp: expiresAt,
  };
  if (claims.urlDigest === null) return payload;
  if (!URL_DIGEST.test(claims.urlDigest))
    throw new RangeError("A token's URL digest must come from urlDigest");
  return { ...payload, u: claims.urlDigest };
}

function shortId(id: string): string {
  const short = toShortId(id);
  if (fromShortId(short) !== id) throw new RangeError("A token's ids must be lower-case UUIDs");
  return short;
}

function isExpiry(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MAX_EXPIRY_S;
}

function parsePayload(segment: string): TokenClaims | null {
  // Latin-1, since what is not ASCII is no claim of ours anyway.
  const payload = parseObject(payloadBytes.toString("latin1", 0, payloadBytes.write(segment, "base64url")));
  if (payload === null) return null;
  const { c, k, n, r, m, exp, u = null } = payload;
  if (Object.keys(payload).length !== (u === null ? 6 : 7)) return null;
  const customerId = parseId(c);
  const campaignId = parseId(k);
  const runId = parseId(r);
  const messageId = parseId(m);
  if (customerId === null || campaignId === null || runId === null || messageId === null) return null;
  if (typeof n !== "string" || !NODE_CLAIM.test(n) || !isExpiry(exp)) return null;
  if (u !== null && (typeof u !== "string" || !URL_DIGEST.test(u))) return null;
  return { customerId, campaignId, node: n, runId, messageId, expiresAt: exp, urlDigest: u };
}

function parseObject(json: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}

function parseId(value: unknown): string | null {
  return typeof value === "string" ? fromShortId(value) : null;
}
