import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { AppError, type FieldProblem } from "../errors.ts";
import { newId } from "../events/id.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { email, idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import { fieldsOf, invalid } from "../http/problem.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Db } from "../storage/pool.ts";
import { findReasons } from "../suppressions/queries.ts";
import { mergeAttributes, type NumberedRow, type RefusedRow, settleRows } from "./merge.ts";
import {
  type BulkOutcome,
  type Contact,
  type ContactFields,
  deleteContact,
  findContact,
  findRivals,
  insertContact,
  lockContact,
  type Rival,
  saveContact,
  selectContacts,
  upsertContacts,
} from "./queries.ts";
import {
  bulkContact,
  bulkContacts,
  bulkResult,
  contactChange,
  contact as contactSchema,
  contactWithSuppressions,
  MAX_ATTRIBUTES_BYTES,
  MAX_TAGS,
  newContact,
  tag,
} from "./schema.ts";

const tags = ["Contacts"];

const create = createRoute({
  method: "post",
  path: "/contacts",
  operationId: "createContact",
  tags,
  summary: "Create a contact",
  description: "An email (in whatever case) and a Telegram chat belong to one contact each.",
  request: { body: jsonBody(newContact) },
  responses: { 201: json(contactSchema, "The contact"), ...problems("invalid", "conflict") },
});

const bulk = createRoute({
  method: "post",
  path: "/contacts/bulk",
  operationId: "upsertContacts",
  tags,
  summary: "Create or update many contacts",
  description:
    "Matches by email. Attributes are merged, tags united. Rows that are wrong are refused one by one, the others " +
    "taken; of several rows with one email the last wins. Takes up to 10,000 rows and 10 MiB.",
  request: { body: jsonBody(bulkContacts) },
  responses: { 200: json(bulkResult, "What became of the rows"), ...problems("invalid", "too_large") },
});

const list = createRoute({
  method: "get",
  path: "/contacts",
  operationId: "listContacts",
  tags,
  summary: "List contacts, newest first",
  request: { query: z.object({ ...pageQuery, email: email().optional(), tag: tag.optional() }) },
  responses: { 200: json(listOf(contactSchema), "A page of contacts"), ...problems("invalid") },
});

const read = createRoute({
  method: "get",
  path: "/contacts/{id}",
  operationId: "getContact",
  tags,
  summary: "Get a contact",
  request: { params: idParams },
  responses: {
    200: json(contactWithSuppressions, "The contact, and why nothing is sent to it, if so"),
    ...problems("invalid", "not_found"),
  },
});

const change = createRoute({
  method: "patch",
  path: "/contacts/{id}",
  operationId: "changeContact",
  tags,
  summary: "Change a contact",
  request: { params: idParams, body: jsonBody(contactChange) },
  responses: { 200: json(contactSchema, "The contact"), ...problems("invalid", "not_found", "conflict") },
});

const remove = createRoute({
  method: "delete",
  path: "/contacts/{id}",
  operationId: "deleteContact",
  tags,
  summary: "Delete a contact",
  description:
    "Suppressions of its addresses stay: nobody who unsubscribed is mailed again by a later import. Its conversation " +
    "goes with it; the messages stay in `GET /messages`.",
  request: { params: idParams },
  responses: { 204: { description: "Deleted" }, ...problems("invalid", "not_found") },
});

export function contactRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();
  // Only the handler looks into a bulk request's rows, so the document has to be told of their shape.
  routes.openAPIRegistry.register("BulkContact", bulkContact);

  routes.openapi(create, async (c) => {
    const fields = c.req.valid("json");
    const contact = { ...fields, id: newId(), attributes: mergeAttributes({}, fields.attributes) };
    const inserted = await insertContact(c.var.db, c.var.customerId, contact);
    if (inserted === null) throw taken(await findRivals(c.var.db, c.var.customerId, contact), contact);
    return c.json(present(inserted), 201);
  });

  routes.openapi(bulk, async (c) => {
    const { contacts } = c.req.valid("json");
    return c.json(await upsert(c.var.db, c.var.customerId, contacts), 200);
  });

  routes.openapi(list, async (c) => {
    const { limit, cursor, email = null, tag = null } = c.req.valid("query");
    const contacts = await selectContacts(c.var.db, c.var.customerId, { email, tag }, { limit, cursor });
    const page = toPage(contacts, limit);
    return c.json({ ...page, items: page.items.map(present) }, 200);
  });

  routes.openapi(read, async (c) => {
    const contact = await findContact(c.var.db, c.var.customerId, c.req.valid("param").id);
    if (contact === null) throw noSuchContact();
    const suppressed = await findReasons(c.var.db, c.var.customerId, contact);
    return c.json({ ...present(contact), suppressed }, 200);
  });

  routes.openapi(change, async (c) => {
    const { id } = c.req.valid("param");
    const fields = c.req.valid("json");
    const changed = await inTransaction(c.var.db, async (db) => {
      const existing = await lockContact(db, c.var.customerId, id);
      return existing && (await changeContact(db, c.var.customerId, changedContact(existing, fields)));
    });
    if (changed === null) throw noSuchContact();
    return c.json(present(changed), 200);
  });

  routes.openapi(remove, async (c) => {
    const deleted = await deleteContact(c.var.db, c.var.customerId, c.req.valid("param").id);
    if (!deleted) throw noSuchContact();
    return c.body(null, 204);
  });

  return routes;
}

function present(contact: Contact) {
  return {
    ...contact,
    createdAt: contact.createdAt.toISOString(),
    updatedAt: contact.updatedAt.toISOString(),
  };
}

async function upsert(db: Db, customerId: string, given: readonly unknown[]) {
  const refused: RefusedRow[] = [];
  const valid: NumberedRow[] = [];
  for (const [index, row] of given.entries()) {
    const parsed = bulkContact.safeParse(row);
    if (parsed.success) valid.push({ index, row: { ...parsed.data, id: newId() } });
    else
      refused.push(
        ...fieldsOf(parsed.error.issues)
          .slice(0, 1)
          .map((field) => ({ index, ...field })),
      );
  }
  const settled = settleRows(valid);
  refused.push(...settled.refused);
  const outcomes = await upsertContacts(
    db,
    customerId,
    settled.rows.map(({ row }) => row),
  );
  for (const [place, { index }] of settled.rows.entries()) {
    const outcome = outcomes[place];
    if (outcome === "chat_taken" || outcome === "too_much") refused.push({ index, ...REFUSALS[outcome] });
  }
  return {
    created: outcomes.filter((outcome) => outcome === "created").length,
    updated: outcomes.filter((outcome) => outcome === "updated").length,
    refused: refused.sort((a, b) => a.index - b.index),
  };
}

const REFUSALS: Record<Exclude<BulkOutcome, "created" | "updated">, FieldProblem> = {
  chat_taken: { field: "telegramChatId", reason: "belongs to another contact" },
  too_much: {
    field: "attributes",
    reason: `with what is there, would pass ${MAX_ATTRIBUTES_BYTES} bytes, or its tags would be more than ${MAX_TAGS}`,
  },
};

function changedContact(existing: Contact, change: z.infer<typeof contactChange>): ContactFields {
  const contact: ContactFields = {
    id: existing.id,
    email: change.email === undefined ? existing.email : change.email,
    telegramChatId: change.telegramChatId === undefined ? existing.telegramChatId : change.telegramChatId,
    timeZone: change.timeZone === undefined ? existing.timeZone : change.timeZone,
    attributes: mergeAttributes(existing.attributes, change.attributes ?? {}),
    tags: change.tags ?? existing.tags,
  };
  if (contact.email === null && contact.telegramChatId === null) {
    throw invalid([{ field: "email", reason: "is required for a contact without telegramChatId" }]);
  }
  if (Buffer.byteLength(JSON.stringify(contact.attributes)) > MAX_ATTRIBUTES_BYTES) {
    throw invalid([{ field: "attributes", reason: `would have more than ${MAX_ATTRIBUTES_BYTES} bytes` }]);
  }
  return contact;
}

async function changeContact(db: Db, customerId: string, contact: ContactFields): Promise<Contact | null> {
  const rivals = await findRivals(db, customerId, contact);
  if (rivals.length > 0) throw taken(rivals, contact);
  return await saveContact(db, customerId, contact);
}

function taken(rivals: readonly Rival[], contact: ContactFields): AppError {
  const fields = rivals.map((rival) => ({
    field: rival.email?.toLowerCase() === contact.email?.toLowerCase() ? "email" : "telegramChatId",
    reason: `belongs to the contact ${rival.id}`,
  }));
  return new AppError("conflict", fields.map(({ field, reason }) => `${field} ${reason}`).join(", "), fields);
}

const noSuchContact = () => new AppError("not_found", "There is no contact with this id.");
