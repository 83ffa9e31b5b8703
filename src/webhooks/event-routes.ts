import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage, toScannedPage } from "../http/pagination.ts";
import { invalid } from "../http/problem.ts";
import type { Db } from "../storage/pool.ts";
import { PATTERN, toLikePattern } from "./event-pattern.ts";
import { type Fate, findEvent, type LoggedEvent, selectEvents, selectFates } from "./event-queries.ts";
import { eventQuery, event as eventSchema, fate } from "./event-schema.ts";
import { type Matched, whyNot } from "./why-not.ts";

const tags = ["Events"];

const list = createRoute({
  method: "get",
  path: "/events",
  operationId: "listEvents",
  tags,
  summary: "List the event log, newest first",
  description:
    "Everything that EDGR recorded. A page may be short, or empty, with a `nextCursor`: each looks at 20,000 events at most " +
    "for those that fit.",
  request: { query: eventQuery },
  responses: { 200: json(listOf(eventSchema), "A page of events"), ...problems("invalid") },
});

const read = createRoute({
  method: "get",
  path: "/events/{id}",
  operationId: "getEvent",
  tags,
  summary: "Get an event",
  request: { params: idParams },
  responses: { 200: json(eventSchema, "The event"), ...problems("invalid", "not_found") },
});

const listDeliveries = createRoute({
  method: "get",
  path: "/events/{id}/deliveries",
  operationId: "listEventDeliveries",
  tags,
  summary: "List what became of an event at each webhook endpoint",
  description:
    "For each endpoint its delivery, or why it was not told: by what the endpoint was when the event came, not by what it is now.",
  request: { params: idParams, query: z.object(pageQuery) },
  responses: { 200: json(listOf(fate), "A page, by endpoint"), ...problems("invalid", "not_found") },
});

export function eventRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(list, async (c) => {
    const { limit, cursor, type, ...given } = c.req.valid("query");
    const { campaignId = null, contactId = null, messageId = null, from = null, to = null } = given;
    const filter = { typePattern: patternOf(type), campaignId, contactId, messageId, from, to };
    const found = await selectEvents(c.var.db, c.var.customerId, filter, { limit, cursor });
    const page = toScannedPage(found, limit);
    return c.json({ ...page, items: page.items.map(present) }, 200);
  });

  routes.openapi(read, async (c) => {
    const { id } = c.req.valid("param");
    return c.json(present(await eventOf(c.var.db, c.var.customerId, id)), 200);
  });

  routes.openapi(listDeliveries, async (c) => {
    const { db, customerId } = c.var;
    const { limit, cursor } = c.req.valid("query");
    const event = await eventOf(db, customerId, c.req.valid("param").id);
    const page = toPage(await selectFates(db, customerId, event, { limit, cursor }), limit);
    const matched = matchedOf(event);
    return c.json({ ...page, items: page.items.map((item) => presentFate(item, matched)) }, 200);
  });

  return routes;
}

async function eventOf(db: Db, customerId: string, id: string): Promise<LoggedEvent> {
  const event = await findEvent(db, customerId, id);
  if (event === null) throw new AppError("not_found", "There is no event with this id.");
  return event;
}

function patternOf(type: string | undefined): string | null {
  if (type === undefined) return null;
  if (PATTERN.test(type)) return toLikePattern(type);
  throw invalid([{ field: "type", reason: "must be an event type such as email_opened, with * for any" }]);
}

function matchedOf(event: LoggedEvent): Matched {
  const { endpointId } = event.data;
  const isAboutEndpoint = event.type === "endpoint_disabled" && typeof endpointId === "string";
  return {
    type: event.type,
    campaignId: event.campaignId,
    isByPerson: event.agent === null || event.agent === "human" || event.agent === "proxy",
    aboutEndpointId: isAboutEndpoint ? endpointId : null,
    isProjected: event.isProjected,
  };
}

function present({ position: _, isProjected: __, ...event }: LoggedEvent) {
  return { ...event, at: event.at.toISOString() };
}

function presentFate({ id, type, url, description, delivery, state }: Fate, event: Matched) {
  const endpoint = { id, type, url, description };
  return { endpoint, delivery, notSent: delivery === null ? whyNot(event, id, state) : null };
}
