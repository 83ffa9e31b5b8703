import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, problems } from "../http/openapi.ts";
import type { Bots } from "./telegram.ts";
import { webhookState } from "./telegram-schema.ts";

const tags = ["Credentials"];

const show = createRoute({
  method: "get",
  path: "/credentials/{id}/telegram/webhook",
  operationId: "getTelegramWebhook",
  tags,
  summary: "See where Telegram delivers a bot's updates, and how that goes",
  description:
    "Asks Telegram. A bot has one webhook only: `warning` says when it is not this installation's.",
  request: { params: idParams },
  responses: {
    200: json(webhookState, "The webhook"),
    ...problems("invalid", "not_found", "unprocessable", "unavailable"),
  },
});

const install = createRoute({
  method: "post",
  path: "/credentials/{id}/telegram/webhook",
  operationId: "installTelegramWebhook",
  tags,
  summary: "Have Telegram deliver a bot's updates here",
  description:
    "For when the public address of EDGR has changed, or another installation took the bot over. What waits at " +
    "Telegram stays, and comes here.",
  request: { params: idParams },
  responses: {
    200: json(webhookState, "The webhook"),
    ...problems("invalid", "not_found", "unprocessable", "unavailable"),
  },
});

export function botWebhookRoutes(bots: Bots): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(show, async (c) => {
    const { db, customerId } = c.var;
    return c.json(await bots.webhook(db, customerId, c.req.valid("param").id), 200);
  });

  routes.openapi(install, async (c) => {
    const { db, customerId } = c.var;
    return c.json(await bots.reinstall(db, customerId, c.req.valid("param").id), 200);
  });

  return routes;
}
