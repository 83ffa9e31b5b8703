import { OpenAPIHono } from "@hono/zod-openapi";
import type { Hono } from "hono";
import type { Logger } from "pino";
import type { Database } from "../storage/pool.ts";
import { authenticate } from "./auth.ts";
import { edge, neverStored } from "./edge.ts";
import type { ApiEnv, ApiRoutes, Bindings } from "./env.ts";
import { idempotency } from "./idempotency.ts";
import { readJsonBody } from "./json-body.ts";
import type { Metrics } from "./metrics.ts";
import { answerUnmatched } from "./not-found.ts";
import { pageRoutes, type Ready } from "./pages.ts";
import { answerErrors, refuseInvalid } from "./problem.ts";
import { refuseUnknownQuery } from "./query-string.ts";

export const API_PATH = "/api/v1";

export type AppDeps = {
  database: Database;
  config: { publicUrl: string };
  /** Seals the answers that are kept for an `Idempotency-Key`. */
  encryptionKey: Buffer;
  /** Pixel, click, unsubscribe. Mounted before everything else and behind no middleware: they are the hot path. */
  trackingApp: Hono<{ Bindings: Bindings }>;
  ready: Ready;
  logger: Logger;
  now: () => Date;
  metrics: Metrics;
  /** One for each resource, such as `contactRoutes()`; their paths begin under /api/v1. */
  resources: readonly ApiRoutes[];
};

/** The whole HTTP surface of a process, without a port: `app.request(...)` in tests, a server in production. */
export function createApp(deps: AppDeps): OpenAPIHono<ApiEnv> {
  const { database, logger, metrics, now } = deps;
  const app = new OpenAPIHono<ApiEnv>({ defaultHook: refuseInvalid });
  const measured = edge(metrics, logger);
  app.onError(answerErrors(logger));
  app.route("/", deps.trackingApp);

  app.use(
    `${API_PATH}/*`,
    measured,
    neverStored(),
    authenticate(database.db, now),
    refuseUnknownQuery(app),
    readJsonBody(),
    idempotency(database.db, deps.encryptionKey),
  );
  for (const resource of deps.resources) app.route(API_PATH, resource);

  const pages = pageRoutes({ app, publicUrl: deps.config.publicUrl, ready: deps.ready, metrics, logger });
  for (const { path } of pages.routes) app.use(path, measured);
  app.route("/", pages);

  const unmatched = answerUnmatched(app);
  app.notFound(async (c) => {
    // The middleware of /api/v1 and of the pages has run already; elsewhere this is the first to see the request.
    const seen: string | undefined = c.get("requestId");
    if (seen !== undefined) return unmatched(c);
    await measured(c, async () => {
      c.res = unmatched(c);
    });
    return c.res;
  });
  return app;
}
