import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import { newId } from "../events/id.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import { invalid } from "../http/problem.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Db } from "../storage/pool.ts";
import { activateCampaign, hasUnactivatedChanges, noSuchCampaign, switchCampaign } from "./activate.ts";
import {
  CAMPAIGN_STATUSES,
  campaignChange,
  campaign as campaignSchema,
  campaignSummary,
} from "./api-schema.ts";
import {
  type CampaignSummary,
  deleteCampaign,
  findCampaign,
  insertCampaign,
  lockCampaign,
  saveCampaign,
  selectCampaigns,
} from "./campaign-queries.ts";
import { findProblems, webhookAddressProblems } from "./check.ts";
import { type Campaign, campaignInput } from "./schema.ts";

const tags = ["Campaigns"];

/** Takes of a stored campaign what is not EDGR's own. */
const merged = campaignInput.strip();

const create = createRoute({
  method: "post",
  path: "/campaigns",
  operationId: "createCampaign",
  tags,
  summary: "Create a campaign, a draft",
  description:
    "The graph is checked whole: one entry, every node reachable, every edge able to fire, templates that parse, " +
    "credentials that exist. The entry is the node that no edge leads to; when edges lead to every node, it is the " +
    "first in the list. What is wrong names the field, and the node or edge by its id.",
  request: { body: jsonBody(campaignInput) },
  responses: { 201: json(campaignSchema, "The campaign"), ...problems("invalid") },
});

const list = createRoute({
  method: "get",
  path: "/campaigns",
  operationId: "listCampaigns",
  tags,
  summary: "List campaigns, newest first",
  description: "Without their graphs.",
  request: { query: z.object({ ...pageQuery, status: z.enum(CAMPAIGN_STATUSES).optional() }) },
  responses: { 200: json(listOf(campaignSummary), "A page of campaigns"), ...problems("invalid") },
});

const read = createRoute({
  method: "get",
  path: "/campaigns/{id}",
  operationId: "getCampaign",
  tags,
  summary: "Get a campaign with its graph",
  request: { params: idParams },
  responses: { 200: json(campaignSchema, "The campaign"), ...problems("invalid", "not_found") },
});

const change = createRoute({
  method: "patch",
  path: "/campaigns/{id}",
  operationId: "changeCampaign",
  tags,
  summary: "Change a campaign",
  description:
    "Allowed at any time. A changed graph takes effect when the campaign is activated again: until then the " +
    "activated one goes on, and who is in it stays in it. Everything else takes effect at once.",
  request: { params: idParams, body: jsonBody(campaignChange) },
  responses: { 200: json(campaignSchema, "The campaign"), ...problems("invalid", "not_found") },
});

const remove = createRoute({
  method: "delete",
  path: "/campaigns/{id}",
  operationId: "deleteCampaign",
  tags,
  summary: "Delete a campaign",
  description:
    "A draft or a paused one. What it had ahead is withdrawn: queued messages, waits and timers are cancelled, enrollments " +
    "completed. Messages, enrollments and the contacts' activity stay, and links in sent emails keep working.",
  request: { params: idParams },
  responses: { 204: { description: "Deleted" }, ...problems("invalid", "not_found", "conflict") },
});

const activate = createRoute({
  method: "post",
  path: "/campaigns/{id}/activate",
  operationId: "activateCampaign",
  tags,
  summary: "Activate a campaign",
  description:
    "Makes its graph the one that people enroll into, as a new version, and lets it run; people under way keep the " +
    "version they began with. When the graph has not changed, the version stays.",
  request: { params: idParams },
  responses: {
    200: json(campaignSchema, "The running campaign"),
    ...problems("invalid", "not_found", "conflict"),
  },
});

const pause = createRoute({
  method: "post",
  path: "/campaigns/{id}/pause",
  operationId: "pauseCampaign",
  tags,
  summary: "Pause a campaign",
  description:
    "Nothing is sent and no wait ends until it is resumed; hits are recorded as ever. A draft is a conflict.",
  request: { params: idParams },
  responses: {
    200: json(campaignSchema, "The paused campaign"),
    ...problems("invalid", "not_found", "conflict"),
  },
});

const resume = createRoute({
  method: "post",
  path: "/campaigns/{id}/resume",
  operationId: "resumeCampaign",
  tags,
  summary: "Resume a campaign",
  description: "Goes on where it was paused, with the version that was running. A draft is a conflict.",
  request: { params: idParams },
  responses: {
    200: json(campaignSchema, "The running campaign"),
    ...problems("invalid", "not_found", "conflict"),
  },
});

type CampaignDeps = {
  /** Why EDGR does not call an address, to follow its name; null when it does. */
  refusedUrl: (url: string) => string | null;
};

export function campaignRoutes(deps: CampaignDeps): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(create, async (c) => {
    const fields = c.req.valid("json");
    const { customerId } = c.var;
    const id = newId();
    const created = await inTransaction(c.var.db, async (db) => {
      await refuseProblems(db, customerId, fields, deps);
      await insertCampaign(db, customerId, id, fields);
      return await present(db, customerId, id);
    });
    return c.json(created, 201);
  });

  routes.openapi(list, async (c) => {
    const { limit, cursor, status = null } = c.req.valid("query");
    const rows = await selectCampaigns(c.var.db, c.var.customerId, { status }, { limit, cursor });
    const page = toPage(rows, limit);
    return c.json({ ...page, items: page.items.map(withTimes) }, 200);
  });

  routes.openapi(read, async (c) => {
    return c.json(await present(c.var.db, c.var.customerId, c.req.valid("param").id), 200);
  });

  routes.openapi(change, async (c) => {
    const { id } = c.req.valid("param");
    const fields = c.req.valid("json");
    const { customerId } = c.var;
    const changed = await inTransaction(c.var.db, async (db) => {
      const existing = await lockCampaign(db, customerId, id);
      if (existing === null) throw noSuchCampaign();
      const campaign = merged.parse({ ...existing, ...fields });
      await refuseProblems(db, customerId, campaign, deps);
      await saveCampaign(db, customerId, id, campaign);
      return await present(db, customerId, id);
    });
    return c.json(changed, 200);
  });

  routes.openapi(remove, async (c) => {
    const { id } = c.req.valid("param");
    const { customerId } = c.var;
    await inTransaction(c.var.db, async (db) => {
      const campaign = await lockCampaign(db, customerId, id);
      if (campaign === null) throw noSuchCampaign();
      if (campaign.status === "active") {
        throw new AppError("conflict", "The campaign is running: it has to be paused first.");
      }
      await deleteCampaign(db, customerId, id);
    });
    return c.body(null, 204);
  });

  routes.openapi(activate, async (c) => {
    const { id } = c.req.valid("param");
    const activated = await inTransaction(c.var.db, async (db) => {
      await activateCampaign(db, c.var.customerId, id);
      return await present(db, c.var.customerId, id);
    });
    return c.json(activated, 200);
  });

  routes.openapi(pause, async (c) => c.json(await switched(c.var, c.req.valid("param").id, "paused"), 200));
  routes.openapi(resume, async (c) => c.json(await switched(c.var, c.req.valid("param").id, "active"), 200));

  return routes;
}

async function refuseProblems(
  db: Db,
  customerId: string,
  campaign: Campaign,
  { refusedUrl }: CampaignDeps,
): Promise<void> {
  const problems = [
    ...(await findProblems(db, customerId, campaign)),
    ...webhookAddressProblems(campaign, refusedUrl),
  ];
  if (problems.length > 0) throw invalid(problems);
}

async function switched(
  { db, customerId }: { db: Db; customerId: string },
  id: string,
  status: "active" | "paused",
) {
  return await inTransaction(db, async (transaction) => {
    await switchCampaign(transaction, customerId, id, status);
    return await present(transaction, customerId, id);
  });
}

async function present(db: Db, customerId: string, id: string) {
  const campaign = await findCampaign(db, customerId, id);
  if (campaign === null) throw noSuchCampaign();
  return {
    ...withTimes(campaign),
    hasUnactivatedChanges: await hasUnactivatedChanges(db, customerId, campaign),
  };
}

function withTimes<Summary extends CampaignSummary>(campaign: Summary) {
  return {
    ...campaign,
    createdAt: campaign.createdAt.toISOString(),
    updatedAt: campaign.updatedAt.toISOString(),
  };
}
