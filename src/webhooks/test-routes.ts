import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { newId } from "../events/id.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { id, idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { invalid } from "../http/problem.ts";
import type { Db } from "../storage/pool.ts";
import { exampleTold } from "./catalogue.ts";
import { type CatalogueType, isCatalogueType } from "./catalogue-types.ts";
import { selectAttempts } from "./delivery-queries.ts";
import { attempt } from "./delivery-schema.ts";
import { presentAttempt } from "./delivery-view.ts";
import { type Endpoint, findEndpoint } from "./endpoint-edit-queries.ts";
import { noSuchEndpoint } from "./endpoint-view.ts";
import { patternProblem, typesOf } from "./event-pattern.ts";
import { renderEvent } from "./render.ts";
import { webhookId } from "./sign.ts";
import { endTestDelivery, insertTestDelivery } from "./test-queries.ts";

const order = z
  .strictObject({
    eventType: z.string().optional().openapi({
      description: "A type of the catalogue, also one that is not told otherwise. Without: one that is.",
      example: "email_clicked",
    }),
  })
  .openapi("WebhookTest");

const tested = z
  .object({
    deliveryId: id(),
    webhookId: z.string().openapi({ example: "test_01989c2a7d3c7cc398c4dc0c0c07398f" }),
    eventType: z.string().openapi({ example: "email_clicked" }),
    payload: z
      .string()
      .openapi({ description: "The body, byte for byte.", example: '{"type":"email_clicked",…}' }),
    attempt,
  })
  .openapi("WebhookTestResult");

const test = createRoute({
  method: "post",
  path: "/webhooks/endpoints/{id}/test",
  operationId: "testWebhookEndpoint",
  tags: ["Webhooks"],
  summary: "Send an example to a webhook endpoint",
  description:
    "Through the same checks, signatures and limits as what happens, once, and marked as an example. Answers with what " +
    "came back, within 20 seconds. It is in the log of deliveries.",
  request: { params: idParams, body: jsonBody(order) },
  responses: { 200: json(tested, "What came of it"), ...problems("invalid", "not_found") },
});

/** An attempt takes 15 seconds at most; a worker takes over what is left of a process that died. */
const LEASE_S = 60;

/**
 * @param deps.attempt makes one attempt of a delivery, now, whatever its due time, and records it
 */
export function testRoutes(deps: {
  publicUrl: string;
  now: () => Date;
  attempt: (db: Db, customerId: string, deliveryId: string) => Promise<unknown>;
}): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(test, async (c) => {
    const { db, customerId } = c.var;
    const { id: endpointId } = c.req.valid("param");
    const endpoint = await findEndpoint(db, customerId, endpointId);
    if (endpoint === null) throw noSuchEndpoint();
    const eventType = typeFor(endpoint, c.req.valid("json").eventType);
    const at = deps.now();
    const [id, eventId] = [newId(at.getTime()), newId(at.getTime())];
    const told = exampleTold(eventType, { customerId, eventId, at });
    const payload = renderEvent(endpoint.type, told, deps.publicUrl, { isTest: true });
    await insertTestDelivery(db, customerId, endpointId, { id, eventId, eventType, at, payload }, LEASE_S);
    await deps.attempt(db, customerId, id);
    await endTestDelivery(db, customerId, id);
    const [made] = await selectAttempts(db, customerId, id, { limit: 1, cursor: null });
    if (made === undefined) throw new Error("an attempt that was made is recorded");
    const result = { deliveryId: id, webhookId: webhookId("test", eventId), eventType, payload };
    return c.json({ ...result, attempt: presentAttempt(made) }, 200);
  });

  return routes;
}

function typeFor(endpoint: Endpoint, asked: string | undefined): CatalogueType {
  if (asked === undefined) {
    const told = endpoint.eventTypes.flatMap(typesOf);
    return told.includes("email_clicked") ? "email_clicked" : (told[0] ?? "email_clicked");
  }
  if (isCatalogueType(asked)) return asked;
  const reason = patternProblem(asked) ?? "must be one type, not a pattern";
  throw invalid([{ field: "eventType", reason }]);
}
