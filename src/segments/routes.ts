import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { countFitting, selectFitting } from "../contacts/fitting-queries.ts";
import type { Contact } from "../contacts/queries.ts";
import { contact as contactSchema } from "../contacts/schema.ts";
import { newId } from "../events/id.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import {
  changeSegment,
  deleteSegment,
  findSegment,
  insertSegment,
  type Segment,
  selectSegments,
} from "./queries.ts";
import { noSuchSegment, readFilter } from "./read-filter.ts";
import {
  newSegment,
  preview,
  previewed,
  segmentChange,
  segmentCount,
  segment as segmentSchema,
} from "./schema.ts";

const tags = ["Segments"];
const SAMPLE = 10;

const create = createRoute({
  method: "post",
  path: "/segments",
  operationId: "createSegment",
  tags,
  summary: "Create a segment",
  description:
    "A filter with a name: who fits is looked up whenever it is used. It asks about the contact and its activity; " +
    "what a node of a campaign gave only a condition can ask. A campaign that does not exist has done nothing with anybody.",
  request: { body: jsonBody(newSegment) },
  responses: { 201: json(segmentSchema, "The segment"), ...problems("invalid") },
});

const list = createRoute({
  method: "get",
  path: "/segments",
  operationId: "listSegments",
  tags,
  summary: "List segments, newest first",
  request: { query: z.object(pageQuery) },
  responses: { 200: json(listOf(segmentSchema), "A page of segments"), ...problems("invalid") },
});

const tryOut = createRoute({
  method: "post",
  path: "/segments/preview",
  operationId: "previewSegment",
  tags,
  summary: "Try a filter: how many fit, and ten of them",
  request: { body: jsonBody(preview) },
  responses: { 200: json(previewed, "Who fits now"), ...problems("invalid") },
});

const read = createRoute({
  method: "get",
  path: "/segments/{id}",
  operationId: "getSegment",
  tags,
  summary: "Get a segment",
  request: { params: idParams },
  responses: { 200: json(segmentSchema, "The segment"), ...problems("invalid", "not_found") },
});

const change = createRoute({
  method: "patch",
  path: "/segments/{id}",
  operationId: "changeSegment",
  tags,
  summary: "Change a segment",
  description: "What is enrolling by it goes on with the filter it began with.",
  request: { params: idParams, body: jsonBody(segmentChange) },
  responses: { 200: json(segmentSchema, "The segment"), ...problems("invalid", "not_found") },
});

const remove = createRoute({
  method: "delete",
  path: "/segments/{id}",
  operationId: "deleteSegment",
  tags,
  summary: "Delete a segment",
  description:
    "Its contacts stay, and what is enrolling by it goes on: an enroll job has its own copy of the filter.",
  request: { params: idParams },
  responses: { 204: { description: "Deleted" }, ...problems("invalid", "not_found") },
});

const count = createRoute({
  method: "get",
  path: "/segments/{id}/count",
  operationId: "countSegment",
  tags,
  summary: "Count a segment's contacts",
  request: { params: idParams },
  responses: {
    200: json(segmentCount, "How many fit now"),
    ...problems("invalid", "not_found", "conflict"),
  },
});

const contacts = createRoute({
  method: "get",
  path: "/segments/{id}/contacts",
  operationId: "listSegmentContacts",
  tags,
  summary: "List a segment's contacts, newest first",
  request: { params: idParams, query: z.object(pageQuery) },
  responses: {
    200: json(listOf(contactSchema), "A page of contacts"),
    ...problems("invalid", "not_found", "conflict"),
  },
});

export function segmentRoutes({ now }: { now: () => Date }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(create, async (c) => {
    const fields = c.req.valid("json");
    return c.json(present(await insertSegment(c.var.db, c.var.customerId, { id: newId(), ...fields })), 201);
  });

  routes.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const page = toPage(await selectSegments(c.var.db, c.var.customerId, { limit, cursor }), limit);
    return c.json({ ...page, items: page.items.map(present) }, 200);
  });

  routes.openapi(tryOut, async (c) => {
    const asked = { filter: c.req.valid("json").filter, now: now() };
    const { db, customerId } = c.var;
    const fitting = await countFitting(db, customerId, asked);
    const sample = await selectFitting(db, customerId, asked, { limit: SAMPLE - 1, cursor: null });
    return c.json({ count: fitting, sample: sample.map(presentContact) }, 200);
  });

  routes.openapi(read, async (c) => {
    const found = await findSegment(c.var.db, c.var.customerId, c.req.valid("param").id);
    if (found === null) throw noSuchSegment();
    return c.json(present(found), 200);
  });

  routes.openapi(change, async (c) => {
    const { name = null, filter = null } = c.req.valid("json");
    const { id } = c.req.valid("param");
    const changed = await changeSegment(c.var.db, c.var.customerId, id, { name, filter });
    if (changed === null) throw noSuchSegment();
    return c.json(present(changed), 200);
  });

  routes.openapi(remove, async (c) => {
    const deleted = await deleteSegment(c.var.db, c.var.customerId, c.req.valid("param").id);
    if (!deleted) throw noSuchSegment();
    return c.body(null, 204);
  });

  routes.openapi(count, async (c) => {
    const found = await findSegment(c.var.db, c.var.customerId, c.req.valid("param").id);
    if (found === null) throw noSuchSegment();
    const asked = { filter: readFilter(found), now: now() };
    return c.json({ count: await countFitting(c.var.db, c.var.customerId, asked) }, 200);
  });

  routes.openapi(contacts, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const found = await findSegment(c.var.db, c.var.customerId, c.req.valid("param").id);
    if (found === null) throw noSuchSegment();
    const asked = { filter: readFilter(found), now: now() };
    const page = toPage(await selectFitting(c.var.db, c.var.customerId, asked, { limit, cursor }), limit);
    return c.json({ ...page, items: page.items.map(presentContact) }, 200);
  });

  return routes;
}

function present(segment: Segment) {
  return {
    ...segment,
    createdAt: segment.createdAt.toISOString(),
    updatedAt: segment.updatedAt.toISOString(),
  };
}

function presentContact(contact: Contact) {
  return {
    ...contact,
    createdAt: contact.createdAt.toISOString(),
    updatedAt: contact.updatedAt.toISOString(),
  };
}
