import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { findContact } from "../contacts/queries.ts";
import { findSmtpCredential } from "../credentials/queries.ts";
import { findCustomer } from "../customers/queries.ts";
import { AppError, type FieldProblem } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { email, id, idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { invalid } from "../http/problem.ts";
import { sendTest, type TestMessage } from "../messages/test-send.ts";
import type { Db } from "../storage/pool.ts";
import { findReasons } from "../suppressions/queries.ts";
import { prepareHtml, templateNames } from "../templates/prepare.ts";
import { findLibrary } from "../templates/queries.ts";
import type { Tokens } from "../tracking/token.ts";
import { noSuchCampaign } from "./activate.ts";
import { findCampaign } from "./campaign-queries.ts";
import { messageIn } from "./message-in.ts";

const SAMPLE = { attributes: { firstName: "Ann", lastName: "Example", company: "Example Ltd" }, tags: [] };

const testSend = z
  .strictObject({
    nodeId: z.string().max(64).openapi({ description: "A message of the campaign.", example: "hello" }),
    to: email(),
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

const send = createRoute({
  method: "post",
  path: "/campaigns/{id}/test-send",
  operationId: "sendTest",
  tags: ["Campaigns"],
  summary: "Send one message of a campaign to yourself",
  description:
    "As the campaign is edited, activated or not; at once, and past the credential's rate limit. Nothing of it is " +
    "recorded: hits count for nobody and its unsubscribe link only says that it was a test. A message that can't be " +
    "composed, or that the mail server does not take, is a 422 that says why. Answers within half a minute.",
  request: { params: idParams, body: jsonBody(testSend) },
  responses: {
    200: json(testSent, "The mail server took it"),
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
};

export function testSendRoutes(deps: TestSendDeps): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(send, async (c) => {
    const { id } = c.req.valid("param");
    const { db, customerId } = c.var;
    const { message, credentialId, field } = await prepare(db, customerId, id, c.req.valid("json"));
    const credential = await findSmtpCredential(db, deps.encryptionKey, customerId, credentialId);
    if (credential === null) throw refused({ field: `${field}.credentialId`, reason: "does not exist" });
    const sent = await sendTest(message, credential, { ...deps, now: deps.now().getTime() });
    if (!sent.ok) throw refused({ field: fieldOf(sent.field, field), reason: sent.reason });
    const { subject, providerMessageId, warnings } = sent;
    return c.json({ status: "sent" as const, subject, providerMessageId, warnings }, 200);
  });

  return routes;
}

type Prepared = { message: TestMessage; credentialId: string; field: string };

async function prepare(
  db: Db,
  customerId: string,
  campaignId: string,
  { nodeId, to, contactId }: z.infer<typeof testSend>,
): Promise<Prepared> {
  const campaign = await findCampaign(db, customerId, campaignId);
  if (campaign === null) throw noSuchCampaign();
  const { node, index } = messageIn(campaign.nodes, nodeId);
  const reasons = await findReasons(db, customerId, { email: to, telegramChatId: null });
  if (reasons.length > 0) throw refused({ field: "to", reason: `is suppressed: ${reasons.join(", ")}` });
  const contact = contactId === null ? null : await findContact(db, customerId, contactId);
  if (contactId !== null && contact === null)
    throw invalid([{ field: "contactId", reason: "is no contact" }]);
  const [html] = await prepareHtml([node], await findLibrary(db, customerId, templateNames(node.html)));
  if (html?.ok !== true)
    throw refused({ field: `nodes.${index}.html`, reason: html?.reason ?? "is nothing" });
  const customer = await findCustomer(db, customerId);
  const { attributes, tags } = contact ?? SAMPLE;
  const message = {
    customerId,
    campaignId,
    campaignName: campaign.name,
    nodeId,
    settings: { ...node, html: html.html },
    to,
    contact: { email: contact?.email ?? to, attributes, tags },
    postalAddress: customer?.postalAddress ?? null,
  };
  return { message, credentialId: node.credentialId, field: `nodes.${index}` };
}

/** Where a person finds what a composed message calls so. */
function fieldOf(field: string, node: string): string {
  switch (field) {
    case "to":
      return "to";
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

function refused(problem: FieldProblem): AppError {
  return new AppError("unprocessable", `${problem.field}: ${problem.reason}`, [problem]);
}
