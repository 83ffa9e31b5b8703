import { MAX_AGE_S } from "./retry.ts";

/** What an attempt's end means for its delivery and its endpoint. */
export type Verdict = {
  outcome: "delivered" | "failed";
  /** Nothing is tried again by itself. */
  isFinal: boolean;
  /** Not null: the endpoint is of no use any more, and this sentence says why. */
  disables: string | null;
  /** Seconds that the server asked to wait before this delivery is tried again. */
  retryAfterS: number | null;
  /** Seconds in which nothing goes to the endpoint; at most the maximal age of a delivery. */
  slowsForS: number | null;
  /** Slows every Discord endpoint of the process: the limit is of the address we call from. */
  isGlobal: boolean;
  /** A failure of the endpoint, which our own bad payload is not, nor its wish to be called less. */
  countsAgainst: boolean;
  /** Its class: `http_500`, `timeout`, `dns`, `not_ok`, …; null when delivered. */
  failure: string | null;
  /** A sentence for people, with what they can do; null when delivered. */
  reason: string | null;
};

/** Statuses by which a server says that it gets too much (Standard Webhooks 1.0.0). */
const SLOWING = new Set([429, 502, 504]);
const DEFAULT_SLOW_S = 60;

export const DELIVERED: Verdict = {
  outcome: "delivered",
  isFinal: true,
  disables: null,
  retryAfterS: null,
  slowsForS: null,
  isGlobal: false,
  countsAgainst: false,
  failure: null,
  reason: null,
};

/** A failure that is tried again by the schedule. */
export function triedAgain(failure: string, reason: string): Verdict {
  return { ...DELIVERED, outcome: "failed", isFinal: false, countsAgainst: true, failure, reason };
}

/** The same, of an answer with a status that says so. */
export function triedAgainLater(status: number, reason: string, retryAfterS: number | null): Verdict {
  // 503 says that the server is not there for that long; without a time, it is a failure like others.
  const isSlowing = SLOWING.has(status) || (status === 503 && retryAfterS !== null);
  return {
    ...triedAgain(`http_${status}`, reason),
    retryAfterS,
    slowsForS: isSlowing ? slowFor(retryAfterS) : null,
    countsAgainst: status !== 429,
  };
}

/** What we sent is at fault, or unwanted: the same would be refused for ever, and other messages need not be. */
export function neverTriedAgain(status: number, reason: string): Verdict {
  return { ...triedAgain(`http_${status}`, reason), isFinal: true, countsAgainst: false };
}

/** Nothing gets through any more; the delivery itself may, once somebody has mended the endpoint. */
export function disabling(status: number, reason: string): Verdict {
  return { ...triedAgain(`http_${status}`, reason), disables: reason };
}

function slowFor(retryAfterS: number | null): number {
  return Math.min(MAX_AGE_S, retryAfterS ?? DEFAULT_SLOW_S);
}
