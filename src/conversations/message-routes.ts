import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf, pageQuery } from "../http/pagination.ts";
import { inTransaction } from "../http/transaction.ts";
import { findConversation } from "./conversation-queries.ts";
import { conversationMessage, newReply } from "./conversation-schema.ts";
import { placeCursor, toPlacedPage } from "./cursor.ts";
import { findSaid, type Said, selectSaid } from "./message-queries.ts";
import { noSuchConversation, sendReply } from "./send-reply.ts";
import { presentButtons, presentMedia } from "./telegram-media.ts";

const tags = ["Conversations"];

const list = createRoute({
  method: "get",
  path: "/conversations/{id}/messages",
  operationId: "listConversationMessages",
  tags,
  summary: "List what was said in a conversation, newest first",
  description:
    "In both directions and all channels: what the contact wrote, what people answered, whatever became of it, and " +
    "what campaigns sent.",
  request: { params: idParams, query: z.object({ limit: pageQuery.limit, cursor: placeCursor }) },
  responses: {
    200: json(listOf(conversationMessage), "A page of messages"),
    ...problems("invalid", "not_found"),
  },
});

const answer = createRoute({
  method: "post",
  path: "/conversations/{id}/messages",
  operationId: "answerConversation",
  tags,
  summary: "Write to a contact, by email or Telegram",
  description:
    "It goes out at once, before all campaigns, and regardless of quiet hours, frequency caps and topics; only its " +
    "credential's send window and warm-up hold it. Nothing is sent " +
    "to an address that bounced, complained, blocked the bot or is suppressed by you; a contact that unsubscribed and " +
    "wrote all the same may be answered. An email answers the contact's last one, goes where that came from, and has no tracking and no " +
    "unsubscribe link. What it says is not part of any template: `{{` is sent as it is. The conversation stays open or " +
    "closed, read or unread, as it was.",
  request: { params: idParams, body: jsonBody(newReply) },
  responses: {
    202: json(conversationMessage, "The queued message"),
    ...problems("invalid", "not_found", "conflict", "unprocessable"),
  },
});

/** @param deps.onAppend called when something was appended to the log */
export function conversationMessageRoutes(deps: { now: () => Date; onAppend: () => void }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(list, async (c) => {
    const { id } = c.req.valid("param");
    const { limit, cursor } = c.req.valid("query");
    const { db, customerId } = c.var;
    if ((await findConversation(db, customerId, id)) === null) throw noSuchConversation();
    const rows = await selectSaid(db, customerId, id, { limit, cursor });
    const page = toPlacedPage(rows, limit);
    return c.json({ ...page, items: page.items.map(present) }, 200);
  });

  routes.openapi(answer, async (c) => {
    const { id } = c.req.valid("param");
    const reply = c.req.valid("json");
    const { customerId } = c.var;
    const queued = await inTransaction(c.var.db, async (db) => {
      const messageId = await sendReply(db, customerId, id, reply, deps.now());
      return findSaid(db, customerId, messageId);
    });
    if (queued === null) throw noSuchConversation();
    deps.onAppend();
    return c.json(present(queued), 202);
  });

  return routes;
}

function present(said: Said): z.infer<typeof conversationMessage> {
  return {
    id: said.id,
    direction: said.direction,
    channel: said.channel,
    at: said.at.toISOString(),
    status: said.status,
    error: said.error,
    to: said.to,
    credentialId: said.credentialId,
    author: said.author,
    from: said.from,
    subject: said.subject,
    text: said.text,
    html: said.html,
    hasHtml: said.hasHtml,
    isAutomatic: said.isAutomatic,
    media: presentMedia(said.id, said.media),
    photo: said.photo,
    attachments: said.attachments,
    buttons: presentButtons(said.keyboard),
    reactions: said.reactions,
    replyToMessageId: said.replyToMessageId,
    mediaGroupId: said.mediaGroupId,
    editedAt: said.editedAt?.toISOString() ?? null,
    campaignId: said.campaignId,
    nodeId: said.nodeId,
    runId: said.runId,
  };
}
