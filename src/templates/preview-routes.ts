import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { findContact } from "../contacts/queries.ts";
import { findCustomer } from "../customers/queries.ts";
import { AppError } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { email, id } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { invalid } from "../http/problem.ts";
import type { ContentContext } from "../messages/compose.ts";
import type { Db } from "../storage/pool.ts";
import type { Tokens } from "../tracking/token.ts";
import { TEMPLATE_FORMATS } from "./expand.ts";
import { prepareHtml, templateNames } from "./prepare.ts";
import { previewEmail } from "./preview.ts";
import { preview as previewSchema, SAMPLE_CONTACT } from "./preview-schema.ts";
import { findLibrary } from "./queries.ts";

const MAX_HTML_CHARS = 1_000_000;

const sampleContact = z
  .strictObject({
    email: email().default(SAMPLE_CONTACT.email),
    attributes: z
      .record(z.string(), z.json())
      .default({})
      .openapi({ type: "object", additionalProperties: true, example: { firstName: "Ann" } }),
    tags: z
      .array(z.string().max(64))
      .max(100)
      .default([])
      .openapi({ example: ["vip"] }),
  })
  .openapi("SampleContact");

const unsaved = z
  .strictObject({
    format: z.enum(TEMPLATE_FORMATS).default("html").openapi({ example: "html" }),
    html: z
      .string()
      .min(1, "must not be empty")
      .max(MAX_HTML_CHARS, `must have at most ${MAX_HTML_CHARS} characters`)
      .openapi({ example: "<p>Hi {{ contact.attributes.firstName }}</p>" }),
    subject: z.string().max(998).default("").openapi({ example: "Hi {{ contact.attributes.firstName }}" }),
    text: z.string().max(MAX_HTML_CHARS).nullable().default(null).openapi({ example: null }),
    unsubscribeLink: z.boolean().default(true).openapi({ description: "As of a message." }),
    campaignName: z.string().max(200).default("Campaign").openapi({ example: "Welcome" }),
    contactId: id().optional().openapi({ description: "Whose data the templates get." }),
    contact: sampleContact
      .optional()
      .openapi({ description: "The data themselves, instead of `contactId`." }),
  })
  .refine(({ contactId, contact }) => contactId === undefined || contact === undefined, {
    path: ["contact"],
    message: "can't be given together with contactId",
  })
  .openapi("TemplatePreview");

const previewUnsaved = createRoute({
  method: "post",
  path: "/templates/preview",
  operationId: "previewTemplate",
  tags: ["Templates"],
  summary: "Preview a message that is not saved",
  description:
    "With your layouts and partials, MJML and Liquid, for a contact, for data of your own, or for a sample contact: " +
    `${JSON.stringify(SAMPLE_CONTACT.attributes)}. Nothing is saved or sent; its unsubscribe link only says that it ` +
    "was a test.",
  request: { body: jsonBody(unsaved) },
  responses: { 200: json(previewSchema, "The message"), ...problems("invalid", "unprocessable") },
});

export type PreviewDeps = { tokens: Tokens; publicUrl: string; now: () => Date };

export function templatePreviewRoutes(deps: PreviewDeps): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(previewUnsaved, async (c) => {
    const { contactId, contact, format, html, ...message } = c.req.valid("json");
    const { db, customerId } = c.var;
    const library = await findLibrary(db, customerId, templateNames(html));
    const [prepared] = await prepareHtml([{ format, html }], library);
    if (prepared?.ok !== true) throw unprocessable("html", prepared?.reason ?? "is nothing");
    const reader = contact ?? (await readerOf(db, customerId, contactId ?? null));
    const context = await contextFor(db, customerId, message.campaignName, reader);
    const content = { ...message, html: prepared.html };
    const shown = previewEmail(content, context, { ...deps, customerId, now: deps.now().getTime() });
    if (!shown.ok) throw unprocessable(shown.field, shown.reason);
    return c.json(shown.preview, 200);
  });

  return routes;
}

/** What templates get of a contact, or of the sample when none is named. */
export async function readerOf(
  db: Db,
  customerId: string,
  contactId: string | null,
): Promise<ContentContext["contact"]> {
  if (contactId === null) return SAMPLE_CONTACT;
  const contact = await findContact(db, customerId, contactId);
  if (contact === null) throw invalid([{ field: "contactId", reason: "is no contact" }]);
  const { email, attributes, tags } = contact;
  return { email: email ?? "", attributes, tags };
}

export async function contextFor(
  db: Db,
  customerId: string,
  campaignName: string,
  contact: ContentContext["contact"],
): Promise<ContentContext> {
  const customer = await findCustomer(db, customerId);
  return { contact, campaignName, postalAddress: customer?.postalAddress ?? null };
}

export function unprocessable(field: string, reason: string): AppError {
  return new AppError("unprocessable", `${field}: ${reason}`, [{ field, reason }]);
}
