import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf, pageQuery } from "../http/pagination.ts";
import { invalid } from "../http/problem.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Db } from "../storage/pool.ts";
import {
  type Conversation,
  changeConversation,
  changeConversations,
  findConversation,
  holdContact,
  isInConversation,
  markRead,
  markUnread,
  selectConversations,
} from "./conversation-queries.ts";
import {
  assignee,
  bulkChange,
  CHANNELS,
  CONVERSATION_STATUSES,
  conversationChange,
  conversation as conversationSchema,
  readMark,
} from "./conversation-schema.ts";
import { placeCursor, toPlacedPage } from "./cursor.ts";
import { noSuchConversation } from "./send-reply.ts";

const tags = ["Conversations"];

const list = createRoute({
  method: "get",
  path: "/conversations",
  operationId: "listConversations",
  tags,
  summary: "List conversations, those with the newest message first",
  description:
    "A contact has one conversation, over all channels, as soon as it writes or somebody writes to it here. It opens again " +
    "when the contact writes, or when an answer could not be delivered. Answers of machines, such as out-of-office " +
    "notes, neither open it nor count as unread, and nor does what campaigns send.",
  request: {
    query: z.object({
      limit: pageQuery.limit,
      cursor: placeCursor,
      status: z.enum(CONVERSATION_STATUSES).optional(),
      assignee: assignee.optional(),
      unassigned: z.literal("true").optional().openapi({ description: "Those that nobody has." }),
      unread: z.literal("true").optional().openapi({ description: "Those with unread messages." }),
      channel: z.enum(CHANNELS).optional().openapi({ description: "Of the last message." }),
    }),
  },
  responses: { 200: json(listOf(conversationSchema), "A page of conversations"), ...problems("invalid") },
});

const read = createRoute({
  method: "get",
  path: "/conversations/{id}",
  operationId: "getConversation",
  tags,
  summary: "Get the conversation with a contact",
  description: "Its id is the contact's. One in which nothing was said yet is open, and not in the list.",
  request: { params: idParams },
  responses: { 200: json(conversationSchema, "The conversation"), ...problems("invalid", "not_found") },
});

const change = createRoute({
  method: "patch",
  path: "/conversations/{id}",
  operationId: "changeConversation",
  tags,
  summary: "Close, open or assign a conversation",
  request: { params: idParams, body: jsonBody(conversationChange) },
  responses: { 200: json(conversationSchema, "The conversation"), ...problems("invalid", "not_found") },
});

const bulk = createRoute({
  method: "post",
  path: "/conversations/bulk",
  operationId: "changeConversations",
  tags,
  summary: "Close, open, assign or mark many conversations as read",
  request: { body: jsonBody(bulkChange) },
  responses: {
    200: json(
      z.object({
        changed: z.int().openapi({ type: "integer", description: "How many of them there are.", example: 3 }),
      }),
      "How many were changed",
    ),
    ...problems("invalid"),
  },
});

const markAsRead = createRoute({
  method: "post",
  path: "/conversations/{id}/read",
  operationId: "readConversation",
  tags,
  summary: "Mark a conversation as read",
  description: "Up to the message that was seen, if you say which: what has come since stays unread.",
  request: { params: idParams, body: { ...jsonBody(readMark), required: false } },
  responses: {
    200: json(conversationSchema, "The conversation"),
    ...problems("invalid", "not_found", "unprocessable"),
  },
});

const markAsUnread = createRoute({
  method: "post",
  path: "/conversations/{id}/unread",
  operationId: "unreadConversation",
  tags,
  summary: "Mark what the contact wrote last as unread",
  request: { params: idParams },
  responses: { 200: json(conversationSchema, "The conversation"), ...problems("invalid", "not_found") },
});

export function conversationRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(list, async (c) => {
    const { limit, cursor, unread, unassigned, assignee: name, status, channel } = c.req.valid("query");
    if (unassigned !== undefined && name !== undefined)
      throw invalid([{ field: "unassigned", reason: "can't be asked for together with assignee" }]);
    const filter = {
      status,
      channel,
      assignee: unassigned === undefined ? name : null,
      isUnread: unread !== undefined,
    };
    const rows = await selectConversations(c.var.db, c.var.customerId, filter, { limit, cursor });
    const page = toPlacedPage(rows, limit);
    return c.json({ ...page, items: page.items.map(present) }, 200);
  });

  routes.openapi(read, async (c) => {
    return c.json(await shown(c.var.db, c.var.customerId, c.req.valid("param").id), 200);
  });

  routes.openapi(change, async (c) => {
    const { id } = c.req.valid("param");
    const given = c.req.valid("json");
    const { customerId } = c.var;
    const changed = await inTransaction(c.var.db, async (db) => {
      if (!(await holdContact(db, customerId, id))) throw noSuchConversation();
      await changeConversation(db, customerId, id, given);
      return shown(db, customerId, id);
    });
    return c.json(changed, 200);
  });

  routes.openapi(bulk, async (c) => {
    const { ids, read: isRead = false, ...given } = c.req.valid("json");
    const { customerId } = c.var;
    const changed = await inTransaction(c.var.db, async (db) => {
      const number = await changeConversations(db, customerId, ids, given);
      if (isRead) await markRead(db, customerId, ids, null);
      return number;
    });
    return c.json({ changed }, 200);
  });

  routes.openapi(markAsRead, async (c) => {
    const { id } = c.req.valid("param");
    // Without a body there is none to be validated either.
    const { messageId = null } = c.req.valid("json") ?? {};
    const { customerId } = c.var;
    const marked = await inTransaction(c.var.db, async (db) => {
      if (!(await holdContact(db, customerId, id))) throw noSuchConversation();
      if (messageId !== null && !(await isInConversation(db, customerId, id, messageId))) throw notOfThis();
      await markRead(db, customerId, [id], messageId);
      return shown(db, customerId, id);
    });
    return c.json(marked, 200);
  });

  routes.openapi(markAsUnread, async (c) => {
    const { id } = c.req.valid("param");
    const { customerId } = c.var;
    const marked = await inTransaction(c.var.db, async (db) => {
      if (!(await holdContact(db, customerId, id))) throw noSuchConversation();
      await markUnread(db, customerId, id);
      return shown(db, customerId, id);
    });
    return c.json(marked, 200);
  });

  return routes;
}

async function shown(db: Db, customerId: string, id: string) {
  const found = await findConversation(db, customerId, id);
  if (found === null) throw noSuchConversation();
  return present(found);
}

function present(conversation: Conversation): z.infer<typeof conversationSchema> {
  const { id, email, telegramChatId, firstName, lastName, otherName, lastMessage, ...rest } = conversation;
  const { status, assignee: name, unread } = rest;
  const fullName = [firstName, lastName].filter((part) => part !== null && part !== "").join(" ");
  return {
    id,
    contact: { id, email, telegramChatId, name: fullName === "" ? otherName : fullName },
    status,
    assignee: name,
    unread,
    lastMessage: lastMessage === null ? null : { ...lastMessage, at: lastMessage.at.toISOString() },
  };
}

function notOfThis(): AppError {
  const field = { field: "messageId", reason: "is no message of this conversation" };
  return new AppError("unprocessable", `${field.field}: ${field.reason}.`, [field]);
}
