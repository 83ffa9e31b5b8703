import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import { newId } from "../events/id.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import { inTransaction } from "../http/transaction.ts";
import {
  countTopics,
  deleteTopic,
  findCampaignsUnder,
  findTopic,
  insertTopic,
  lockTopic,
  saveTopic,
  selectTopics,
  type Topic,
} from "./queries.ts";
import { MAX_TOPICS, newTopic, topicChange, topic as topicSchema } from "./schema.ts";

const tags = ["Topics"];

const create = createRoute({
  method: "post",
  path: "/topics",
  operationId: "createTopic",
  tags,
  summary: "Create a topic",
  description:
    "A kind of emails that contacts can leave without unsubscribing from the others. Campaigns name theirs as " +
    `\`topicId\`; {{ preferencesUrl }} leads to the page of choices. At most ${MAX_TOPICS}.`,
  request: { body: jsonBody(newTopic) },
  responses: { 201: json(topicSchema, "The topic"), ...problems("invalid", "conflict") },
});

const list = createRoute({
  method: "get",
  path: "/topics",
  operationId: "listTopics",
  tags,
  summary: "List topics, newest first",
  request: { query: z.object(pageQuery) },
  responses: { 200: json(listOf(topicSchema), "A page of topics"), ...problems("invalid") },
});

const read = createRoute({
  method: "get",
  path: "/topics/{id}",
  operationId: "getTopic",
  tags,
  summary: "Get a topic",
  request: { params: idParams },
  responses: { 200: json(topicSchema, "The topic"), ...problems("invalid", "not_found") },
});

const change = createRoute({
  method: "patch",
  path: "/topics/{id}",
  operationId: "changeTopic",
  tags,
  summary: "Change a topic",
  description: "Contacts see it at once. Who has left it stays away, so don't make another topic of it.",
  request: { params: idParams, body: jsonBody(topicChange) },
  responses: { 200: json(topicSchema, "The topic"), ...problems("invalid", "not_found", "conflict") },
});

const remove = createRoute({
  method: "delete",
  path: "/topics/{id}",
  operationId: "deleteTopic",
  tags,
  summary: "Delete a topic",
  description: "One that no campaign is sent under. Who has left it is forgotten with it.",
  request: { params: idParams },
  responses: { 204: { description: "Deleted" }, ...problems("invalid", "not_found", "conflict") },
});

export function topicRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(create, async (c) => {
    const topic = { ...c.req.valid("json"), id: newId() };
    const { customerId } = c.var;
    const created = await inTransaction(c.var.db, async (db) => {
      if ((await countTopics(db, customerId)) >= MAX_TOPICS) {
        throw new AppError("conflict", `There are ${MAX_TOPICS} topics already, and no more fit on a page.`);
      }
      if (!(await insertTopic(db, customerId, topic))) throw nameTaken(topic.name);
      return await findTopic(db, customerId, topic.id);
    });
    return c.json(present(created), 201);
  });

  routes.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const page = toPage(await selectTopics(c.var.db, c.var.customerId, { limit, cursor }), limit);
    return c.json({ ...page, items: page.items.map(present) }, 200);
  });

  routes.openapi(read, async (c) => {
    return c.json(present(await findTopic(c.var.db, c.var.customerId, c.req.valid("param").id)), 200);
  });

  routes.openapi(change, async (c) => {
    const { id } = c.req.valid("param");
    const fields = c.req.valid("json");
    const { customerId } = c.var;
    const changed = await inTransaction(c.var.db, async (db) => {
      const existing = await lockTopic(db, customerId, id);
      if (existing === null) throw noSuchTopic();
      const name = fields.name ?? existing.name;
      const description = fields.description ?? existing.description;
      if (!(await saveTopic(db, customerId, { id, name, description }))) throw nameTaken(name);
      return await findTopic(db, customerId, id);
    });
    return c.json(present(changed), 200);
  });

  routes.openapi(remove, async (c) => {
    const { id } = c.req.valid("param");
    const { customerId } = c.var;
    await inTransaction(c.var.db, async (db) => {
      if ((await lockTopic(db, customerId, id)) === null) throw noSuchTopic();
      const campaigns = await findCampaignsUnder(db, customerId, id);
      if (campaigns.length > 0) throw inUse(campaigns);
      await deleteTopic(db, customerId, id);
    });
    return c.body(null, 204);
  });

  return routes;
}

function present(topic: Topic | null) {
  if (topic === null) throw noSuchTopic();
  const { createdAt, updatedAt, ...rest } = topic;
  return { ...rest, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}

function inUse(campaigns: readonly { id: string; name: string }[]): AppError {
  const names = campaigns.map(({ id, name }) => `"${name}" (${id})`).join(", ");
  return new AppError("conflict", `Campaigns are still sent under this topic: ${names}.`);
}

function nameTaken(name: string): AppError {
  const field = { field: "name", reason: "belongs to another topic" };
  return new AppError("conflict", `There is a topic "${name}" already.`, [field]);
}

const noSuchTopic = () => new AppError("not_found", "There is no topic with this id.");
