import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import { AGENTS, EVENT_TYPES } from "../events/event.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { id, idParams, time } from "../http/fields.ts";
import { json, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import { type Activity, selectActivity } from "./activity-queries.ts";
import { findContact } from "./queries.ts";

const activity = z
  .object({
    id: id().openapi({ description: "The event's own." }),
    type: z.enum(EVENT_TYPES).openapi({
      description:
        "What begins with `provider_` is what a provider says by itself of sending, openings, clicks and preferences: " +
        "it is recorded here, and moves no status, counter or edge. (Who unsubscribed there gets `unsubscribed` beside it.)",
      example: "email_clicked",
    }),
    at: time(),
    campaignId: id().nullable(),
    nodeId: z.string().nullable().openapi({ example: "hello" }),
    runId: id().nullable(),
    messageId: id().nullable(),
    agent: z
      .enum(AGENTS)
      .nullable()
      .openapi({
        description:
          "Who made a hit: a person, an image proxy that fetches when a person opens, a privacy proxy that prefetches, " +
          "or a link scanner. Null for what is no hit.",
        example: "human",
      }),
    agentRule: z.string().nullable().openapi({ description: "The rule that decided.", example: "browser" }),
    userAgent: z.string().nullable().openapi({ example: "Mozilla/5.0 Firefox/148.0" }),
    ip: z.string().nullable().openapi({
      description: "Whole, truncated or not kept, as your account says.",
      example: "203.0.113.9",
    }),
    data: z.record(z.string(), z.json()).openapi({
      type: "object",
      additionalProperties: true,
      example: { clickedUrl: "https://example.com/buy" },
    }),
  })
  .openapi("Activity");

const list = createRoute({
  method: "get",
  path: "/contacts/{id}/activity",
  operationId: "listActivity",
  tags: ["Contacts"],
  summary: "List what happened with a contact, newest first",
  request: {
    params: idParams,
    query: z.object({
      ...pageQuery,
      type: z.enum(EVENT_TYPES).optional(),
      campaignId: id().optional(),
    }),
  },
  responses: { 200: json(listOf(activity), "A page of activity"), ...problems("invalid", "not_found") },
});

export function activityRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(list, async (c) => {
    const { id } = c.req.valid("param");
    const { limit, cursor, type = null, campaignId = null } = c.req.valid("query");
    const { db, customerId } = c.var;
    if ((await findContact(db, customerId, id)) === null) {
      throw new AppError("not_found", "There is no contact with this id.");
    }
    const rows = await selectActivity(db, customerId, id, { type, campaignId }, { limit, cursor });
    const page = toPage(rows, limit);
    return c.json({ ...page, items: page.items.map(present) }, 200);
  });

  return routes;
}

function present(item: Activity) {
  return { ...item, at: item.at.toISOString() };
}
