import type { Context, MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import type { Logger } from "pino";
import type { ApiEnv } from "./env.ts";
import type { Metrics } from "./metrics.ts";
import { requestIdOf } from "./request-id.ts";

const HEADERS = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "X-Frame-Options": "DENY",
};

/** What every answer but a tracking hit gets: a request id, security headers, a measurement, a line of log. */
export function edge(metrics: Metrics, logger: Logger): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const start = performance.now();
    const requestId = requestIdOf(c);
    await next();
    c.header("X-Request-Id", requestId);
    for (const [name, value] of Object.entries(HEADERS)) c.header(name, value);
    const seconds = (performance.now() - start) / 1000;
    const { method } = c.req;
    const { status } = c.res;
    const route = routePattern(c);
    metrics.request(KNOWN_METHODS.has(method) ? method : "other", route, status, seconds);
    logger.debug({ requestId, method, route, status, seconds }, "request");
  };
}

/** Answers of the API are one customer's: no cache between may keep them, unless a route says who may. */
export function neverStored(): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    await next();
    if (!c.res.headers.has("Cache-Control")) c.header("Cache-Control", "no-store");
  };
}

/** The pattern of the route that answers, `unmatched` when none does. */
export function routePattern(c: Context<ApiEnv>): string {
  return matchedRoutes(c).find((route) => route.method !== "ALL")?.path ?? "unmatched";
}

const KNOWN_METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
