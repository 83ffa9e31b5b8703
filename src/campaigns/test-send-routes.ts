import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { findContact } from "../contacts/queries.ts";
import { findSmtpCredential } from "../credentials/queries.ts";
import { openBot } from "../credentials/telegram-queries.ts";
import { findCustomer } from "../customers/queries.ts";
import { AppError, type FieldProblem } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { email, id, idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { invalid } from "../http/problem.ts";
import { sendTest, type TestMessage } from "../messages/test-send.ts";
import { sendTelegramTest } from "../messages/test-telegram.ts";
import type { Db } from "../storage/pool.ts";
import { findReasons } from "../suppressions/queries.ts";
import type { BotApi } from "../telegram/api.ts";
import { prepareHtml, templateNames } from "../templates/prepare.ts";
import { findLibrary } from "../templates/queries.ts";
import type { Tokens } from "../tracking/token.ts";
import { noSuchCampaign } from "./activate.ts";
import { findCampaign } from "./campaign-queries.ts";
import { bodyOf } from "./message-body.ts";
import { messageIn } from "./message-in.ts";
import type { MessageNode } from "./schema.ts";

const SAMPLE = { attributes: { firstName: "Ann", lastName: "Example", company: "Example Ltd" }, tags: [] };

const testSend = z
  .strictObject({
    nodeId: z.string().max(64).openapi({ description: "A message of the campaign.", example: "hello" }),
    to: email()
      .optional()
      .openapi({ description: "Where an email goes, which needs it.", example: "ann@example.com" }),
    chatId: z
      .int()
      .nullable()
      .default(null)
      .openapi({
        type: ["integer", "null"],
        format: "int64",
        description: "Where a Telegram message goes. Without it, into the contact's chat.",
        example: null,
      }),
    contactId: id()
      .nullable()
      .default(null)
      .openapi({
        description: `Whose data the templates get. Without it, those of a sample contact: ${JSON.stringify(SAMPLE.attributes)}.`,
      }),
  })
  .openapi("TestSend");

const testSent = z
  .object({
    status: z.literal("sent"),
    subject: z.string().openapi({ example: "[Test] Hi Ann" }),
    providerMessageId: z.string().nullable().openapi({
      description: "The mail server's id for it.",
      example: "0100018f3c1a2b4d-6e5f7a8b-9c0d-4e1f-8a2b-3c4d5e6f7a8b-000000",
    }),
    warnings: z.array(z.string()).openapi({
      description: "What does not keep the message from being sent, and is better changed.",
      example: [],
    }),
  })
  .openapi("TestSent");

const telegramSent = z
  .object({
    status: z.literal("sent"),
    channel: z.literal("telegram"),
    chatId: z.int().openapi({ type: "integer", format: "int64", example: 5823456789 }),
    telegramMessageId: z.int().openapi({ type: "integer", example: 1204 }),
    warnings: z.array(z.string()).openapi({ example: [] }),
  })
  .openapi("TelegramTestSent");

const send = createRoute({
  method: "post",
  path: "/campaigns/{id}/test-send",
  operationId: "sendTest",
  tags: ["Campaigns"],
  summary: "Send one message of a campaign to yourself",
  description:
    "As the campaign is edited, activated or not; at once, and past the credential's rate limit. Nothing of it is " +
    "recorded: hits count for nobody and its unsubscribe link only says that it was a test. A message that can't be " +
    "composed, or that the mail server or Telegram does not take, is a 422 that says why. Answers within half a minute.",
  request: { params: idParams, body: jsonBody(testSend) },
  responses: {
    200: json(z.union([testSent, telegramSent]), "The mail server, or Telegram, took it"),
    ...problems("invalid", "not_found", "unprocessable"),
  },
});

export type TestSendDeps = {
  encryptionKey: Buffer;
  tokens: Tokens;
  publicUrl: string;
  now: () => Date;
  /** How long the mail server may take. */
  answerWithinMs: number;
  api: Pick<BotApi, "sendMessage">;
};

export function testSendRoutes(deps: TestSendDeps): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(send, async (c) => {
    const { db, customerId } = c.var;
    const prepared = await prepare(db, customerId, c.req.valid("param").id, c.req.valid("json"));
    const sent =
      prepared.channel === "email"
        ? await sendEmail(db, prepared, deps)
        : await sendTelegram(db, prepared, deps);
    return c.json(sent, 200);
  });

  return routes;
}

async function sendEmail(
  db: Db,
  { message, node, field, to }: PreparedEmail,
  deps: TestSendDeps,
): Promise<z.infer<typeof testSent>> {
  const { customerId } = message;
  const credential = await findSmtpCredential(db, deps.encryptionKey, customerId, node.credentialId);
  if (credential === null) throw noCredential(field);
  const customer = await findCustomer(db, customerId);
  const contact = { ...message.contact, email: message.contact.email || to };
  const postalAddress = customer?.postalAddress ?? null;
  const email = { ...message, contact, to, postalAddress };
  const sent = await sendTest(email, credential, { ...deps, now: deps.now().getTime() });
  if (!sent.ok) throw refused({ field: fieldOf(sent.field, field), reason: sent.reason });
  const { subject, providerMessageId, warnings } = sent;
  return { status: "sent", subject, providerMessageId, warnings };
}

async function sendTelegram(
  db: Db,
  { message, node, field, chatId }: PreparedTelegram,
  deps: TestSendDeps,
): Promise<z.infer<typeof telegramSent>> {
  const bot = await openBot(db, deps.encryptionKey, message.customerId, node.credentialId, { lock: false });
  if (bot === null) throw noCredential(field);
  const test = { ...message, chatId, botToken: bot.botToken };
  const sent = await sendTelegramTest(test, { ...deps, now: deps.now().getTime() });
  if (!sent.ok) throw refused({ field: fieldOf(sent.field, field), reason: sent.reason });
  const { messageId, warnings } = sent;
  return { status: "sent", channel: "telegram", chatId: sent.chatId, telegramMessageId: messageId, warnings };
}

type Message = Omit<TestMessage, "to" | "postalAddress">;
type PreparedEmail = { channel: "email"; node: MessageNode; message: Message; field: string; to: string };
type PreparedTelegram = {
  channel: "telegram";
  node: MessageNode;
  message: Message;
  field: string;
  chatId: number;
};

async function prepare(
  db: Db,
  customerId: string,
  campaignId: string,
  { nodeId, to, chatId, contactId }: z.infer<typeof testSend>,
): Promise<PreparedEmail | PreparedTelegram> {
  const campaign = await findCampaign(db, customerId, campaignId);
  if (campaign === null) throw noSuchCampaign();
  const { node, index } = messageIn(campaign.nodes, nodeId);
  const contact = contactId === null ? null : await findContact(db, customerId, contactId);
  if (contactId !== null && contact === null)
    throw invalid([{ field: "contactId", reason: "is no contact" }]);
  const target = targetOf(node, { to, chatId: chatId ?? contact?.telegramChatId ?? null });
  await refuseSuppressed(db, customerId, target);
  const body = bodyOf(node);
  const field = `nodes.${index}`;
  const [prepared] = await prepareHtml([body], await findLibrary(db, customerId, templateNames(body.html)));
  if (prepared?.ok !== true)
    throw refused({ field: `${field}.${body.field}`, reason: prepared?.reason ?? "is nothing" });
  const { attributes, tags } = contact ?? SAMPLE;
  const message = {
    customerId,
    campaignId,
    campaignName: campaign.name,
    nodeId,
    settings: { ...node, [body.field]: prepared.html },
    contact: { email: contact?.email ?? "", attributes, tags },
  };
  return { ...target, node, message, field };
}

type Target = { channel: "email"; to: string } | { channel: "telegram"; chatId: number };

function targetOf(
  { channel }: MessageNode,
  { to, chatId }: { to: string | undefined; chatId: number | null },
): Target {
  if (channel === "email") {
    if (to === undefined) throw invalid([{ field: "to", reason: "is required" }]);
    return { channel, to };
  }
  if (to !== undefined)
    throw invalid([{ field: "to", reason: "is for emails: a Telegram message goes to chatId" }]);
  if (chatId === null)
    throw invalid([{ field: "chatId", reason: "is required, or a contactId whose contact has a chat" }]);
  return { channel, chatId };
}

async function refuseSuppressed(db: Db, customerId: string, target: Target): Promise<void> {
  const [field, addresses] =
    target.channel === "email"
      ? (["to", { email: target.to, telegramChatId: null }] as const)
      : (["chatId", { email: null, telegramChatId: target.chatId }] as const);
  const reasons = await findReasons(db, customerId, addresses);
  if (reasons.length > 0) throw refused({ field, reason: `is suppressed: ${reasons.join(", ")}` });
}

/** Where a person finds what a composed message calls so. */
function fieldOf(field: string, node: string): string {
  switch (field) {
    case "to":
    case "chatId":
      return field;
    case "":
      return node;
    case "contact.email":
      return "contactId";
    case "fromEmail":
      return `${node}.from.email`;
    case "fromName":
      return `${node}.from.name`;
    default:
      return `${node}.${field}`;
  }
}

function noCredential(node: string): AppError {
  return refused({ field: `${node}.credentialId`, reason: "does not exist" });
}

function refused(problem: FieldProblem): AppError {
  return new AppError("unprocessable", `${problem.field}: ${problem.reason}`, [problem]);
}
