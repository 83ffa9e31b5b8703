import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { problems } from "../http/openapi.ts";
import { listOf } from "../http/pagination.ts";
import { bouncesOf, edgeNumbers, enrollmentsOf, nodeNumbers, numbersOf } from "./analytics.ts";
import { breakdownRoutes } from "./analytics-breakdown-routes.ts";
import { graphOf } from "./analytics-campaign.ts";
import { csvAnswer, formatQuery, jsonOrCsv, wantsCsv } from "./analytics-csv.ts";
import { funnelRoutes } from "./analytics-funnel-routes.ts";
import { hoursRoutes } from "./analytics-hours-routes.ts";
import {
  type BucketCount,
  selectFirings,
  selectNodeCounts,
  selectVersionEdges,
  selectVersionNodes,
  sumBounces,
  sumHours,
} from "./analytics-queries.ts";
import { analytics, edgeNumbersSchema, hoursQuery } from "./analytics-schema.ts";
import { splitRoutes } from "./analytics-split-routes.ts";

const HOUR_MS = 3_600_000;
const ANY = { nodeId: null, type: null };

const read = createRoute({
  method: "get",
  path: "/campaigns/{id}/analytics",
  operationId: "getAnalytics",
  tags: ["Analytics"],
  summary: "Get what has come of a campaign",
  description:
    "For every node and edge, over all versions; a moment behind what happens. `human` counts what a person did: " +
    "hits of people's own programs and of image proxies that fetch when a person opens. Prefetching privacy proxies " +
    "and link scanners are in `total` only. Unique is counted for each run of a node: one in every round of a cycle. " +
    "The table has a line for each node.",
  request: { params: idParams, query: hoursQuery },
  responses: {
    200: jsonOrCsv(analytics, "The numbers", "nodeId,type,runs.total,…\r\nhello,message,120,…\r\n"),
    ...problems("invalid", "not_found"),
  },
});

const readEdges = createRoute({
  method: "get",
  path: "/campaigns/{id}/analytics/edges",
  operationId: "listEdgeNumbers",
  tags: ["Analytics"],
  summary: "List how often each edge fired",
  description: "The campaign's edges as they are edited, then those that only earlier versions have.",
  request: { params: idParams, query: z.object(formatQuery) },
  responses: {
    200: jsonOrCsv(
      listOf(edgeNumbersSchema),
      "All edges",
      "edgeId,from,to,firesWhen,fired\r\ne1,hello,pause,clicked,12\r\n",
    ),
    ...problems("invalid", "not_found"),
  },
});

/** Everything under `/campaigns/{id}/analytics`. */
export function analyticsRoutes(deps: { now: () => Date }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(read, async (c) => {
    const { hours, format } = c.req.valid("query");
    const { ref, graph } = await graphOf(c.var, c.req.valid("param").id);
    const { db } = c.var;
    const counts = await selectNodeCounts(db, ref);
    const nodes = nodeNumbers(graph.nodes, await selectVersionNodes(db, ref), counts);
    if (wantsCsv(c, format)) {
      return csvAnswer(c, "analytics", nodes, { nodeId: "", type: "", ...numbersOf([]) });
    }
    const byHour = hours === undefined ? [] : await sumHours(db, ref, hoursBack(deps.now(), hours), ANY);
    const edges = edgeNumbers(graph.edges, await selectVersionEdges(db, ref), await selectFirings(db, ref));
    const answer = {
      enrollments: enrollmentsOf(counts),
      totals: numbersOf(counts),
      bounces: bouncesOf(await sumBounces(db, ref)),
      nodes,
      edges,
      hours: byHour.map(present),
    };
    return c.json(answer, 200);
  });

  routes.openapi(readEdges, async (c) => {
    const { ref, graph } = await graphOf(c.var, c.req.valid("param").id);
    const { db } = c.var;
    const items = edgeNumbers(graph.edges, await selectVersionEdges(db, ref), await selectFirings(db, ref));
    if (wantsCsv(c, c.req.valid("query").format)) return csvAnswer(c, "edges", items, NO_EDGE);
    return c.json({ items, nextCursor: null }, 200);
  });

  routes.route("/", breakdownRoutes());
  routes.route("/", hoursRoutes(deps));
  routes.route("/", funnelRoutes());
  routes.route("/", splitRoutes());
  return routes;
}

const NO_EDGE = { edgeId: "", from: "", to: "", firesWhen: "", fired: 0 };

function hoursBack(now: Date, hours: number) {
  const next = Math.floor(now.getTime() / HOUR_MS) + 1;
  const range = { from: new Date((next - hours) * HOUR_MS), to: new Date(next * HOUR_MS) };
  return { ...range, interval: "hour", zone: "UTC" } as const;
}

function present({ start, type, total, human }: BucketCount) {
  return { hour: start.toISOString(), type, total, human };
}
