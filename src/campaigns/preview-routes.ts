import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { id, idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import type { Library } from "../templates/expand.ts";
import { type Finding, lintEmail } from "../templates/lint.ts";
import { withoutTags } from "../templates/parse.ts";
import { needsPreparing, type Prepared, prepareHtml, templateNames } from "../templates/prepare.ts";
import { previewEmail } from "../templates/preview.ts";
import { contextFor, type PreviewDeps, readerOf, unprocessable } from "../templates/preview-routes.ts";
import { nodeFinding, preview as previewSchema, SAMPLE_CONTACT } from "../templates/preview-schema.ts";
import { findLibrary } from "../templates/queries.ts";
import { noSuchCampaign } from "./activate.ts";
import { findCampaign } from "./campaign-queries.ts";
import { bodyOf } from "./message-body.ts";
import { messageIn } from "./message-in.ts";
import type { MessageNode } from "./schema.ts";
import { lintTelegram, previewTelegram, telegramPreview } from "./telegram-preview.ts";

const tags = ["Campaigns"];

const previewInput = z
  .strictObject({
    nodeId: z.string().max(64).openapi({ description: "A message of the campaign.", example: "hello" }),
    contactId: id()
      .nullable()
      .default(null)
      .openapi({
        description: `Whose data the templates get. Without it, those of a sample contact: ${JSON.stringify(SAMPLE_CONTACT.attributes)}.`,
      }),
  })
  .openapi("CampaignPreview");

const preview = createRoute({
  method: "post",
  path: "/campaigns/{id}/preview",
  operationId: "previewMessage",
  tags,
  summary: "Preview a message of a campaign for a contact",
  description:
    "As the campaign is edited, activated or not. Nothing is sent or recorded: links are untracked, there is no " +
    "pixel, and the unsubscribe link only says that it was a test. A message that can't be composed for this contact " +
    "is a 422 that says why. A Telegram message is one with a `channel`.",
  request: { params: idParams, body: jsonBody(previewInput) },
  responses: {
    200: json(z.union([previewSchema, telegramPreview]), "The message"),
    ...problems("invalid", "not_found", "unprocessable"),
  },
});

const lint = createRoute({
  method: "get",
  path: "/campaigns/{id}/lint",
  operationId: "lintCampaign",
  tags,
  summary: "List what could be better in a campaign's messages",
  description:
    "As the campaign is edited: missing alt texts, broken links (judged by their form, never fetched), size, subjects " +
    "that look like spam, missing unsubscribe links and buttons. What depends on the contact shows in a preview.",
  request: { params: idParams },
  responses: { 200: json(listOf(nodeFinding), "The findings"), ...problems("invalid", "not_found") },
});

export function campaignPreviewRoutes(deps: PreviewDeps): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(preview, async (c) => {
    const { id } = c.req.valid("param");
    const { nodeId, contactId } = c.req.valid("json");
    const { db, customerId } = c.var;
    const campaign = await findCampaign(db, customerId, id);
    if (campaign === null) throw noSuchCampaign();
    const { node, index } = messageIn(campaign.nodes, nodeId);
    const body = bodyOf(node);
    const [prepared] = await prepareHtml([body], await libraryFor(db, customerId, [node]));
    if (prepared?.ok !== true)
      throw unprocessable(`nodes.${index}.${body.field}`, prepared?.reason ?? "is nothing");
    const reader = await readerOf(db, customerId, contactId);
    const context = await contextFor(db, customerId, campaign.name, reader);
    const links = { ...deps, customerId, now: deps.now().getTime() };
    const shown =
      node.channel === "email"
        ? previewEmail({ ...node, html: prepared.html }, context, links)
        : previewTelegram(node, prepared.html, context, links);
    if (!shown.ok) throw unprocessable(`nodes.${index}.${shown.field}`, shown.reason);
    return c.json(shown.preview, 200);
  });

  routes.openapi(lint, async (c) => {
    const { db, customerId } = c.var;
    const campaign = await findCampaign(db, customerId, c.req.valid("param").id);
    if (campaign === null) throw noSuchCampaign();
    const messages = campaign.nodes.filter((node) => node.type === "message");
    const library = await libraryFor(db, customerId, messages);
    const prepared = await prepareHtml(messages.map(bodyOf), library);
    const items = messages.flatMap((node, index) =>
      lintMessage(node, prepared[index]).map((finding) => ({ nodeId: node.id, ...finding })),
    );
    return c.json({ items, nextCursor: null }, 200);
  });

  return routes;
}

function libraryFor(db: Db, customerId: string, messages: readonly MessageNode[]): Promise<Library> {
  const names = messages.flatMap((node) => templateNames(bodyOf(node).html));
  return findLibrary(db, customerId, names);
}

function lintMessage(node: MessageNode, prepared: Prepared | undefined): Finding[] {
  if (prepared?.ok !== true)
    return [{ rule: "template", severity: "error", message: prepared?.reason ?? "is nothing", line: null }];
  if (node.channel === "telegram") return lintTelegram(node);
  const findings = lintEmail({
    html: withoutTags(prepared.html),
    subject: node.subject,
    text: node.text,
    isTemplate: true,
    isUnsubscribeLink: node.unsubscribeLink ? null : (href) => /\bunsubscribeUrl\b/.test(href),
  });
  // Lines of what was made of it are none of what was written.
  return needsPreparing(node) ? findings.map((finding) => ({ ...finding, line: null })) : findings;
}
