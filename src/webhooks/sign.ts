import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  timingSafeEqual,
  verify as verifySignature,
} from "node:crypto";

/** Standard Webhooks 1.0.0: what a signed request carries. */
export type SignatureHeaders = {
  "webhook-id": string;
  "webhook-timestamp": string;
  "webhook-signature": string;
};

/** A request about to be made. `timestamp`: the attempt's, in Unix seconds. */
export type Unsigned = { id: string; timestamp: number; body: string };

export type Verified = { ok: true } | { ok: false; reason: string };

const SECRET_PREFIX = "whsec_";
const PRIVATE_PREFIX = "whsk_";
const PUBLIC_PREFIX = "whpk_";

const SEED_BYTES = 32;
const PUBLIC_BYTES = 32;
/** The specification's bounds for a symmetric key. */
const MIN_SECRET_BYTES = 24;
const MAX_SECRET_BYTES = 64;
/** The specification sets none; its libraries use five minutes both ways. */
export const TOLERANCE_S = 300;

/** The three headers of a signed request. */
export const SIGNATURE_NAMES = ["webhook-id", "webhook-timestamp", "webhook-signature"] as const;

const ID_PREFIXES = { event: "evt", digest: "dig", test: "test" } as const;

/**
 * The `webhook-id` of a delivery: the same over retries and replays, for receivers to tell what they have had.
 * @param eventId of the event, or the id made for a digest or a test
 */
export function webhookId(kind: keyof typeof ID_PREFIXES, eventId: string): string {
  return `${ID_PREFIXES[kind]}_${eventId.replaceAll("-", "")}`;
}

/**
 * Signs with every secret (`v1`, HMAC-SHA256, in their order) and the key pair (`v1a`, ed25519): receivers in the
 * middle of a rotation find theirs among them.
 * @param keys.secrets `whsec_…`, newest first
 * @param keys.signingKey `whsk_…`, or what `privateKey` makes of it: reading it takes as long as signing
 */
export function signatureHeaders(
  { id, timestamp, body }: Unsigned,
  keys: { secrets: readonly string[]; signingKey: string | KeyObject },
): SignatureHeaders {
  const content = signedContent(id, String(timestamp), body);
  const symmetric = keys.secrets.map((secret) => `v1,${hmac(secret, content).toString("base64")}`);
  const key = typeof keys.signingKey === "string" ? privateKey(keys.signingKey) : keys.signingKey;
  const asymmetric = `v1a,${sign(null, content, key).toString("base64")}`;
  return {
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": [...symmetric, asymmetric].join(" "),
  };
}

/**
 * What a receiver does with a request.
 * @param headers names in any case
 * @param body as it came, byte for byte
 * @param key a `whsec_…` secret or a `whpk_…` public key
 * @param now Unix seconds
 * @throws when `key` is neither
 */
export function verify(
  headers: { [name: string]: string },
  body: string | Uint8Array,
  key: string,
  now: number,
  toleranceSeconds = TOLERANCE_S,
): Verified {
  const found = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const [id, timestamp, signatures] = SIGNATURE_NAMES.map((name) => found.get(name) ?? "");
  if (!id || !timestamp || !signatures) {
    const missing = SIGNATURE_NAMES.filter((name) => !found.get(name));
    return { ok: false, reason: `The header ${missing[0]} is missing.` };
  }
  if (!/^\d{1,12}$/.test(timestamp))
    return { ok: false, reason: "webhook-timestamp is not a number of seconds." };
  const age = now - Number(timestamp);
  if (Math.abs(age) > toleranceSeconds)
    return { ok: false, reason: `webhook-timestamp is too ${age > 0 ? "old" : "new"}.` };
  const isOurs = matcherFor(key, signedContent(id, timestamp, body));
  return signatures.split(" ").some(isOurs)
    ? { ok: true }
    : { ok: false, reason: "No signature in webhook-signature is this key's." };
}

/** @param bytes 32 random ones */
export function toSecret(bytes: Buffer): string {
  return SECRET_PREFIX + bytes.toString("base64");
}

/**
 * The ed25519 key pair of a seed, as the specification writes it.
 * @param seed 32 random bytes
 */
export function toKeyPair(seed: Buffer): { signingKey: string; publicKey: string } {
  const pkcs8 = Buffer.concat([PKCS8_HEAD, seed]);
  const key = createPublicKey(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
  const bytes = key.export({ format: "der", type: "spki" }).subarray(-PUBLIC_BYTES);
  return {
    signingKey: PRIVATE_PREFIX + Buffer.concat([seed, bytes]).toString("base64"),
    publicKey: PUBLIC_PREFIX + bytes.toString("base64"),
  };
}

function signedContent(id: string, timestamp: string, body: string | Uint8Array): Buffer {
  return Buffer.concat([
    Buffer.from(`${id}.${timestamp}.`),
    typeof body === "string" ? Buffer.from(body) : body,
  ]);
}

function matcherFor(key: string, content: Buffer): (signature: string) => boolean {
  if (key.startsWith(PUBLIC_PREFIX)) {
    const publicKey = toPublicKey(key);
    return (text) =>
      text.startsWith("v1a,") &&
      verifySignature(null, content, publicKey, Buffer.from(text.slice(4), "base64"));
  }
  const expected = Buffer.from(`v1,${hmac(key, content).toString("base64")}`);
  return (text) => {
    const given = Buffer.from(text);
    return given.length === expected.length && timingSafeEqual(given, expected);
  };
}

function hmac(secret: string, content: Buffer): Buffer {
  const key = bytesOf(secret, SECRET_PREFIX);
  if (key.length < MIN_SECRET_BYTES || key.length > MAX_SECRET_BYTES)
    throw new Error(`a secret must have ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} bytes`);
  return createHmac("sha256", key).update(content).digest();
}

/** @param signingKey `whsk_…` */
export function privateKey(signingKey: string): KeyObject {
  const bytes = bytesOf(signingKey, PRIVATE_PREFIX);
  if (bytes.length !== SEED_BYTES + PUBLIC_BYTES) throw new Error("a signing key must have 64 bytes");
  const pkcs8 = Buffer.concat([PKCS8_HEAD, bytes.subarray(0, SEED_BYTES)]);
  return createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
}

function toPublicKey(key: string): KeyObject {
  const bytes = bytesOf(key, PUBLIC_PREFIX);
  if (bytes.length !== PUBLIC_BYTES) throw new Error("a public key must have 32 bytes");
  return createPublicKey({ key: Buffer.concat([SPKI_HEAD, bytes]), format: "der", type: "spki" });
}

// RFC 8410: what stands before the 32 bytes of an ed25519 key in PKCS #8 and in SubjectPublicKeyInfo.
const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_HEAD = Buffer.from("302a300506032b6570032100", "hex");

function bytesOf(text: string, prefix: string): Buffer {
  if (!text.startsWith(prefix)) throw new Error(`a key of this kind begins with ${prefix}`);
  return Buffer.from(text.slice(prefix.length), "base64");
}
