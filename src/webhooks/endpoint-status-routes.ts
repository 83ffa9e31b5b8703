import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { inTransaction } from "../http/transaction.ts";
import { recordAudit } from "./audit-queries.ts";
import { findEndpoint, setEnabled } from "./endpoint-edit-queries.ts";
import { disableEndpoint } from "./endpoint-queries.ts";
import { disabling, endpoint as endpointSchema, stats as statsSchema } from "./endpoint-schema.ts";
import { holdMatching, recordState } from "./endpoint-state-queries.ts";
import { noSuchEndpoint, presentEndpoint } from "./endpoint-view.ts";
import { readStats } from "./stats-queries.ts";

const tags = ["Webhooks"];

const enable = createRoute({
  method: "post",
  path: "/webhooks/endpoints/{id}/enable",
  operationId: "enableWebhookEndpoint",
  tags,
  summary: "Enable a webhook endpoint",
  description:
    "Forgets that it failed, and goes on with what was pending. What happened while it was disabled was not owed to it: " +
    "a replay of what is `missing` tells of that.",
  request: { params: idParams },
  responses: { 200: json(endpointSchema, "The endpoint"), ...problems("invalid", "not_found") },
});

const disable = createRoute({
  method: "post",
  path: "/webhooks/endpoints/{id}/disable",
  operationId: "disableWebhookEndpoint",
  tags,
  summary: "Disable a webhook endpoint",
  description: "What is pending stays so. Other endpoints are told of it by `endpoint_disabled`.",
  request: { params: idParams, body: jsonBody(disabling) },
  responses: { 200: json(endpointSchema, "The endpoint"), ...problems("invalid", "not_found") },
});

const stats = createRoute({
  method: "get",
  path: "/webhooks/endpoints/{id}/stats",
  operationId: "getWebhookEndpointStats",
  tags,
  summary: "How deliveries to a webhook endpoint go",
  request: { params: idParams },
  responses: { 200: json(statsSchema, "The numbers"), ...problems("invalid", "not_found") },
});

/** @param deps.onAppend wakes the projector */
export function endpointStatusRoutes(deps: { onAppend: () => void }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(enable, async (c) => {
    const { id } = c.req.valid("param");
    const { customerId, actor } = c.var;
    const enabled = await inTransaction(c.var.db, async (db) => {
      const position = await holdMatching(db);
      if (await setEnabled(db, customerId, id)) {
        await recordState(db, customerId, id, position);
        await recordAudit(db, customerId, {
          actor,
          action: "endpoint_enabled",
          subject: id,
          reason: null,
          details: {},
        });
      }
      return await findEndpoint(db, customerId, id);
    });
    return c.json(presentEndpoint(enabled), 200);
  });

  routes.openapi(disable, async (c) => {
    const { id } = c.req.valid("param");
    const { reason } = c.req.valid("json");
    const { customerId, actor } = c.var;
    const disabled = await inTransaction(c.var.db, async (db) => {
      if (await disableEndpoint(db, customerId, id, "person", reason)) {
        await recordAudit(db, customerId, {
          actor,
          action: "endpoint_disabled",
          subject: id,
          reason,
          details: {},
        });
      }
      return await findEndpoint(db, customerId, id);
    });
    deps.onAppend();
    return c.json(presentEndpoint(disabled), 200);
  });

  routes.openapi(stats, async (c) => {
    const { id } = c.req.valid("param");
    const { db, customerId } = c.var;
    if ((await findEndpoint(db, customerId, id)) === null) throw noSuchEndpoint();
    const { pending, oldestPendingSeconds, delivered, failed, p50Ms, p95Ms } = await readStats(
      db,
      customerId,
      id,
    );
    const attempts = delivered + failed;
    const successRate = attempts === 0 ? null : delivered / attempts;
    const last24Hours = { delivered, failed, successRate, p50Ms, p95Ms };
    return c.json({ pending, oldestPendingSeconds, last24Hours }, 200);
  });

  return routes;
}
