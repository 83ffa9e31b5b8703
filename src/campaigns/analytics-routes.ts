import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, problems } from "../http/openapi.ts";
import { noSuchCampaign } from "./activate.ts";
import { edgeNumbers, enrollmentsOf, nodeNumbers, numbersOf } from "./analytics.ts";
import {
  type HourCount,
  selectVersionEdges,
  selectVersionNodes,
  sumEdgeCounters,
  sumHours,
  sumNodeCounters,
} from "./analytics-queries.ts";
import { analytics, hoursQuery } from "./analytics-schema.ts";
import { findCampaign } from "./campaign-queries.ts";

const HOUR_MS = 3_600_000;

const read = createRoute({
  method: "get",
  path: "/campaigns/{id}/analytics",
  operationId: "getAnalytics",
  tags: ["Campaigns"],
  summary: "Get what has come of a campaign",
  description:
    "For every node and edge, over all versions; a moment behind what happens. `human` counts what a person did: " +
    "hits of people's own programs and of image proxies that fetch when a person opens. Prefetching privacy proxies " +
    "and link scanners are in `total` only.",
  request: { params: idParams, query: hoursQuery },
  responses: { 200: json(analytics, "The numbers"), ...problems("invalid", "not_found") },
});

export function analyticsRoutes(deps: { now: () => Date }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(read, async (c) => {
    const { id } = c.req.valid("param");
    const { hours } = c.req.valid("query");
    const { db, customerId } = c.var;
    const campaign = await findCampaign(db, customerId, id);
    if (campaign === null) throw noSuchCampaign();
    const ref = { customerId, campaignId: id };
    const counts = await sumNodeCounters(db, ref);
    const versionNodes = await selectVersionNodes(db, ref);
    const versionEdges = await selectVersionEdges(db, ref);
    const fired = await sumEdgeCounters(db, ref);
    const byHour = hours === undefined ? [] : await sumHours(db, ref, hoursAgo(deps.now(), hours));
    return c.json(
      {
        enrollments: enrollmentsOf(counts),
        totals: numbersOf(counts),
        nodes: nodeNumbers(campaign.nodes, versionNodes, counts),
        edges: edgeNumbers(campaign.edges, versionEdges, fired),
        hours: byHour.map(present),
      },
      200,
    );
  });

  return routes;
}

function hoursAgo(now: Date, hours: number): Date {
  return new Date((Math.floor(now.getTime() / HOUR_MS) + 1 - hours) * HOUR_MS);
}

function present(count: HourCount) {
  return { ...count, hour: count.hour.toISOString() };
}
