import { readClaims, type TrackingContext, type TrackingDeps } from "./hit.ts";
import { badLinkPage, cannotShowPage, notShownPage, testMessagePage } from "./pages.ts";

// A customer wrote the HTML, and our address shows it: nothing in it may run, submit, frame or reach what is ours.
const POLICY = [
  "default-src 'none'",
  "img-src https: http: data:",
  "style-src 'unsafe-inline' https:",
  "font-src https: data:",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation",
].join("; ");

const HEADERS = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy": POLICY,
  "Cache-Control": "no-store",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Robots-Tag": "noindex",
};

/**
 * `GET ?t=`, with the token of the unsubscribe link: the message in the browser, with its tracked links and without
 * the pixel, because looking at it here is not opening the email. An expired token still shows it; its links have
 * expired too.
 */
export async function view(deps: TrackingDeps, c: TrackingContext): Promise<Response> {
  const claims = readClaims(deps, c);
  if (claims === null || claims.urlDigest !== null) {
    deps.counters.badToken("view");
    return badLinkPage();
  }
  try {
    const message = await deps.view(claims);
    if (message.kind === "shown") return new Response(message.html, { headers: HEADERS });
    return message.kind === "unknown_message" ? testMessagePage() : notShownPage(message.kind);
  } catch (error) {
    deps.log.failed("view", error);
    return cannotShowPage();
  }
}
