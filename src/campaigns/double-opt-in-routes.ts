import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { tag } from "../contacts/schema.ts";
import { newId } from "../events/id.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { id, line } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { invalid } from "../http/problem.ts";
import { inTransaction } from "../http/transaction.ts";
import { MAX_TRACKED_URL_CHARS } from "../tracking/links.ts";
import { noSuchCampaign } from "./activate.ts";
import { campaign as campaignSchema } from "./api-schema.ts";
import { findCampaign, insertCampaign } from "./campaign-queries.ts";
import { findProblems } from "./check.ts";
import { doubleOptInCampaign } from "./double-opt-in.ts";
import { durationProblem } from "./duration.ts";

const MAX_NAME_LENGTH = 200;

const doubleOptIn = z
  .strictObject({
    name: line(MAX_NAME_LENGTH).default("Double opt-in"),
    credentialId: id().openapi({ description: "The credential that sends the email." }),
    confirmUrl: z
      .string()
      .max(MAX_TRACKED_URL_CHARS)
      .refine(isPlainUrl, "must be an http or https address without spaces, quotes, < > and { }")
      .openapi({
        description: "Where the link leads who confirms: a page of yours.",
        example: "https://example.com/welcome",
      }),
    tag: tag.default("confirmed").openapi({ description: "What who confirms gets.", example: "confirmed" }),
    within: z
      .string()
      .max(40)
      .superRefine((text, context) => {
        const problem = durationProblem(text);
        if (problem !== null) context.addIssue({ code: "custom", message: problem });
      })
      .default("P7D")
      .openapi({ description: "How long the contact has: an ISO 8601 duration.", example: "P7D" }),
    subject: line(200)
      .refine(
        (text) => !/[{][{%]/.test(text),
        "must be plain text; change the campaign's message for a template",
      )
      .default("Please confirm your subscription"),
  })
  .openapi("DoubleOptIn", {
    example: {
      credentialId: "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a24",
      confirmUrl: "https://example.com/welcome",
    },
  });

const create = createRoute({
  method: "post",
  path: "/campaigns/templates/double-opt-in",
  operationId: "createDoubleOptIn",
  tags: ["Campaigns"],
  summary: "Create a campaign, a draft, that asks contacts to confirm",
  description:
    "It sends an email with a link; who presses it in time gets the tag and the attribute `confirmedAt`, which a " +
    'segment such as `{"tag": "confirmed"}` finds. Link scanners confirm nothing. Change the texts as you like ' +
    "before you activate it, and enroll whoever signs up.",
  request: { body: jsonBody(doubleOptIn) },
  responses: { 201: json(campaignSchema, "The campaign"), ...problems("invalid") },
});

export function doubleOptInRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(create, async (c) => {
    const campaign = doubleOptInCampaign(c.req.valid("json"));
    const { customerId } = c.var;
    const campaignId = newId();
    const created = await inTransaction(c.var.db, async (db) => {
      const problems = await findProblems(db, customerId, campaign);
      if (problems.length > 0) {
        throw invalid(problems.map((problem) => ({ ...problem, field: fieldOf(problem.field) })));
      }
      await insertCampaign(db, customerId, campaignId, campaign);
      return await findCampaign(db, customerId, campaignId);
    });
    if (created === null) throw noSuchCampaign();
    return c.json(
      {
        ...created,
        hasUnactivatedChanges: true,
        createdAt: created.createdAt.toISOString(),
        updatedAt: created.updatedAt.toISOString(),
      },
      201,
    );
  });

  return routes;
}

/** The one field that can be wrong only by what is stored is the credential's: it is named as it was given. */
function fieldOf(field: string): string {
  return field.split(".").at(-1) ?? field;
}

function isPlainUrl(text: string): boolean {
  return /^https?:\/\/[^\s"'<>{}\\]+$/.test(text) && URL.canParse(text);
}
