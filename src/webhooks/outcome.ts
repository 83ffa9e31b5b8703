import type { Answered, Failed, Failure, Result } from "../egress/result.ts";
import { judgeDiscord } from "./discord-answer.ts";
import { retryAfterSeconds } from "./retry-after.ts";
import { judgeSlack } from "./slack-answer.ts";
import type { EndpointType } from "./told.ts";
import {
  DELIVERED,
  disabling,
  neverTriedAgain,
  triedAgain,
  triedAgainLater,
  type Verdict,
} from "./verdict.ts";

export type { Verdict } from "./verdict.ts";

/**
 * What follows from one attempt (protocols 6).
 * @param now Unix milliseconds, for a `Retry-After` that is a date
 */
export function judge(type: EndpointType, result: Result, now: number): Verdict {
  if (!result.ok) return triedAgain(result.failure, unansweredReason(result));
  const retryAfterS = retryAfterSeconds(result.headers["retry-after"], now);
  switch (type) {
    case "slack":
      return judgeSlack(result, retryAfterS);
    case "discord":
      return judgeDiscord(result, retryAfterS);
    case "custom":
      return judgeCustom(result, retryAfterS);
  }
}

function judgeCustom({ status, headers }: Answered, retryAfterS: number | null): Verdict {
  const wishes = deliveryWishes(headers["webhook-delivery"]);
  const isDelivered = status >= 200 && status < 300;
  if (wishes.has("disable")) {
    const reason = "The server asked to be told nothing more (webhook-delivery: disable).";
    return isDelivered ? { ...DELIVERED, disables: reason } : disabling(status, reason);
  }
  if (isDelivered) return DELIVERED;
  if (status === 410) {
    return disabling(
      status,
      "The server answered 410: nobody is at this address any more, and will not be again.",
    );
  }
  if (wishes.has("abort-message")) {
    const reason = `The server answered ${status} and asked not to get this message again (webhook-delivery: abort-message).`;
    return neverTriedAgain(status, reason);
  }
  return triedAgainLater(status, `The server answered ${status}${meaningOf(status)}`, retryAfterS);
}

/** The open proposal of Standard Webhooks for receivers to say what they want (standard-webhooks #291). */
function deliveryWishes(header: string | undefined): Set<string> {
  return new Set((header ?? "").split(",").map((wish) => wish.trim().toLowerCase()));
}

/** What a status says and what can be done about it, to follow "The server answered 404". */
function meaningOf(status: number): string {
  if (status >= 300 && status < 400) {
    return ", a redirect, and none is followed. Give the endpoint the address it leads to.";
  }
  const meaning = MEANINGS[status];
  if (meaning !== undefined) return `: ${meaning}`;
  if (status >= 500) return ": it failed. Its own logs say why.";
  return status >= 400
    ? ": it did not take the request. Its own logs say why."
    : ", which is neither yes nor no.";
}

const UNKNOWN_CALLER =
  "it does not let EDGR in. Check the endpoint's headers, and how the server verifies the signature.";

const MEANINGS: { readonly [status: number]: string } = {
  401: UNKNOWN_CALLER,
  403: UNKNOWN_CALLER,
  404: "nothing is there. Check the endpoint's URL.",
  405: "it takes no POST there. Check the endpoint's URL.",
  413: "the payload is larger than it takes. Let it take 64 kB at least.",
  415: "it takes no JSON there. Check the endpoint's URL.",
  429: "it gets more than it takes. A rate for the endpoint (ratePerSecond) prevents that.",
  502: "what stands before it did not reach it.",
  503: "it is not available for now.",
  504: "what stands before it got no answer from it in time.",
};

function unansweredReason({ failure, reason, address }: Failed): string {
  const isUnreached = failure === "timeout" && address === null;
  const advice = ADVICE[isUnreached ? "connect" : failure];
  return advice === null ? reason : `${reason} ${advice}`;
}

const ADVICE: Record<Failure, string | null> = {
  refused: "If it is meant to be called, whoever runs EDGR can allow it (EDGR_EGRESS_ALLOW).",
  dns: "Check the endpoint's URL.",
  connect: "Check the endpoint's URL, and whether the server is running.",
  tls: null,
  timeout: "Let the server answer first and work on what it got afterwards.",
  lost: null,
  protocol: "Check the endpoint's URL and its port.",
};
