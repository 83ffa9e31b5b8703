import { z } from "@hono/zod-openapi";
import { AGENTS, EVENT_TYPES } from "../events/event.ts";
import { id, time } from "../http/fields.ts";
import { pageQuery } from "../http/pagination.ts";
import { WHY_NOT } from "./why-not.ts";

const moment = z
  .string()
  .datetime({ offset: true, message: "must be a time such as 2026-03-06T20:00:00Z" })
  .transform((text) => new Date(text))
  .optional();

export const eventQuery = z.object({
  ...pageQuery,
  type: z
    .string()
    .optional()
    .openapi({ description: "A type, or a pattern with `*` for any characters.", example: "email_*" }),
  campaignId: id().optional(),
  contactId: id().optional(),
  messageId: id().optional(),
  from: moment.openapi({
    type: "string",
    format: "date-time",
    description: "Of what EDGR learnt of then or later.",
    example: "2026-03-06T20:00:00Z",
  }),
  to: moment.openapi({
    type: "string",
    format: "date-time",
    description: "Of what EDGR learnt of before.",
    example: "2026-03-07T20:00:00Z",
  }),
});

export const event = z
  .object({
    id: id(),
    type: z.enum(EVENT_TYPES).openapi({ example: "email_clicked" }),
    at: time().openapi({ description: "When it happened; the id's own time is when EDGR learnt of it." }),
    campaignId: id().nullable(),
    nodeId: z.string().nullable().openapi({ example: "hello" }),
    runId: id().nullable(),
    messageId: id().nullable(),
    contactId: id().nullable(),
    agent: z.enum(AGENTS).nullable().openapi({ description: "Who made a hit.", example: "human" }),
    agentRule: z.string().nullable().openapi({ description: "The rule that decided.", example: "browser" }),
    userAgent: z.string().nullable().openapi({ example: "Mozilla/5.0 Firefox/148.0" }),
    ip: z.string().nullable().openapi({ example: "203.0.113.9" }),
    data: z.record(z.string(), z.json()).openapi({
      type: "object",
      additionalProperties: true,
      example: { clickedUrl: "https://example.com/buy" },
    }),
  })
  .openapi("Event");

const delivery = z
  .object({
    id: id(),
    status: z.enum(["pending", "delivered", "failed", "cancelled"]).openapi({ example: "delivered" }),
    attempts: z.int().openapi({ type: "integer", example: 1 }),
    nextAttemptAt: time().nullable().openapi({ example: null }),
    lastStatus: z
      .int()
      .nullable()
      .openapi({ type: ["integer", "null"], example: 200 }),
    lastFailure: z.string().nullable().openapi({ example: null }),
  })
  .openapi("EventDelivery");

export const fate = z
  .object({
    endpoint: z
      .object({
        id: id(),
        type: z.enum(["custom", "slack", "discord"]).openapi({ example: "custom" }),
        url: z.string().openapi({ example: "https://example.com/hooks" }),
        description: z.string().nullable().openapi({ example: "Our CRM" }),
      })
      .openapi("EventEndpoint"),
    delivery: delivery.nullable().openapi({ description: "Null: the endpoint was not told." }),
    notSent: z
      .object({
        code: z.enum(WHY_NOT).openapi({ example: "type" }),
        reason: z
          .string()
          .openapi({ example: "The endpoint was told of unsubscribed then, which this type is not among." }),
      })
      .nullable()
      .openapi("EventNotSent", { description: "Why it was not told; null when it was, or is to be." }),
  })
  .openapi("EventFate");
