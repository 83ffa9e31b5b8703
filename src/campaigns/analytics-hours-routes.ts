import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { problems } from "../http/openapi.ts";
import { listOf } from "../http/pagination.ts";
import { campaignOf } from "./analytics-campaign.ts";
import { csvAnswer, jsonOrCsv, wantsCsv } from "./analytics-csv.ts";
import { type BucketCount, sumHours } from "./analytics-queries.ts";
import { bucket, seriesQuery } from "./analytics-schema.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DEFAULT_MS = { hour: 7 * DAY_MS, day: 30 * DAY_MS };
const MAX_DAYS = { hour: 31, day: 92 };

const read = createRoute({
  method: "get",
  path: "/campaigns/{id}/analytics/hours",
  operationId: "listAnalyticsHours",
  tags: ["Analytics"],
  summary: "List what happened by hour or by day, oldest first",
  description: "One item for each hour (day) and type of event that happened in it.",
  request: { params: idParams, query: seriesQuery },
  responses: {
    200: jsonOrCsv(
      listOf(bucket),
      "All hours, or days, of the time asked for",
      "start,type,total,unique,human,uniqueHuman\r\n2026-03-06T20:00:00.000Z,email_opened,12,10,9,8\r\n",
    ),
    ...problems("invalid", "not_found"),
  },
});

export function hoursRoutes(deps: { now: () => Date }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(read, async (c) => {
    const { format, nodeId = null, type = null, interval, zone, ...asked } = c.req.valid("query");
    const range = rangeOf(asked, interval, deps.now());
    const campaign = await campaignOf(c.var, c.req.valid("param").id);
    const rows = await sumHours(c.var.db, campaign, { ...range, interval, zone }, { nodeId, type });
    const items = rows.map(present);
    if (wantsCsv(c, format)) return csvAnswer(c, "hours", items, present(EMPTY));
    return c.json({ items, nextCursor: null }, 200);
  });

  return routes;
}

function rangeOf(
  asked: { from?: Date | undefined; to?: Date | undefined },
  interval: "hour" | "day",
  now: Date,
): { from: Date; to: Date } {
  const to = asked.to ?? now;
  const from = asked.from ?? new Date(to.getTime() - DEFAULT_MS[interval]);
  const days = (to.getTime() - from.getTime()) / DAY_MS;
  const reason =
    days < 0
      ? "must not be before from"
      : `must be at most ${MAX_DAYS[interval]} days after from when ${interval}s are asked for`;
  if (days < 0 || days > MAX_DAYS[interval])
    throw new AppError("invalid", `to ${reason}`, [{ field: "to", reason }]);
  return { from, to };
}

const EMPTY: BucketCount = {
  start: new Date(0),
  type: "email_opened",
  total: 0,
  uniqueTotal: 0,
  uniqueHuman: 0,
  human: 0,
};

function present({ start, type, total, uniqueTotal, human, uniqueHuman }: BucketCount) {
  return { start: start.toISOString(), type, total, unique: uniqueTotal, human, uniqueHuman };
}
