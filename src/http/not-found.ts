import type { Context, Hono } from "hono";
import type { ApiEnv } from "./env.ts";
import { problemResponse } from "./problem.ts";

/** Answers what no route took: 405 with `Allow` when the address exists for another method, else 404. */
export function answerUnmatched(app: Hono<ApiEnv>): (c: Context<ApiEnv>) => Response {
  let routes: { method: string; pattern: RegExp }[] | undefined;
  return (c) => {
    routes ??= app.routes
      .filter((route) => route.method !== "ALL")
      .map((route) => ({ method: route.method, pattern: patternOf(route.path) }));
    const allowed = routes.filter((route) => route.pattern.test(c.req.path)).map((route) => route.method);
    if (allowed.length === 0) {
      return problemResponse(c, { code: "not_found", detail: "There is no such address.", fields: [] });
    }
    const methods = new Set(allowed.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])));
    c.header("Allow", [...methods].join(", "));
    return problemResponse(c, {
      code: "method_not_allowed",
      detail: `This address takes ${[...methods].join(", ")}.`,
      fields: [],
    });
  };
}

function patternOf(path: string): RegExp {
  const source = path.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll(/:[^/]+/g, "[^/]+");
  return new RegExp(`^${source}$`);
}
