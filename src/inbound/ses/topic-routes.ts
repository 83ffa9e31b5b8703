import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import {
  type Credential,
  findCredential,
  lockCredential,
  saveCredential,
} from "../../credentials/queries.ts";
import { smtpSettings } from "../../credentials/schema.ts";
import { AppError } from "../../errors.ts";
import { API_PATH } from "../../http/app.ts";
import type { ApiEnv, ApiRoutes } from "../../http/env.ts";
import { id, idParams, time } from "../../http/fields.ts";
import { json, jsonBody, problems } from "../../http/openapi.ts";
import { invalid } from "../../http/problem.ts";
import { inTransaction } from "../../http/transaction.ts";
import type { Db } from "../../storage/pool.ts";
import { parseTopic } from "./topic.ts";
import { selectAsking, selectTopics } from "./topic-queries.ts";

const tags = ["Credentials"];
const MAX_TOPICS = 20;

const arn = z.string().max(300).openapi({ example: "arn:aws:sns:us-east-1:123456789012:edgr" });
const hrefOfTopics = z
  .string()
  .openapi({ example: "/api/v1/credentials/01989c2a-7d3c-7cc3-98c4-dc0c0c07398f/ses/topics" });
const moment = () => time().nullable();

const topics = z
  .object({
    items: z.array(
      z.object({
        topicArn: arn,
        subscription: z.enum(["none", "pending", "confirmed", "unsubscribed"]).openapi({
          description:
            "`none`: SNS has not asked to confirm one; `pending`: it has, and is being answered; `unsubscribed`: " +
            "somebody ended it, and it is not begun again by itself.",
          example: "confirmed",
        }),
        subscriptionAt: moment().openapi({ description: "Since when that is so." }),
        allowedAt: time(),
        lastMessageAt: moment(),
        lastError: z
          .string()
          .nullable()
          .openapi({ description: "Why confirming does not succeed.", example: null }),
      }),
    ),
    nextCursor: z.null(),
    asking: z
      .array(
        z.object({
          topicArn: arn,
          firstAt: time(),
          lastAt: time(),
          messages: z.int().openapi({ type: "integer", example: 3 }),
          allow: z
            .object({ method: z.literal("POST"), href: hrefOfTopics, body: z.object({ topicArn: arn }) })
            .openapi({ description: "The request that allows it." }),
        }),
      )
      .openapi({
        description:
          "Topics that want to connect: SNS signed what came from them, and nobody allowed them. Those of AWS " +
          "accounts of which you have a topic, or whose id is in `ses.accountId`.",
      }),
  })
  .openapi("SesTopics");

const list = createRoute({
  method: "get",
  path: "/credentials/{id}/ses/topics",
  operationId: "listSesTopics",
  tags,
  summary: "List the SNS topics that may report on mail, and those that want to",
  request: { params: idParams },
  responses: { 200: json(topics, "The topics"), ...problems("invalid", "not_found") },
});

const allow = createRoute({
  method: "post",
  path: "/credentials/{id}/ses/topics",
  operationId: "allowSesTopic",
  tags,
  summary: "Allow an SNS topic to report on mail",
  description:
    "Adds it to `ses.topicArns`. Its subscription is confirmed by itself, also when SNS asked for that in the last " +
    "two days. Refused when it is another customer's.",
  request: { params: idParams, body: jsonBody(z.strictObject({ topicArn: arn })) },
  responses: { 200: json(topics, "The topics"), ...problems("invalid", "not_found", "conflict") },
});

const remove = createRoute({
  method: "delete",
  path: "/credentials/{id}/ses/topics/{topicArn}",
  operationId: "removeSesTopic",
  tags,
  summary: "Believe an SNS topic no longer",
  description:
    "Takes it out of `ses.topicArns`. Within seconds its messages are refused, unless it fits `ses.topicPattern`: " +
    "what the pattern allows, only another pattern refuses.",
  request: { params: z.object({ id: id(), topicArn: arn }) },
  responses: { 204: { description: "Removed" }, ...problems("invalid", "not_found") },
});

export function sesTopicRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(list, async (c) => {
    const { db, customerId } = c.var;
    return c.json(await readTopics(db, customerId, c.req.valid("param").id), 200);
  });

  routes.openapi(allow, async (c) => {
    const { id: credentialId } = c.req.valid("param");
    const { topicArn } = c.req.valid("json");
    const { db, customerId } = c.var;
    if (parseTopic(topicArn) === null)
      throw invalid([{ field: "topicArn", reason: "must be the ARN of an SNS topic" }]);
    const shown = await inTransaction(db, async (transaction) => {
      await changeTopics(transaction, customerId, credentialId, (named) => [
        ...new Set([...named, topicArn]),
      ]);
      return readTopics(transaction, customerId, credentialId);
    });
    return c.json(shown, 200);
  });

  routes.openapi(remove, async (c) => {
    const { id: credentialId, topicArn } = c.req.valid("param");
    const { db, customerId } = c.var;
    await inTransaction(db, (transaction) =>
      changeTopics(transaction, customerId, credentialId, (named) => {
        if (!named.includes(topicArn))
          throw new AppError("not_found", "The credential does not name this topic.");
        return named.filter((other) => other !== topicArn);
      }),
    );
    return c.body(null, 204);
  });

  return routes;
}

async function changeTopics(
  db: Db,
  customerId: string,
  credentialId: string,
  change: (topicArns: readonly string[]) => string[],
): Promise<void> {
  const { name, settings } = found(await lockCredential(db, customerId, credentialId));
  const topicArns = change(settings.ses?.topicArns ?? []);
  if (topicArns.length > MAX_TOPICS)
    throw invalid([
      { field: "topicArn", reason: `would be more than the ${MAX_TOPICS} topics of a credential` },
    ]);
  const changed = smtpSettings.parse({ ...settings, ses: { ...settings.ses, topicArns } });
  await saveCredential(db, customerId, { id: credentialId, name, settings: changed, secret: null });
}

async function readTopics(db: Db, customerId: string, credentialId: string): Promise<z.input<typeof topics>> {
  const { settings } = found(await findCredential(db, customerId, credentialId));
  const rows = await selectTopics(db, customerId, credentialId, settings.ses?.topicArns ?? []);
  const asking = await selectAsking(db, customerId, settings.ses?.accountId ?? null);
  const href = `${API_PATH}/credentials/${credentialId}/ses/topics`;
  return {
    items: rows.map((row) => ({
      ...row,
      subscriptionAt: row.subscriptionAt?.toISOString() ?? null,
      allowedAt: row.allowedAt.toISOString(),
      lastMessageAt: row.lastMessageAt?.toISOString() ?? null,
    })),
    nextCursor: null,
    asking: asking.map(({ topicArn, firstAt, lastAt, messages }) => ({
      topicArn,
      firstAt: firstAt.toISOString(),
      lastAt: lastAt.toISOString(),
      messages,
      allow: { method: "POST", href, body: { topicArn } },
    })),
  };
}

function found(credential: Credential | null): Credential {
  if (credential === null) throw new AppError("not_found", "There is no credential with this id.");
  return credential;
}
