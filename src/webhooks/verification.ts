import { SIGNATURE_NAMES, TOLERANCE_S, verify } from "./sign.ts";

/** How a receiver verifies a request, and what it finds. */
export type Verification = {
  id: string;
  timestamp: string;
  signature: string;
  /** Over which the signatures are. */
  signedContent: string;
  /** Those that sign now. */
  secrets: { id: string; last4: string; isVerified: boolean }[];
  publicKey: { key: string; isVerified: boolean };
  /** Receivers refuse what is older than five minutes. */
  isRecent: boolean;
};

/**
 * Does with a request that was made what its receiver does, at the time at which it was made.
 * @param request.headers names in any case
 * @param keys.secrets `whsec_…`; `keys.publicKey` `whpk_…`
 * @returns null when the request was not signed
 */
export function verification(
  request: { headers: { [name: string]: string }; body: string },
  keys: { secrets: readonly { id: string; secret: string }[]; publicKey: string },
  now: Date,
): Verification | null {
  const found = new Map(Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]));
  const [id, timestamp, signature] = SIGNATURE_NAMES.map((name) => found.get(name));
  if (id === undefined || timestamp === undefined || signature === undefined) return null;
  const isVerified = (key: string) => verify(request.headers, request.body, key, Number(timestamp)).ok;
  return {
    id,
    timestamp,
    signature,
    signedContent: `${id}.${timestamp}.${request.body}`,
    secrets: keys.secrets.map(({ id: secretId, secret }) => ({
      id: secretId,
      last4: secret.slice(-4),
      isVerified: isVerified(secret),
    })),
    publicKey: { key: keys.publicKey, isVerified: isVerified(keys.publicKey) },
    isRecent: Math.abs(now.getTime() / 1000 - Number(timestamp)) <= TOLERANCE_S,
  };
}
