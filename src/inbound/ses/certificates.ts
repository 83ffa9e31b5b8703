import type { Egress } from "../../egress/client.ts";
import type { Result } from "../../egress/result.ts";
import { setNewest } from "../../newest.ts";
import { isCertificateFor, parseCertificate, type SigningCertificate, type SnsMessage } from "./sns.ts";
import { isCertificateUrl } from "./topic.ts";

/**
 * `refused`: the message names no certificate of SNS's, and never will. `unavailable`: it can't be had at the
 * moment, which is no fault of the message.
 */
export type FoundCertificate =
  | { ok: true; certificate: SigningCertificate }
  | { ok: false; kind: "refused" | "unavailable"; reason: string };

export type Certificates = {
  /** The certificate that a message names, if it may be believed. Never rejects. */
  of(message: SnsMessage): Promise<FoundCertificate>;
};

export type CertificateOptions = {
  egress: Pick<Egress, "send">;
  /** `host` or `host:port` of stand-ins that may serve certificates, over http too (EDGR_SNS_TRUSTED_HOSTS). */
  trustedHosts: readonly string[];
  /** How those are reached: they are where public servers are not. */
  trustedEgress: Pick<Egress, "send">;
  now: () => number;
};

/** A handful of regions, each with the certificate of this year and of the last. */
const MAX_KEPT = 64;
const FAILURE_KEPT_MS = 60_000;
/** Whoever writes new names into the address makes us ask no more often than this. */
const MAX_FETCHES_PER_MINUTE = 30;
/** Well under the 15 seconds that SNS waits. */
const DEADLINE_MS = 5_000;
/** A certificate has some 2 kB. */
const MAX_BYTES = 16_384;
const UNAVAILABLE = { ok: false, kind: "unavailable" } as const;

type Kept = { answer: Promise<Fetched>; until: number };
type Fetched =
  | { ok: true; certificate: SigningCertificate }
  | (typeof UNAVAILABLE & { reason: string })
  | Refused;
type Refused = { ok: false; kind: "refused"; reason: string };

/** Fetches signing certificates, once for each address, and keeps them. */
export function createCertificates(options: CertificateOptions): Certificates {
  const { now } = options;
  const kept = new Map<string, Kept>();
  let minute = 0;
  let fetches = 0;

  function fetchOnce(url: string, isTrusted: boolean): Promise<Fetched> {
    const known = kept.get(url);
    if (known !== undefined && known.until > now()) {
      kept.delete(url);
      kept.set(url, known);
      return known.answer;
    }
    if (!mayFetch())
      return Promise.resolve({ ...UNAVAILABLE, reason: "Too many certificates were asked for." });
    const entry: Kept = {
      answer: Promise.resolve({ ...UNAVAILABLE, reason: "" }),
      until: Number.POSITIVE_INFINITY,
    };
    entry.answer = fetchCertificate(url, isTrusted ? options.trustedEgress : options.egress).then(
      (answer) => {
        if (!answer.ok) entry.until = now() + FAILURE_KEPT_MS;
        return answer;
      },
    );
    setNewest(kept, url, entry, MAX_KEPT);
    return entry.answer;
  }

  function mayFetch(): boolean {
    const present = Math.floor(now() / 60_000);
    if (present !== minute) fetches = 0;
    minute = present;
    fetches += 1;
    return fetches <= MAX_FETCHES_PER_MINUTE;
  }

  return {
    async of(message) {
      const url = message.signingCertUrl;
      const isTrusted = isAtTrustedHost(url, options.trustedHosts);
      if (!isTrusted && !isCertificateUrl(url, message.topic))
        return refused("Its SigningCertURL is not an address of SNS's certificates.");
      const fetched = await fetchOnce(url, isTrusted);
      if (!fetched.ok || isTrusted) return fetched;
      return isCertificateFor(fetched.certificate, message, new Date(now()))
        ? fetched
        : refused("Its certificate is for another region, or was not valid.");
    },
  };
}

/** @param trustedHosts as an operator writes them: `localhost:4566` */
export function isAtTrustedHost(url: string, trustedHosts: readonly string[]): boolean {
  if (trustedHosts.length === 0 || !URL.canParse(url)) return false;
  const { protocol, host, username, password } = new URL(url);
  return /^https?:$/.test(protocol) && username === "" && password === "" && trustedHosts.includes(host);
}

async function fetchCertificate(url: string, egress: Pick<Egress, "send">): Promise<Fetched> {
  const result = await egress.send({
    url,
    method: "GET",
    headers: { Accept: "application/x-pem-file, */*" },
    body: null,
    deadlineMs: DEADLINE_MS,
    maxBodyBytes: MAX_BYTES,
  });
  if (!result.ok) return { ...UNAVAILABLE, reason: `Its certificate could not be fetched. ${result.reason}` };
  if (result.status !== 200) return unfetched(result);
  const certificate = result.isTruncated ? null : parseCertificate(result.body.toString("latin1"));
  return certificate === null
    ? refused("What is at its SigningCertURL is not a certificate.")
    : { ok: true, certificate };
}

function unfetched({ status }: Extract<Result, { ok: true }>): Fetched {
  const reason = `Its certificate could not be fetched: SNS answered ${status}.`;
  return status >= 500 || status === 429 ? { ...UNAVAILABLE, reason } : refused(reason);
}

function refused(reason: string): Refused {
  return { ok: false, kind: "refused", reason };
}
