import { Hono } from "hono";
import { click } from "./click.ts";
import type { TrackingContext, TrackingDeps, TrackingEnv } from "./hit.ts";
import { CLICK_PATH, PIXEL_PATH, PREFERENCES_PATH, UNSUBSCRIBE_PATH, VIEW_PATH } from "./links.ts";
import { pixel } from "./pixel.ts";
import { preferences } from "./preferences.ts";
import { unsubscribe } from "./unsubscribe.ts";
import { view } from "./view.ts";

type Handler = (deps: TrackingDeps, c: TrackingContext) => Promise<Response>;

/**
 * The addresses in every email, for the app to mount at its root. An open or a click is one `append` and no
 * other query. They set no cookie and ask for no key: the token is all there is.
 */
export function trackingRoutes(deps: TrackingDeps): Hono<TrackingEnv> {
  const app = new Hono<TrackingEnv>();
  // One handler for each path: with a second one for the other methods Hono would no longer call it directly.
  const serve = (path: string, methods: readonly string[], handler: Handler) => {
    app.all(path, (c) => (methods.includes(c.req.method) ? handler(deps, c) : methodNotAllowed(methods)));
  };
  serve(PIXEL_PATH, ["GET", "HEAD"], pixel);
  serve(CLICK_PATH, ["GET", "HEAD"], click);
  serve(UNSUBSCRIBE_PATH, ["GET", "HEAD", "POST"], unsubscribe);
  serve(PREFERENCES_PATH, ["GET", "HEAD", "POST"], preferences);
  serve(VIEW_PATH, ["GET", "HEAD"], view);
  return app;
}

function methodNotAllowed(methods: readonly string[]): Response {
  const problem = {
    type: "urn:edgr:problem:method_not_allowed",
    title: "This address does not take that method",
    status: 405,
  };
  const headers = { "Content-Type": "application/problem+json", Allow: methods.join(", ") };
  return new Response(JSON.stringify(problem), { status: 405, headers });
}
