import {
  hitEvent,
  isExpired,
  readClaims,
  readVisitor,
  type TrackingContext,
  type TrackingDeps,
} from "./hit.ts";

/** One transparent point, 43 bytes; the shorter GIFs in circulation are opaque or leave it to the decoder. */
export const GIF = Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==", "base64");

// No validators: a 304 would hide an open. `max-age`, `Pragma` and `Expires` are for old caches.
const NO_STORE = {
  "Cache-Control": "no-store, no-cache, must-revalidate, private, max-age=0",
  Pragma: "no-cache",
  Expires: "0",
};
const GIF_RESPONSE = {
  headers: new Headers({ "Content-Type": "image/gif", "Content-Length": String(GIF.length), ...NO_STORE }),
};
const RETRY_RESPONSE = { status: 503, headers: new Headers({ "Retry-After": "30", ...NO_STORE }) };

/**
 * `GET ?t=`: records an open, durably, and answers with the gif. A bad token gets the same gif, so that nobody
 * learns which tokens are good. When the open can't be recorded the answer is 503, since image proxies try again.
 */
export async function pixel(deps: TrackingDeps, c: TrackingContext): Promise<Response> {
  if (c.req.method === "HEAD") return gif();
  const claims = readClaims(deps, c);
  if (claims === null || claims.urlDigest !== null) {
    deps.counters.badToken("pixel");
    return gif();
  }
  const now = deps.now();
  if (isExpired(claims, now)) {
    deps.counters.lateHit("pixel");
    return gif();
  }
  try {
    await deps.append(hitEvent("email_opened", claims, readVisitor(deps, c), now, {}));
  } catch (error) {
    deps.counters.lostHit("pixel");
    deps.log.failed("pixel", error);
    return new Response(null, RETRY_RESPONSE);
  }
  return gif();
}

function gif(): Response {
  return new Response(GIF, GIF_RESPONSE);
}
