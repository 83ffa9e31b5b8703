import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { json, problems } from "../http/openapi.ts";
import { catalogueEntry } from "./catalogue.ts";
import { CATALOGUE_TYPES, isCatalogueType } from "./catalogue-types.ts";
import { patternProblem } from "./event-pattern.ts";

const tags = ["Webhooks"];

const entry = z
  .object({
    type: z.string().openapi({ example: "email_opened" }),
    description: z.string().openapi({ example: "Somebody opened the email." }),
    payloadVersion: z.int().openapi({ type: "integer", example: 1 }),
    schema: z.record(z.string(), z.unknown()).openapi({
      description: "JSON Schema 2020-12 of the body that a `custom` endpoint gets.",
      example: { type: "object", required: ["type", "timestamp", "data"] },
    }),
    example: z.record(z.string(), z.unknown()).openapi({
      description: "Such a body.",
      example: { type: "email_opened", timestamp: "2026-03-06T20:00:26.893Z", data: { data: {} } },
    }),
  })
  .openapi("EventTypeDescription");

const list = createRoute({
  method: "get",
  path: "/event-types",
  operationId: "listEventTypes",
  tags,
  summary: "The catalogue of events that webhooks tell of",
  description: "All of it in one page, in the order of the documentation.",
  responses: {
    200: json(z.object({ items: z.array(entry), nextCursor: z.null() }), "Every type"),
    ...problems(),
  },
});

const read = createRoute({
  method: "get",
  path: "/event-types/{type}",
  operationId: "getEventType",
  tags,
  summary: "Get one type of event: its JSON Schema and an example",
  request: {
    params: z.object({ type: z.string().max(64).openapi({ example: "email_opened" }) }),
  },
  responses: { 200: json(entry, "The type"), ...problems("invalid", "not_found") },
});

export function eventTypeRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(list, (c) => c.json({ items: CATALOGUE_TYPES.map(catalogueEntry), nextCursor: null }, 200));

  routes.openapi(read, (c) => {
    const { type } = c.req.valid("param");
    if (isCatalogueType(type)) return c.json(catalogueEntry(type), 200);
    throw new AppError("not_found", `The type ${patternProblem(type) ?? "is a pattern: ask for one type"}.`);
  });

  return routes;
}
