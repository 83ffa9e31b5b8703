import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { id, idParams, time } from "../http/fields.ts";
import { json, problems } from "../http/openapi.ts";
import { invalid } from "../http/problem.ts";
import { STEP_IDS } from "./ses-setup-plan.ts";
import { type SesSetupDeps, setUpSes, showSesSetup } from "./ses-setup-run.ts";

const tags = ["Credentials"];

const step = z.object({
  id: z.enum(STEP_IDS).openapi({ example: "subscription" }),
  title: z.string().openapi({ example: "HTTPS subscription" }),
  name: z.string().openapi({
    description: "The exact name of what it is about.",
    example: "https://edgr.example.com/api/ses-events",
  }),
  status: z.enum(["missing", "done", "pending", "confirmed", "seen", "failed", "unknown"]).openapi({
    description:
      "`missing`: not there, or not as it has to be; `pending`: waits for what comes by itself; `confirmed`: the " +
      "subscription; `seen`: an event arrived; `unknown`: there are no AWS keys to look with, or an earlier step failed.",
    example: "pending",
  }),
  reason: z.string().nullable().openapi({ example: "It is being confirmed." }),
  at: time()
    .nullable()
    .openapi({ description: "When the subscription was confirmed, or the last event came.", example: null }),
  change: z
    .enum(["created", "corrected"])
    .nullable()
    .openapi({ description: "What this request did.", example: "created" }),
  console: z.string().openapi({
    description: "How to do it by hand.",
    example: 'Amazon SNS, topic "edgr", Create subscription: the protocol is HTTPS.',
  }),
  command: z
    .string()
    .nullable()
    .openapi({
      description: "The same with the AWS command line, or EDGR's API.",
      example:
        "aws sns subscribe --region us-east-1 --topic-arn arn:aws:sns:us-east-1:123456789012:edgr " +
        "--protocol https --notification-endpoint https://edgr.example.com/api/ses-events",
    }),
});

const setupState = z
  .object({
    credentialId: id(),
    region: z.string().nullable().openapi({ example: "us-east-1" }),
    hasAwsKeys: z.boolean().openapi({ description: "Without them only what EDGR knows itself is said." }),
    isComplete: z
      .boolean()
      .openapi({ description: "Nothing is missing, pending or failed.", example: false }),
    steps: z.array(step),
  })
  .openapi("SesSetup");

const show = createRoute({
  method: "get",
  path: "/credentials/{id}/ses/setup",
  operationId: "getSesSetup",
  tags,
  summary: "See how far the setup of Amazon SES is",
  description: "Asks AWS when the credential has keys (`ses.aws`). Changes nothing.",
  request: { params: idParams },
  responses: { 200: json(setupState, "Every step"), ...problems("invalid", "not_found") },
});

const run = createRoute({
  method: "post",
  path: "/credentials/{id}/ses/setup",
  operationId: "setUpSes",
  tags,
  summary: "Set Amazon SES up for a credential",
  description:
    "Makes what SES needs to tell EDGR what becomes of mail, with the credential's AWS keys, in the order of the steps, " +
    "and ends at the first that fails: look at `isComplete` and `steps`. What is there already is adopted and corrected, " +
    "so that it can be run again at any time. Writes `ses.configurationSet` and `ses.topicArns` of the credential. Answers " +
    "within half a minute, and takes no `Idempotency-Key`.",
  request: {
    params: idParams,
    body: {
      required: false,
      content: {
        "application/json": {
          schema: z.strictObject({
            dryRun: z.boolean().default(false).openapi({ description: "Only look.", example: false }),
          }),
        },
      },
    },
  },
  responses: {
    200: json(setupState, "Every step"),
    ...problems("invalid", "not_found", "conflict", "unprocessable"),
  },
});

export function sesSetupRoutes(deps: SesSetupDeps): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(show, async (c) => {
    const { db, customerId } = c.var;
    return c.json(await showSesSetup(db, customerId, c.req.valid("param").id, deps), 200);
  });

  routes.openapi(run, async (c) => {
    const { id: credentialId } = c.req.valid("param");
    const { db, customerId } = c.var;
    const { dryRun = false } = c.req.valid("json");
    if (dryRun) return c.json(await showSesSetup(db, customerId, credentialId, deps), 200);
    // In its transaction the topic would be allowed only after SNS has asked for the confirmation.
    if (db.isTransaction) {
      const reason = "is not taken here: running the setup twice does nothing twice";
      throw invalid([{ field: "Idempotency-Key", reason }]);
    }
    return c.json(await setUpSes(db, customerId, credentialId, deps), 200);
  });

  return routes;
}
