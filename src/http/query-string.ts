import type { OpenAPIHono } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import type { FieldProblem } from "../errors.ts";
import { routePattern } from "./edge.ts";
import type { ApiEnv } from "./env.ts";
import { fieldPath, invalid } from "./problem.ts";

/**
 * Refuses parameters that the route does not document, and those given twice: a filter with a typing error
 * would otherwise answer with everything.
 */
export function refuseUnknownQuery(app: OpenAPIHono<ApiEnv>): MiddlewareHandler<ApiEnv> {
  let documented: Map<string, Set<string>> | undefined;
  return async (c, next) => {
    const route = routePattern(c);
    if (route !== "unmatched") {
      documented ??= documentedParameters(app);
      const method = c.req.method === "HEAD" ? "GET" : c.req.method;
      const known = documented.get(`${method} ${route}`) ?? new Set();
      const fields = Object.entries(c.req.queries()).flatMap(([name, values]) =>
        problemsOf(name, values, known),
      );
      if (fields.length > 0) throw invalid(fields);
    }
    await next();
  };
}

function problemsOf(name: string, values: readonly string[], known: ReadonlySet<string>): FieldProblem[] {
  const field = fieldPath([name]);
  if (!known.has(name)) return [{ field, reason: "is not a parameter of this address" }];
  if (values.length > 1) return [{ field, reason: "is given more than once" }];
  return values.some((value) => value.includes("\0") || !value.isWellFormed())
    ? [{ field, reason: "must not contain a NUL character or half of a surrogate pair" }]
    : [];
}

function documentedParameters(app: OpenAPIHono<ApiEnv>): Map<string, Set<string>> {
  const document = app.getOpenAPI31Document({ openapi: "3.1.0", info: { title: "", version: "" } });
  const parameters = new Map<string, Set<string>>();
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const [method, operation] of Object.entries(item)) {
      const names = (operation?.parameters ?? []).flatMap((parameter: { in?: string; name?: string }) =>
        parameter.in === "query" && parameter.name !== undefined ? [parameter.name] : [],
      );
      parameters.set(`${method.toUpperCase()} ${path.replaceAll(/\{(.+?)\}/g, ":$1")}`, new Set(names));
    }
  }
  return parameters;
}
