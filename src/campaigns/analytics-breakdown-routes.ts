import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { problems } from "../http/openapi.ts";
import { listOf, pageQuery } from "../http/pagination.ts";
import { hitsOf, numbersOf } from "./analytics.ts";
import { campaignOf } from "./analytics-campaign.ts";
import { csvAnswer, formatQuery, jsonOrCsv, wantsCsv } from "./analytics-csv.ts";
import { countCursor, encodeCursor } from "./analytics-cursor.ts";
import { deviceNumbersOf, deviceOf } from "./analytics-devices.ts";
import { type Count, type LinkCount, selectDomains, selectLinks, sumDevices } from "./analytics-queries.ts";
import { deviceNumbers, devicesQuery, domainNumbers, linkNumbers, nodeFilter } from "./analytics-schema.ts";

const tags = ["Analytics"];
const listQuery = z.object({ ...pageQuery, cursor: countCursor, ...formatQuery, ...nodeFilter });

/** What a table has: of links and of domains a thousand by name, and a link once for each node it is in. */
const EVERYTHING = { limit: 1_000_000, cursor: null };

const readLinks = createRoute({
  method: "get",
  path: "/campaigns/{id}/analytics/links",
  operationId: "listLinkNumbers",
  tags,
  summary: "List clicks by link, those first that people click most",
  description: "While clicks come in a link can move from one page to another.",
  request: { params: idParams, query: listQuery },
  responses: {
    200: jsonOrCsv(
      listOf(linkNumbers),
      "A page of links",
      "url,nodeId,clicked.total,clicked.unique,…\r\nhttps://example.com/buy,hello,12,10,…\r\n",
    ),
    ...problems("invalid", "not_found"),
  },
});

const readDomains = createRoute({
  method: "get",
  path: "/campaigns/{id}/analytics/domains",
  operationId: "listDomainNumbers",
  tags,
  summary: "List what came of messages by recipient domain, those first that most messages go to",
  description: "While messages are sent a domain can move from one page to another.",
  request: { params: idParams, query: listQuery },
  responses: {
    200: jsonOrCsv(
      listOf(domainNumbers),
      "A page of domains",
      "domain,runs.total,…,queued,sent,…\r\ngmail.com,0,…,120,118,…\r\n",
    ),
    ...problems("invalid", "not_found"),
  },
});

const readDevices = createRoute({
  method: "get",
  path: "/campaigns/{id}/analytics/devices",
  operationId: "listDeviceNumbers",
  tags,
  summary: "List hits by device, those first that people use most",
  description:
    "As programs call themselves. A message counts as unique under the device that came first, so the unique numbers " +
    "add up to the node's.",
  request: { params: idParams, query: devicesQuery },
  responses: {
    200: jsonOrCsv(
      listOf(deviceNumbers),
      "All devices",
      "platform,client,opened.total,…\r\niphone,,12,…\r\n",
    ),
    ...problems("invalid", "not_found"),
  },
});

export function breakdownRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(readLinks, async (c) => {
    const { limit, cursor, format, nodeId = null } = c.req.valid("query");
    const campaign = await campaignOf(c.var, c.req.valid("param").id);
    const isCsv = wantsCsv(c, format);
    const page = isCsv ? EVERYTHING : { limit, cursor };
    const rows = await selectLinks(c.var.db, campaign, { nodeId }, page);
    if (isCsv) return csvAnswer(c, "links", rows.map(presentLink), linkOf("", "", []));
    const last = rows.length > limit ? rows[limit - 1] : undefined;
    const nextCursor = last === undefined ? null : encodeCursor({ ...last, number: last.human + last.proxy });
    return c.json({ items: rows.slice(0, limit).map(presentLink), nextCursor }, 200);
  });

  routes.openapi(readDomains, async (c) => {
    const { limit, cursor, format, nodeId = null } = c.req.valid("query");
    const campaign = await campaignOf(c.var, c.req.valid("param").id);
    const isCsv = wantsCsv(c, format);
    const page = isCsv ? EVERYTHING : { limit, cursor };
    const rows = await selectDomains(c.var.db, campaign, { nodeId }, page);
    const domains = [...Map.groupBy(rows, (row) => row.domain)];
    const items = domains.map(([domain, counts]) => ({ domain, ...numbersOf(counts) }));
    if (isCsv) return csvAnswer(c, "domains", items, { domain: "", ...numbersOf([]) });
    const last = domains.length > limit ? domains[limit - 1]?.[1][0] : undefined;
    const nextCursor =
      last === undefined ? null : encodeCursor({ number: last.queued, value: last.domain, nodeId: "" });
    return c.json({ items: items.slice(0, limit), nextCursor }, 200);
  });

  routes.openapi(readDevices, async (c) => {
    const { by, format, nodeId = null } = c.req.valid("query");
    const campaign = await campaignOf(c.var, c.req.valid("param").id);
    const items = deviceNumbersOf(await sumDevices(c.var.db, campaign, { nodeId }), by);
    if (wantsCsv(c, format)) return csvAnswer(c, "devices", items, deviceOf(null, null, []));
    return c.json({ items, nextCursor: null }, 200);
  });

  return routes;
}

function presentLink(row: LinkCount) {
  return linkOf(row.url, row.nodeId, [row]);
}

function linkOf(url: string, nodeId: string, counts: readonly Count[]) {
  return { url, nodeId, clicked: hitsOf(counts, "email_clicked") };
}
