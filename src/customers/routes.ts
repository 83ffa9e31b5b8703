import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { id, line, lines, time } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { inTransaction } from "../http/transaction.ts";
import { type Customer, findCustomer, IP_POLICIES, lockCustomer, saveCustomer } from "./queries.ts";

const tags = ["Customer"];
const MAX_NAME_LENGTH = 100;
const MAX_ADDRESS_LENGTH = 500;

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

const customer = z
  .object({
    id: id(),
    name: z.string().openapi({ example: "default" }),
    ipPolicy,
    confirmUnsubscribe,
    postalAddress: z.string().nullable().openapi({ example: null }),
    createdAt: time(),
  })
  .openapi("Customer");

const customerChange = z
  .strictObject({ name: line(MAX_NAME_LENGTH), ipPolicy, confirmUnsubscribe, postalAddress })
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

function changedCustomer(existing: Customer, change: z.infer<typeof customerChange>): Customer {
  return {
    ...existing,
    name: change.name ?? existing.name,
    ipPolicy: change.ipPolicy ?? existing.ipPolicy,
    confirmUnsubscribe: change.confirmUnsubscribe ?? existing.confirmUnsubscribe,
    postalAddress: change.postalAddress === undefined ? existing.postalAddress : change.postalAddress,
  };
}

function present(customer: Customer) {
  return { ...customer, createdAt: customer.createdAt.toISOString() };
}

const noSuchCustomer = () => new AppError("not_found", "This account no longer exists.");
