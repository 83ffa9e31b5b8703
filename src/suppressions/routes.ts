import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { appendEvents } from "../events/queries.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { email, id, idParams, time } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Db } from "../storage/pool.ts";
import {
  deleteSuppression,
  findContactId,
  findSuppression,
  insertSuppression,
  REASONS,
  type Reason,
  type Suppression,
  selectSuppressions,
} from "./queries.ts";

const tags = ["Suppressions"];

const suppression = z
  .object({
    id: id(),
    channel: z.enum(["email", "telegram"]),
    address: z.string().openapi({ description: "In lower case for email.", example: "ann@example.com" }),
    reason: z.enum(REASONS),
    contactId: z
      .string()
      .nullable()
      .openapi({ description: "The contact it came from, if any.", example: null }),
    createdAt: time(),
  })
  .openapi("Suppression");

// `blocked` is what Telegram tells us of a chat; nobody adds it to an email address by hand.
const newSuppression = z
  .strictObject({
    email: email(),
    reason: z.enum(["manual", "unsubscribe", "bounce", "complaint"]).default("manual"),
  })
  .openapi("NewSuppression");

const list = createRoute({
  method: "get",
  path: "/suppressions",
  operationId: "listSuppressions",
  tags,
  summary: "List suppressions, newest first",
  request: {
    query: z.object({ ...pageQuery, reason: z.enum(REASONS).optional(), email: email().optional() }),
  },
  responses: { 200: json(listOf(suppression), "A page of suppressions"), ...problems("invalid") },
});

const create = createRoute({
  method: "post",
  path: "/suppressions",
  operationId: "createSuppression",
  tags,
  summary: "Suppress an email address",
  description:
    "Nothing is sent to the address from now on, whatever contact has it. Adding it again for the same reason changes " +
    "nothing. If a contact has the address, `contact_suppressed` appears in its activity.",
  request: { body: jsonBody(newSuppression) },
  responses: {
    200: json(suppression, "It was there already"),
    201: json(suppression, "The suppression"),
    ...problems("invalid"),
  },
});

const remove = createRoute({
  method: "delete",
  path: "/suppressions/{id}",
  operationId: "deleteSuppression",
  tags,
  summary: "Lift a suppression",
  description:
    "Lifts this reason only: others of the same address stay. Lifting `unsubscribe` puts `resubscribed` into the " +
    "activity of the contact that has the address.",
  request: { params: idParams },
  responses: { 204: { description: "Lifted" }, ...problems("invalid", "not_found") },
});

export function suppressionRoutes(deps: { now: () => Date }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(list, async (c) => {
    const { limit, cursor, reason = null, email = null } = c.req.valid("query");
    const rows = await selectSuppressions(c.var.db, c.var.customerId, { reason, email }, { limit, cursor });
    const page = toPage(rows, limit);
    return c.json({ ...page, items: page.items.map(present) }, 200);
  });

  routes.openapi(create, async (c) => {
    const { email, reason } = c.req.valid("json");
    const { customerId } = c.var;
    const added = await inTransaction(c.var.db, (db) => suppress(db, customerId, email, reason, deps.now()));
    if (added !== null) return c.json(present(added), 201);
    const existing = await findSuppression(c.var.db, customerId, email, reason);
    if (existing === null)
      throw new AppError("conflict", "It was lifted at this very moment. Send the request again.");
    return c.json(present(existing), 200);
  });

  routes.openapi(remove, async (c) => {
    const { id } = c.req.valid("param");
    const lifted = await inTransaction(c.var.db, (db) => lift(db, c.var.customerId, id, deps.now()));
    if (!lifted) throw new AppError("not_found", "There is no suppression with this id.");
    return c.body(null, 204);
  });

  return routes;
}

/** Writes the suppression and its event together; null when it was there already. */
async function suppress(
  db: Db,
  customerId: string,
  email: string,
  reason: Reason,
  at: Date,
): Promise<Suppression | null> {
  const contactId = await findContactId(db, customerId, email);
  const added = await insertSuppression(db, customerId, { id: newId(), email, reason, contactId });
  if (added !== null && contactId !== null) {
    const type = "contact_suppressed";
    await appendEvents(db, [newEvent({ id: newId(), type, at, customerId, contactId, data: { reason } })]);
  }
  return added;
}

async function lift(db: Db, customerId: string, id: string, at: Date): Promise<boolean> {
  const lifted = await deleteSuppression(db, customerId, id);
  if (lifted === null) return false;
  if (lifted.reason !== "unsubscribe" || lifted.channel !== "email") return true;
  const contactId = await findContactId(db, customerId, lifted.address);
  if (contactId !== null) {
    await appendEvents(db, [newEvent({ id: newId(), type: "resubscribed", at, customerId, contactId })]);
  }
  return true;
}

function present(row: Suppression) {
  return { ...row, createdAt: row.createdAt.toISOString() };
}
