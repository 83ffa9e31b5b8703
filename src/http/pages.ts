import { createHash } from "node:crypto";
import type { OpenAPIHono } from "@hono/zod-openapi";
import { type Context, Hono } from "hono";
import type { Logger } from "pino";
import { renderLanding } from "./docs/landing.ts";
import { renderDocs } from "./docs/page.ts";
import { STYLE } from "./docs/style.ts";
import type { ApiEnv } from "./env.ts";
import type { Metrics } from "./metrics.ts";
import { type OpenApiDocument, openApiDocument } from "./openapi-document.ts";

/**
 * Whether this process can do its work: its database answers and has this version's schema. Degraded: the database is
 * away, and hits are taken into the spool.
 */
export type Ready = () => Promise<
  | { ready: true }
  | { ready: "degraded"; reason: string; spool: SpoolState }
  | { ready: false; reason: string }
>;

type SpoolState = { events: number; bytes: number; oldestAt: Date | null; setAside: number };

const CACHE = "public, max-age=300";
const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");
const CSP = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/**
 * What is outside of the API: the landing page, the documentation, health and metrics. None of it asks for a key;
 * an installation that is reachable by others keeps /metrics from them at its reverse proxy.
 */
export function pageRoutes(deps: {
  app: OpenAPIHono<ApiEnv>;
  publicUrl: string;
  ready: Ready;
  metrics: Metrics;
  logger: Logger;
}): Hono<ApiEnv> {
  const pages = new Hono<ApiEnv>();
  // Routes are mounted after this runs, so the document is made when it is first asked for, and kept.
  let made: { document: OpenApiDocument; docs: Promise<string> } | undefined;
  function documentation() {
    if (made === undefined) {
      const document = openApiDocument(deps.app, deps.publicUrl);
      made = { document, docs: renderDocs(document) };
    }
    return made;
  }

  pages.get("/", async (c) => page(c, await renderLanding(deps.publicUrl)));
  pages.get("/docs", async (c) => page(c, await documentation().docs));
  pages.get("/openapi.json", (c) => c.json(documentation().document, 200, { "Cache-Control": CACHE }));
  pages.get("/healthz", (c) => c.json({ status: "up" }, 200, { "Cache-Control": "no-store" }));
  pages.get("/readyz", async (c) => {
    const state = await readiness(deps.ready, deps.logger);
    const headers = { "Cache-Control": "no-store" };
    switch (state.ready) {
      case true:
        return c.json({ status: "ready" }, 200, headers);
      case "degraded":
        return c.json({ status: "degraded", reason: state.reason, spool: state.spool }, 200, headers);
      case false:
        return c.json({ status: "not ready", reason: state.reason }, 503, headers);
    }
  });
  pages.get("/metrics", async (c) =>
    c.body(await deps.metrics.registry.metrics(), 200, {
      "Content-Type": deps.metrics.registry.contentType,
      "Cache-Control": "no-store",
    }),
  );
  return pages;
}

function page(c: Context<ApiEnv>, html: string): Response {
  return c.html(html, 200, { "Cache-Control": CACHE, "Content-Security-Policy": CSP });
}

async function readiness(ready: Ready, logger: Logger): ReturnType<Ready> {
  try {
    return await ready();
  } catch (error) {
    logger.warn({ err: error }, "the readiness check failed");
    return { ready: false, reason: "the check failed" };
  }
}
