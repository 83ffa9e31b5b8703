import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { findContact, lockContact } from "../contacts/queries.ts";
import { AppError } from "../errors.ts";
import { appendEvents } from "../events/queries.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf } from "../http/pagination.ts";
import { invalid } from "../http/problem.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Db } from "../storage/pool.ts";
import { changeTopics, topicEvents } from "../tracking/preferences-queries.ts";
import { holdTopics, selectContactTopics } from "./queries.ts";
import { contactTopic, contactTopicsChange } from "./schema.ts";

const tags = ["Contacts"];

const list = createRoute({
  method: "get",
  path: "/contacts/{id}/topics",
  operationId: "listContactTopics",
  tags,
  summary: "List the topics, with those a contact has left",
  request: { params: idParams },
  responses: { 200: json(listOf(contactTopic), "Every topic, by name"), ...problems("invalid", "not_found") },
});

const change = createRoute({
  method: "put",
  path: "/contacts/{id}/topics",
  operationId: "changeContactTopics",
  tags,
  summary: "Say which topics a contact has left",
  description:
    "What changes shows in the contact's activity as `topic_left` and `topic_rejoined`. Somebody who left a topic " +
    "asked for it: bring them back only when they ask for that.",
  request: { params: idParams, body: jsonBody(contactTopicsChange) },
  responses: { 200: json(listOf(contactTopic), "Every topic, by name"), ...problems("invalid", "not_found") },
});

export function contactTopicRoutes(deps: { now: () => Date }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(list, async (c) => {
    const { id } = c.req.valid("param");
    if ((await findContact(c.var.db, c.var.customerId, id)) === null) throw noSuchContact();
    return c.json(await present(c.var.db, c.var.customerId, id), 200);
  });

  routes.openapi(change, async (c) => {
    const { id: contactId } = c.req.valid("param");
    const { left } = c.req.valid("json");
    const { customerId } = c.var;
    const changed = await inTransaction(c.var.db, async (db) => {
      if ((await lockContact(db, customerId, contactId)) === null) throw noSuchContact();
      await refuseUnknown(db, customerId, left);
      const topics = await selectContactTopics(db, customerId, contactId);
      const rejoined = topics.map(({ topicId }) => topicId).filter((topicId) => !left.includes(topicId));
      const at = deps.now();
      const done = await changeTopics(db, { customerId, contactId, at, left, rejoined });
      await appendEvents(db, topicEvents(done, { customerId, contactId, at }));
      return await present(db, customerId, contactId);
    });
    return c.json(changed, 200);
  });

  return routes;
}

async function refuseUnknown(db: Db, customerId: string, ids: readonly string[]): Promise<void> {
  const there = new Set(await holdTopics(db, customerId, ids));
  const unknown = ids.flatMap((id, index) =>
    there.has(id) ? [] : [{ field: `left.${index}`, reason: "is no topic" }],
  );
  if (unknown.length > 0) throw invalid(unknown);
}

async function present(db: Db, customerId: string, contactId: string) {
  const topics = await selectContactTopics(db, customerId, contactId);
  const items = topics.map((topic) => ({ ...topic, leftAt: topic.leftAt?.toISOString() ?? null }));
  return { items, nextCursor: null };
}

const noSuchContact = () => new AppError("not_found", "There is no contact with this id.");
