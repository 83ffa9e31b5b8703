import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { problems } from "../http/openapi.ts";
import { listOf } from "../http/pagination.ts";
import { allNodes } from "./analytics.ts";
import { graphOf } from "./analytics-campaign.ts";
import { csvAnswer, jsonOrCsv, wantsCsv } from "./analytics-csv.ts";
import { funnelOf, usualPath } from "./analytics-funnel.ts";
import { selectFirings, selectNodeCounts, selectVersionNodes } from "./analytics-queries.ts";
import { funnelQuery, funnelStep } from "./analytics-schema.ts";

const read = createRoute({
  method: "get",
  path: "/campaigns/{id}/analytics/funnel",
  operationId: "getFunnel",
  tags: ["Analytics"],
  summary: "Get how many enrollments reached each node of a way through the campaign",
  description:
    "Of each node, how many reached it, over all versions; whether they came there by the nodes before is not asked.",
  request: { params: idParams, query: funnelQuery },
  responses: {
    200: jsonOrCsv(
      listOf(funnelStep),
      "The steps",
      "nodeId,type,enrollments,runs,shareOfFirst,shareOfPrevious,dropOff\r\nhello,message,40,40,1,,0\r\n",
    ),
    ...problems("invalid", "not_found"),
  },
});

export function funnelRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(read, async (c) => {
    const { nodes: asked, format } = c.req.valid("query");
    const { ref, graph } = await graphOf(c.var, c.req.valid("param").id);
    const { db } = c.var;
    const known = allNodes(graph.nodes, await selectVersionNodes(db, ref));
    const path = asked ?? usualPath(graph, await selectFirings(db, ref));
    const steps = path.map((id) => {
      const node = known.find(({ nodeId }) => nodeId === id);
      if (node === undefined) throw noSuchNode(id);
      return node;
    });
    const items = funnelOf(steps, await selectNodeCounts(db, ref));
    if (wantsCsv(c, format)) return csvAnswer(c, "funnel", items, SAMPLE);
    return c.json({ items, nextCursor: null }, 200);
  });

  return routes;
}

const SAMPLE = {
  nodeId: "",
  type: "",
  enrollments: 0,
  runs: 0,
  shareOfFirst: null,
  shareOfPrevious: null,
  dropOff: 0,
};

function noSuchNode(id: string): AppError {
  const reason = `names the node "${id}", which the campaign does not have and never had`;
  return new AppError("invalid", `nodes ${reason}`, [{ field: "nodes", reason }]);
}
