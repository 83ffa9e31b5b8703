import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { id, time } from "../http/fields.ts";
import { json, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import { INBOUND_STATUSES, selectInboundEvents } from "./queries.ts";

const MAX_TEXT_CHARS = 4_000;

const inboundEvent = z
  .object({
    id: id(),
    source: z.enum(["ses", "telegram"]).openapi({ description: "Who told it." }),
    status: z.enum(INBOUND_STATUSES).openapi({
      description:
        "`waiting`: its message may still become known; `matched`: it became; `unmatched`: it did not within a day; " +
        "`odd`: it could not be understood; `ignored`: EDGR does nothing with it. Of Telegram, " +
        "`unmatched` is a message of a group that is no contact, or a reaction to one that nobody knows.",
      example: "unmatched",
    }),
    reason: z.string().nullable().openapi({ example: "no message of yours fits it" }),
    name: z.string().nullable().openapi({ description: "As its source calls it.", example: "Bounce" }),
    topicArn: z
      .string()
      .nullable()
      .openapi({ description: "Of SES.", example: "arn:aws:sns:us-east-1:123456789012:edgr" }),
    credentialId: z
      .string()
      .nullable()
      .openapi({ description: "Whose bot it was told, of Telegram.", example: null }),
    envelopeId: z.string().openapi({
      description: "SNS's MessageId, or Telegram's update_id.",
      example: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    }),
    sentAt: time(),
    receivedAt: time(),
    providerMessageId: z
      .string()
      .nullable()
      .openapi({ example: "0100018f3c1a2b4d-6e5f7a8b-9c0d-4e1f-8a2b-3c4d5e6f7a8b-000000" }),
    recipients: z.array(z.string()).openapi({ example: ["ann@example.com"] }),
    text: z
      .string()
      .nullable()
      .openapi({
        description: `What was published, its first ${MAX_TEXT_CHARS} characters; null where it was understood.`,
        example: null,
      }),
  })
  .openapi("InboundEvent");

const list = createRoute({
  method: "get",
  path: "/inbound-events",
  operationId: "listInboundEvents",
  tags: ["Inbound events"],
  summary: "List what providers told that became no event of a message, newest first",
  description: "What fits a message is an event of the message. Kept for 90 days.",
  request: { query: z.object({ ...pageQuery, status: z.enum(INBOUND_STATUSES).optional() }) },
  responses: { 200: json(listOf(inboundEvent), "A page of inbound events"), ...problems("invalid") },
});

export function inboundRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(list, async (c) => {
    const { limit, cursor, status = null } = c.req.valid("query");
    const asked = { limit, cursor, status, textChars: MAX_TEXT_CHARS };
    const page = toPage(await selectInboundEvents(c.var.db, c.var.customerId, asked), limit);
    const items = page.items.map((item) => ({
      ...item,
      sentAt: item.sentAt.toISOString(),
      receivedAt: item.receivedAt.toISOString(),
    }));
    return c.json({ ...page, items }, 200);
  });

  return routes;
}
