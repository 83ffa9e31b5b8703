import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { durationProblem } from "../campaigns/duration.ts";
import { AppError } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { id, line, lines, time } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { inTransaction } from "../http/transaction.ts";
import { type Customer, findCustomer, IP_POLICIES, lockCustomer, saveCustomer } from "./queries.ts";

const tags = ["Customer"];
const MAX_NAME_LENGTH = 100;
const MAX_ADDRESS_LENGTH = 500;
/** Events are the source of everything else: not to be lost before anybody has noticed that something is wrong. */
const MIN_EVENT_DAYS = 30;
/** A delivery is tried for five days. */
const MIN_DELIVERY_DAYS = 7;
const MAX_RETENTION_DAYS = 36_500;
const MAX_CAP_MESSAGES = 1_000;
const MAX_DURATION_LENGTH = 40;
const MAX_SOFT_BOUNCES = 100;
const MAX_SOFT_BOUNCE_DAYS = 365;

const ipPolicy = z.enum(IP_POLICIES).openapi({
  description: "How much of the IP of a hit is kept: all of it, its /24 or /48, or nothing.",
  example: "truncated",
});
const confirmUnsubscribe = z.boolean().openapi({
  description: "Whether the unsubscribe link shows a button first, instead of unsubscribing at once.",
  example: false,
});
const postalAddress = lines(MAX_ADDRESS_LENGTH).nullable().openapi({
  description: "Goes under every email that has an unsubscribe link.",
  example: "1 Main St\nSpringfield",
});

const frequencyCap = z
  .strictObject({
    messages: z
      .int()
      .min(1)
      .max(MAX_CAP_MESSAGES)
      .openapi({ type: "integer", minimum: 1, maximum: MAX_CAP_MESSAGES, example: 3 }),
    per: z
      .string()
      .max(MAX_DURATION_LENGTH)
      .superRefine((text, context) => {
        const problem = durationProblem(text);
        if (problem !== null) context.addIssue({ code: "custom", message: problem });
      })
      .openapi({
        description: "An ISO 8601 duration, at most a year. A day has 24 hours here, a month 30 days.",
        example: "P1D",
      }),
  })
  .nullable()
  .openapi({
    description:
      "No contact gets more than so many messages within so much time, over all campaigns but those with " +
      "`ignoreFrequencyCap`, whose messages count all the same. A message that would be one more waits until the " +
      "oldest is past that time.",
  });

const softBounceLimit = z
  .strictObject({
    bounces: z
      .int()
      .min(1)
      .max(MAX_SOFT_BOUNCES)
      .openapi({ type: "integer", minimum: 1, maximum: MAX_SOFT_BOUNCES, example: 3 }),
    days: z
      .int()
      .min(1)
      .max(MAX_SOFT_BOUNCE_DAYS)
      .openapi({ type: "integer", minimum: 1, maximum: MAX_SOFT_BOUNCE_DAYS, example: 30 }),
  })
  .nullable()
  .openapi({
    description:
      "After how many soft bounces (a full mailbox, a server that is away), within how many days and with no delivery " +
      "in between, an address is suppressed as one that bounces. At first 3 in 30 days; null: never. A hard bounce " +
      "and a complaint suppress at once, whatever this says.",
  });

const activityRetentionDays = retentionDays(1).openapi({
  description:
    "For how many days contacts' activity is kept; null keeps it for ever. Counters stay in either case.",
  example: 730,
});
const eventRetentionDays = retentionDays(MIN_EVENT_DAYS).openapi({
  description:
    "For how many days the event log is kept, which the activity can be derived from again; null keeps it for ever.",
  example: null,
});

const deliveryRetentionDays = retentionDays(MIN_DELIVERY_DAYS).openapi({
  description:
    "For how many days the log of webhook deliveries is kept, with what was sent and answered; null keeps it for ever. " +
    "What is still owed stays in any case.",
  example: 90,
});

const customer = z
  .object({
    id: id(),
    name: z.string().openapi({ example: "default" }),
    ipPolicy,
    confirmUnsubscribe,
    postalAddress: z.string().nullable().openapi({ example: null }),
    frequencyCap,
    activityRetentionDays,
    eventRetentionDays,
    deliveryRetentionDays,
    softBounceLimit,
    createdAt: time(),
  })
  .openapi("Customer");

const customerChange = z
  .strictObject({
    name: line(MAX_NAME_LENGTH).openapi({ example: "default" }),
    ipPolicy,
    confirmUnsubscribe,
    postalAddress,
    frequencyCap,
    activityRetentionDays,
    eventRetentionDays,
    deliveryRetentionDays,
    softBounceLimit,
  })
  .partial()
  .openapi("CustomerChange");

const read = createRoute({
  method: "get",
  path: "/customer",
  operationId: "getCustomer",
  tags,
  summary: "Get your account",
  responses: { 200: json(customer, "The account of this API key"), ...problems("not_found") },
});

const change = createRoute({
  method: "patch",
  path: "/customer",
  operationId: "changeCustomer",
  tags,
  summary: "Change your account",
  request: { body: jsonBody(customerChange) },
  responses: { 200: json(customer, "The account"), ...problems("invalid", "not_found", "conflict") },
});

export function customerRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(read, async (c) => {
    const found = await findCustomer(c.var.db, c.var.customerId);
    if (found === null) throw noSuchCustomer();
    return c.json(present(found), 200);
  });

  routes.openapi(change, async (c) => {
    const fields = c.req.valid("json");
    const changed = await inTransaction(c.var.db, async (db) => {
      const existing = await lockCustomer(db, c.var.customerId);
      if (existing === null) throw noSuchCustomer();
      const customer = changedCustomer(existing, fields);
      await saveCustomer(db, customer);
      return customer;
    });
    return c.json(present(changed), 200);
  });

  return routes;
}

function retentionDays(min: number) {
  return z
    .int()
    .min(min, `must be at least ${min}`)
    .max(MAX_RETENTION_DAYS, `must be at most ${MAX_RETENTION_DAYS}`)
    .nullable();
}

function changedCustomer(existing: Customer, change: z.infer<typeof customerChange>): Customer {
  return {
    ...existing,
    name: change.name ?? existing.name,
    ipPolicy: change.ipPolicy ?? existing.ipPolicy,
    confirmUnsubscribe: change.confirmUnsubscribe ?? existing.confirmUnsubscribe,
    postalAddress: change.postalAddress === undefined ? existing.postalAddress : change.postalAddress,
    frequencyCap: change.frequencyCap === undefined ? existing.frequencyCap : change.frequencyCap,
    activityRetentionDays:
      change.activityRetentionDays === undefined
        ? existing.activityRetentionDays
        : change.activityRetentionDays,
    eventRetentionDays:
      change.eventRetentionDays === undefined ? existing.eventRetentionDays : change.eventRetentionDays,
    deliveryRetentionDays:
      change.deliveryRetentionDays === undefined
        ? existing.deliveryRetentionDays
        : change.deliveryRetentionDays,
    softBounceLimit: change.softBounceLimit === undefined ? existing.softBounceLimit : change.softBounceLimit,
  };
}

function present(customer: Customer) {
  return { ...customer, createdAt: customer.createdAt.toISOString() };
}

const noSuchCustomer = () => new AppError("not_found", "This account no longer exists.");
