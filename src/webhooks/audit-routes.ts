import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { id, time } from "../http/fields.ts";
import { json, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import { AUDIT_ACTIONS, selectAudit } from "./audit-queries.ts";

const tags = ["Webhooks"];

const MAX_TEXT = 200;

const entry = z
  .object({
    id: id(),
    at: time(),
    actor: z.string().openapi({ description: "The name of the API key.", example: "production" }),
    action: z.enum(AUDIT_ACTIONS).openapi({ example: "replay_started" }),
    subject: z.string().nullable().openapi({
      description: "The id of the endpoint, delivery or replay; null for many.",
      example: "01989c2a-7d3c-7cc3-98c4-dc0c0c07398f",
    }),
    reason: z.string().nullable().openapi({ example: "The CRM was down." }),
    details: z.record(z.string(), z.json()).openapi({
      type: "object",
      additionalProperties: true,
      description: "What was asked for; no secrets.",
      example: { which: "missing" },
    }),
  })
  .openapi("AuditEntry");

const list = createRoute({
  method: "get",
  path: "/audit-log",
  operationId: "listAuditLog",
  tags,
  summary: "List who did what to endpoints, deliveries and replays, and why, newest first",
  request: {
    query: z.object({
      ...pageQuery,
      action: z.enum(AUDIT_ACTIONS).optional().openapi({ example: "replay_started" }),
      subject: z
        .string()
        .max(MAX_TEXT)
        .optional()
        .openapi({ example: "01989c2a-7d3c-7cc3-98c4-dc0c0c07398f" }),
      actor: z.string().max(MAX_TEXT).optional().openapi({ example: "production" }),
    }),
  },
  responses: { 200: json(listOf(entry), "A page of the log"), ...problems("invalid") },
});

export function auditRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(list, async (c) => {
    const { limit, cursor, action = null, subject = null, actor = null } = c.req.valid("query");
    const { db, customerId } = c.var;
    const entries = await selectAudit(db, customerId, { action, subject, actor }, { limit, cursor });
    const page = toPage(entries, limit);
    return c.json({ ...page, items: page.items.map((of) => ({ ...of, at: of.at.toISOString() })) }, 200);
  });

  return routes;
}
