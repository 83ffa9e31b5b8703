import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { problems } from "../http/openapi.ts";
import { listOf } from "../http/pagination.ts";
import { graphOf } from "./analytics-campaign.ts";
import { csvAnswer, formatQuery, jsonOrCsv, wantsCsv } from "./analytics-csv.ts";
import { selectFirings, selectNodeCounts } from "./analytics-queries.ts";
import { count } from "./analytics-schema.ts";
import { rateOf, splitsOf } from "./analytics-split.ts";

const between = (description: string) =>
  z.number().min(0).max(1).nullable().openapi({ description, example: 0.25 });

const rate = z
  .object({
    rate: between("Of what was sent; null when nothing was."),
    low: between("Where the 95 % Wilson score interval begins."),
    high: between("Where it ends."),
    pValue: between(
      "Of a two-sided, pooled two-proportion z-test against the first variant: how likely a difference at least as " +
        "large were by chance. Null for the first.",
    ),
  })
  .openapi("VariantRate");

const split = z
  .object({
    nodeId: z.string().openapi({ example: "subject-test" }),
    variants: z.array(
      z.object({
        variant: z.string().openapi({ example: "a" }),
        weight: z.int().openapi({ example: 50 }),
        edgeId: z.string().nullable().openapi({
          description:
            "To a message that no other edge leads to; null when there is none, and nothing is counted.",
          example: "to-a",
        }),
        nodeId: z.string().nullable().openapi({ description: "That message.", example: "hello-a" }),
        assigned: count("Times the split chose it."),
        sent: count("Messages accepted by the mail server."),
        opened: count("Messages that a person opened."),
        clicked: count("Messages in which a person clicked."),
        openRate: rate,
        clickRate: rate,
      }),
    ),
  })
  .openapi("SplitNumbers");

const read = createRoute({
  method: "get",
  path: "/campaigns/{id}/analytics/splits",
  operationId: "listSplitNumbers",
  tags: ["Analytics"],
  summary: "List the splits of a campaign with their variants side by side",
  description: "Of the graph as it is edited now. The table has a line for each variant.",
  request: { params: idParams, query: z.object(formatQuery) },
  responses: {
    200: jsonOrCsv(
      listOf(split),
      "All splits",
      "split,variant,weight,edgeId,nodeId,assigned,sent,opened,clicked,openRate.rate,…\r\nsubject-test,a,50,to-a,hello-a,…\r\n",
    ),
    ...problems("invalid", "not_found"),
  },
});

export function splitRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(read, async (c) => {
    const { ref, graph } = await graphOf(c.var, c.req.valid("param").id);
    const { db } = c.var;
    const items = splitsOf(graph, await selectNodeCounts(db, ref), await selectFirings(db, ref));
    if (!wantsCsv(c, c.req.valid("query").format)) return c.json({ items, nextCursor: null }, 200);
    const lines = items.flatMap(({ nodeId, variants }) =>
      variants.map((variant) => ({ split: nodeId, ...variant })),
    );
    return csvAnswer(c, "splits", lines, SAMPLE);
  });

  return routes;
}

const SAMPLE = {
  split: "",
  variant: "",
  weight: 0,
  edgeId: null,
  nodeId: null,
  assigned: 0,
  sent: 0,
  opened: 0,
  clicked: 0,
  openRate: rateOf(0, 0, null),
  clickRate: rateOf(0, 0, null),
};
