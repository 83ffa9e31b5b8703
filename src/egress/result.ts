/**
 * What became of a request. Failures are a closed vocabulary: `refused` (an address EDGR must not call), `dns`
 * (the name can't be found), `connect` (nobody answers there), `tls` (the certificate or the handshake), `timeout`
 * (the deadline passed, whatever it was waiting for), `lost` (the connection broke after it was made), `protocol`
 * (what came back is not HTTP).
 */
export type Failure = "refused" | "dns" | "connect" | "tls" | "timeout" | "lost" | "protocol";

/** Milliseconds since the request began; null for what did not happen, or not on a connection kept from before. */
export type Timings = {
  dnsMs: number | null;
  connectMs: number | null;
  tlsMs: number | null;
  firstByteMs: number | null;
  totalMs: number;
};

export type Answered = {
  ok: true;
  status: number;
  /** Names in lower case; several of one name are joined by a comma. */
  headers: { [name: string]: string };
  body: Buffer;
  /** The body was longer than what was read of it. */
  isTruncated: boolean;
  /** The one that was connected to. */
  address: string | null;
  timings: Timings;
};

export type Failed = {
  ok: false;
  failure: Failure;
  /** A sentence, without the request's URL. */
  reason: string;
  address: string | null;
  timings: Timings;
};

export type Result = Answered | Failed;

const NOTHING_HAPPENED: Timings = {
  dnsMs: null,
  connectMs: null,
  tlsMs: null,
  firstByteMs: null,
  totalMs: 0,
};

export function failed(
  failure: Failure,
  reason: string,
  address: string | null = null,
  timings = NOTHING_HAPPENED,
): Failed {
  return { ok: false, failure, reason, address, timings };
}
