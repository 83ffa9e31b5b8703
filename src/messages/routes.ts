import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { findReceivedTelegrams } from "../conversations/message-queries.ts";
import { readReceivedMail } from "../conversations/received.ts";
import { findReceivedMails } from "../conversations/received-queries.ts";
import type { ReceivedMail } from "../conversations/schema.ts";
import { presentTelegram } from "../conversations/telegram-media.ts";
import type { ReceivedTelegram } from "../conversations/telegram-schema.ts";
import { AppError } from "../errors.ts";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { appendEvents } from "../events/queries.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { id, idParams } from "../http/fields.ts";
import { json, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import { invalid } from "../http/problem.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Db } from "../storage/pool.ts";
import {
  findMessage,
  findRetryObstacle,
  type Message,
  type MessageFilter,
  type RetryObstacle,
  requeueMessage,
  selectMessages,
} from "./history-queries.ts";
import { findPostponed, type Postponed } from "./postponed.ts";
import { message as messageSchema } from "./schema.ts";
import { MESSAGE_STATUSES, type MessageStatus } from "./status.ts";

const tags = ["Messages"];

const list = createRoute({
  method: "get",
  path: "/messages",
  operationId: "listMessages",
  tags,
  summary: "List messages, newest first",
  request: {
    query: z.object({
      ...pageQuery,
      campaignId: id().optional(),
      contactId: id().optional(),
      status: z
        .enum(MESSAGE_STATUSES)
        .optional()
        .openapi({ description: "Only together with `campaignId` or `contactId`." }),
    }),
  },
  responses: { 200: json(listOf(messageSchema), "A page of messages"), ...problems("invalid") },
});

const read = createRoute({
  method: "get",
  path: "/messages/{id}",
  operationId: "getMessage",
  tags,
  summary: "Get a message",
  request: { params: idParams },
  responses: { 200: json(messageSchema, "The message"), ...problems("invalid", "not_found") },
});

const retry = createRoute({
  method: "post",
  path: "/messages/{id}/retry",
  operationId: "retryMessage",
  tags,
  summary: "Send a failed or uncertain message again",
  description:
    "EDGR never sends a message again by itself once it may have arrived; this is your decision to do so. **The " +
    "recipient of an `uncertain` message may get it twice.** The message is queued as if it were new and goes out " +
    "when its campaign runs, unless its address is suppressed by then. Edges that fired stay fired. Nothing more is " +
    "sent to an enrollment that is completed: its messages are a conflict. An answer in a conversation goes out at once.",
  request: { params: idParams },
  responses: {
    200: json(messageSchema, "The queued message"),
    ...problems("invalid", "not_found", "conflict"),
  },
});

export function messageRoutes(deps: { now: () => Date }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();
  const presentOne = async (db: Db, customerId: string, message: Message | null) => {
    if (message === null) throw noSuchMessage();
    const isReceived = message.direction === "inbound";
    const received = isReceived ? await readReceivedMail(db, customerId, message.id) : null;
    const telegrams = await receivedTelegrams(db, customerId, isReceived ? [message.id] : []);
    const postponed = await findPostponed(db, customerId, [message], deps.now());
    return present(message, postponed, { received, telegram: telegrams.get(message.id) ?? null });
  };

  routes.openapi(list, async (c) => {
    const { limit, cursor, ...asked } = c.req.valid("query");
    const rows = await selectMessages(c.var.db, c.var.customerId, filterOf(asked), { limit, cursor });
    const page = toPage(rows, limit);
    const postponed = await findPostponed(c.var.db, c.var.customerId, page.items, deps.now());
    const inbound = page.items.filter(({ direction }) => direction === "inbound").map(({ id }) => id);
    const received = await findReceivedMails(c.var.db, c.var.customerId, inbound, "listed");
    const telegrams = await receivedTelegrams(c.var.db, c.var.customerId, inbound);
    const items = page.items.map((item) => {
      const [mail = null, telegram = null] = [received.get(item.id), telegrams.get(item.id)];
      return present(item, postponed, { received: mail, telegram });
    });
    return c.json({ ...page, items }, 200);
  });

  routes.openapi(read, async (c) => {
    const { db, customerId } = c.var;
    const found = await findMessage(db, customerId, c.req.valid("param").id);
    return c.json(await presentOne(db, customerId, found), 200);
  });

  routes.openapi(retry, async (c) => {
    const { id } = c.req.valid("param");
    const queued = await inTransaction(c.var.db, (db) => requeue(db, c.var.customerId, id, deps.now()));
    return c.json(await presentOne(c.var.db, c.var.customerId, queued), 200);
  });

  return routes;
}

function filterOf(asked: {
  campaignId?: string | undefined;
  contactId?: string | undefined;
  status?: MessageStatus | undefined;
}): MessageFilter {
  const { campaignId = null, contactId = null, status = null } = asked;
  if (contactId !== null) return { by: "contact", contactId, campaignId, status };
  if (campaignId !== null) {
    return { by: "campaign", campaignId, statuses: status === null ? MESSAGE_STATUSES : [status] };
  }
  if (status === null) return { by: "nothing" };
  throw invalid([{ field: "status", reason: "needs campaignId or contactId beside it" }]);
}

async function requeue(db: Db, customerId: string, id: string, at: Date): Promise<Message | null> {
  const message = await findMessage(db, customerId, id);
  if (message === null) throw noSuchMessage();
  const obstacle = await findRetryObstacle(db, customerId, message);
  if (obstacle !== null) throw new AppError("conflict", `It can't be sent again: ${OBSTACLES[obstacle]}.`);
  const requeued = await requeueMessage(db, customerId, id);
  if (requeued === null) {
    const detail = "Only a message that failed, or of which nobody knows whether it was sent, is sent again.";
    throw new AppError("conflict", detail);
  }
  const event = { id: newId(), type: "message_queued" as const, at, customerId, messageId: id, ...requeued };
  await appendEvents(db, [newEvent({ ...event, data: { retry: true } })]);
  return await findMessage(db, customerId, id);
}

const OBSTACLES: Record<RetryObstacle, string> = {
  no_campaign: "its campaign does not exist any more",
  no_contact: "its contact does not exist any more",
  no_credential: "its credential does not exist any more",
  enrollment_over: "its enrollment is completed",
};

async function receivedTelegrams(
  db: Db,
  customerId: string,
  ids: readonly string[],
): Promise<Map<string, ReceivedTelegram>> {
  const stored = await findReceivedTelegrams(db, customerId, ids);
  return new Map(stored.map((one) => [one.messageId, presentTelegram(one)]));
}

type Received = { received: ReceivedMail | null; telegram: ReceivedTelegram | null };

function present(message: Message, postponed: ReadonlyMap<string, Postponed>, received: Received) {
  const { isWaiting, dueAt, postponedReason, ...shown } = message;
  const waitsFor = postponed.get(message.id) ?? null;
  return {
    ...shown,
    postponed: waitsFor === null ? null : { reason: waitsFor.reason, until: waitsFor.until.toISOString() },
    queuedAt: message.queuedAt.toISOString(),
    sentAt: message.sentAt?.toISOString() ?? null,
    openedAt: message.openedAt?.toISOString() ?? null,
    clickedAt: message.clickedAt?.toISOString() ?? null,
    ...received,
  };
}

const noSuchMessage = () => new AppError("not_found", "There is no message with this id.");
