import {
  hitEvent,
  isExpired,
  readClaims,
  readParameter,
  readVisitor,
  type TrackingContext,
  type TrackingDeps,
} from "./hit.ts";
import { decodeClickUrl } from "./links.ts";
import { badLinkPage } from "./pages.ts";
import { urlDigest } from "./token.ts";

// RFC 3986: anything else is not for a Location header as it stands.
const URI = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/;

/**
 * `GET ?t=&url=`: records a click, durably, and redirects to the URL that the token was signed for; no other, or
 * we would be an open redirect. A person must not be stopped: when the click can't be recorded they are
 * redirected all the same, and the event goes to the log, from where it can be recovered.
 */
export async function click(deps: TrackingDeps, c: TrackingContext): Promise<Response> {
  const claims = readClaims(deps, c);
  const encoded = readParameter(c.req.url, "url");
  const url = claims === null || encoded === null ? null : decodeClickUrl(encoded);
  if (claims === null || url === null || urlDigest(url) !== claims.urlDigest) {
    deps.counters.badToken("click");
    return badLinkPage();
  }
  if (c.req.method === "HEAD") return redirect(url);
  const now = deps.now();
  if (isExpired(claims, now)) {
    deps.counters.lateHit("click");
    return redirect(url);
  }
  const event = hitEvent("email_clicked", claims, readVisitor(deps, c), now, { clickedUrl: url });
  try {
    await deps.append(event);
  } catch (error) {
    deps.counters.lostHit("click");
    deps.log.lostHit(event, error);
  }
  return redirect(url);
}

/** 302, because a 301 is cached and hides later clicks; without a referrer, which would give the token away. */
function redirect(url: string): Response {
  return new Response(null, {
    status: 302,
    headers: {
      Location: toLocation(url),
      "Cache-Control": "no-store, no-cache, must-revalidate, private, max-age=0",
      "Referrer-Policy": "no-referrer",
      "X-Robots-Tag": "noindex",
    },
  });
}

/** The URL byte for byte where it is one already, else as a browser would send it: ASCII, percent-encoded. */
function toLocation(url: string): string {
  return URI.test(url) ? url : new URL(url).href;
}
