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
import { domainAddress } from "./address.ts";
import {
  deleteSuppression,
  findContactId,
  findSuppression,
  insertSuppression,
  type Suppression,
  selectSuppressions,
} from "./queries.ts";
import { DETAILS, REASONS, type Reason } from "./reasons.ts";

const tags = ["Suppressions"];

const suppression = z
  .object({
    id: id(),
    channel: z.enum(["email", "telegram"]),
    address: z.string().openapi({
      description: "In lower case for email; `@example.com` for every address at that domain.",
      example: "ann@example.com",
    }),
    reason: z.enum(REASONS),
    detail: z
      .enum(DETAILS)
      .nullable()
      .openapi({
        description:
          "`provider_suppressed`: the provider did not even try, because the address is on its own list. `soft_bounces`: " +
          "it bounced softly as often as the account's `softBounceLimit` allows. Null: as the reason says.",
        example: null,
      }),
    contactId: id().nullable().openapi({ description: "The contact it came from, if any.", example: null }),
    messageId: id().nullable().openapi({
      description: "The message that was unsubscribed from, bounced or was complained of, if any.",
      example: null,
    }),
    eventId: id().nullable().openapi({
      description: "The event that says so, as the contact's activity shows it, if any.",
      example: null,
    }),
    createdAt: time(),
  })
  .openapi("Suppression");

const domain = z
  .string()
  .refine((name) => domainAddress(name) !== null, "must be a domain such as example.com")
  .openapi({
    description: "Every address at exactly this domain; not those at its subdomains.",
    example: "example.com",
  });

// `blocked` is what Telegram tells us of a chat; nobody adds it to an email address by hand.
const newSuppression = z
  .strictObject({
    email: email().optional(),
    domain: domain.optional(),
    reason: z.enum(["manual", "unsubscribe", "bounce", "complaint"]).default("manual"),
  })
  .refine((given) => (given.email === undefined) !== (given.domain === undefined), {
    path: ["email"],
    message: "is required, or else domain, and not both",
  })
  .openapi("NewSuppression", { example: { email: "ann@example.com", reason: "manual" } });

const list = createRoute({
  method: "get",
  path: "/suppressions",
  operationId: "listSuppressions",
  tags,
  summary: "List suppressions, newest first",
  request: {
    query: z
      .object({
        ...pageQuery,
        reason: z.enum(REASONS).optional(),
        email: email().optional(),
        domain: domain.optional().openapi({ description: "Only this domain itself, not addresses at it." }),
      })
      .refine(({ email, domain }) => email === undefined || domain === undefined, {
        path: ["domain"],
        message: "cannot be given together with email",
      }),
  },
  responses: { 200: json(listOf(suppression), "A page of suppressions"), ...problems("invalid") },
});

const create = createRoute({
  method: "post",
  path: "/suppressions",
  operationId: "createSuppression",
  tags,
  summary: "Suppress an email address, or a domain",
  description:
    "Nothing is sent to the address, or to any address at exactly that domain, from now on, whatever contact has it. " +
    "Adding it again for the same reason changes nothing. If a contact has the address, `contact_suppressed` appears " +
    "in its activity; a domain appears in nobody's.",
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
    "Lifts this reason only: others of the same address stay. What happened before and is told only now does not " +
    "suppress it again. Lifting `unsubscribe` puts `resubscribed` into the activity of the contact that has the " +
    "address; lifting `bounce` forgets the soft bounces counted so far.",
  request: { params: idParams },
  responses: { 204: { description: "Lifted" }, ...problems("invalid", "not_found") },
});

export function suppressionRoutes(deps: { now: () => Date }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(list, async (c) => {
    const { limit, cursor, reason = null, ...of } = c.req.valid("query");
    const filter = {
      reason,
      address: of.domain === undefined ? (of.email ?? null) : domainAddress(of.domain),
    };
    const rows = await selectSuppressions(c.var.db, c.var.customerId, filter, { limit, cursor });
    const page = toPage(rows, limit);
    return c.json({ ...page, items: page.items.map(present) }, 200);
  });

  routes.openapi(create, async (c) => {
    const { email, domain = "", reason } = c.req.valid("json");
    const { customerId } = c.var;
    const address = email ?? domainAddress(domain) ?? "";
    const added = await inTransaction(c.var.db, (db) =>
      suppress(db, customerId, address, reason, deps.now()),
    );
    if (added !== null) return c.json(present(added), 201);
    const existing = await findSuppression(c.var.db, customerId, address, reason);
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
  address: string,
  reason: Reason,
  at: Date,
): Promise<Suppression | null> {
  const contactId = await findContactId(db, customerId, address);
  const added = await insertSuppression(db, customerId, { id: newId(), address, reason, contactId });
  if (added !== null && contactId !== null) {
    const type = "contact_suppressed";
    await appendEvents(db, [newEvent({ id: newId(), type, at, customerId, contactId, data: { reason } })]);
  }
  return added;
}

async function lift(db: Db, customerId: string, id: string, at: Date): Promise<boolean> {
  const lifted = await deleteSuppression(db, customerId, { id, at });
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
