import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { newId } from "../events/id.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import { invalid } from "../http/problem.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Db } from "../storage/pool.ts";
import { recordAudit } from "./audit-queries.ts";
import {
  cancelPending,
  deleteEndpoint,
  type Endpoint,
  findEndpoint,
  insertEndpoint,
  lockEndpoint,
  saveEndpoint,
  selectEndpoints,
  selectUnknownCampaigns,
} from "./endpoint-edit-queries.ts";
import {
  createdEndpoint,
  type EndpointChange,
  endpointChange,
  endpoint as endpointSchema,
  newEndpoint,
} from "./endpoint-schema.ts";
import { sealPart, type Whose } from "./endpoint-seal.ts";
import { matchesOther, settingsOf, withDefaults } from "./endpoint-settings.ts";
import { holdMatching, recordState } from "./endpoint-state-queries.ts";
import { checkTarget, type TargetCheck } from "./endpoint-target.ts";
import { shownUrl } from "./endpoint-url.ts";
import { noSuchEndpoint, presentEndpoint } from "./endpoint-view.ts";
import { addSecret, newSecret } from "./secrets.ts";
import { toKeyPair } from "./sign.ts";
import type { EndpointType } from "./told.ts";

const tags = ["Webhooks"];

const create = createRoute({
  method: "post",
  path: "/webhooks/endpoints",
  operationId: "createWebhookEndpoint",
  tags,
  summary: "Create a webhook endpoint",
  description:
    "Where events are told to: a URL of yours (`custom`, signed as Standard Webhooks says), a Slack or a Discord channel. " +
    "It is told of what happens from now on; a replay tells of what was before.",
  request: { body: jsonBody(newEndpoint) },
  responses: { 201: json(createdEndpoint, "The endpoint, with its secret"), ...problems("invalid") },
});

const list = createRoute({
  method: "get",
  path: "/webhooks/endpoints",
  operationId: "listWebhookEndpoints",
  tags,
  summary: "List webhook endpoints, newest first",
  request: { query: z.object(pageQuery) },
  responses: { 200: json(listOf(endpointSchema), "A page of endpoints"), ...problems("invalid") },
});

const read = createRoute({
  method: "get",
  path: "/webhooks/endpoints/{id}",
  operationId: "getWebhookEndpoint",
  tags,
  summary: "Get a webhook endpoint",
  request: { params: idParams },
  responses: { 200: json(endpointSchema, "The endpoint"), ...problems("invalid", "not_found") },
});

const change = createRoute({
  method: "patch",
  path: "/webhooks/endpoints/{id}",
  operationId: "changeWebhookEndpoint",
  tags,
  summary: "Change a webhook endpoint",
  request: { params: idParams, body: jsonBody(endpointChange) },
  responses: { 200: json(endpointSchema, "The endpoint"), ...problems("invalid", "not_found") },
});

const remove = createRoute({
  method: "delete",
  path: "/webhooks/endpoints/{id}",
  operationId: "deleteWebhookEndpoint",
  tags,
  summary: "Delete a webhook endpoint",
  description:
    "What is still to be delivered to it is cancelled. Its deliveries stay in the log until their retention ends.",
  request: { params: idParams },
  responses: { 204: { description: "Deleted" }, ...problems("invalid", "not_found") },
});

export type EndpointDeps = TargetCheck & {
  encryptionKey: Buffer;
  /** So many random bytes, for secrets and keys. */
  randomBytes: (size: number) => Buffer;
};

const SEED_BYTES = 32;

export function endpointRoutes(deps: EndpointDeps): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(create, async (c) => {
    const { customerId, actor } = c.var;
    const { url, headers, ...given } = c.req.valid("json");
    const settings = withDefaults(given);
    await checkTarget(given.type, url, deps);
    await refuseUnknownCampaigns(c.var.db, customerId, settings.campaignIds);
    const id = newId();
    const whose = { encryptionKey: deps.encryptionKey, customerId, endpointId: id };
    const { signingKey, publicKey } = toKeyPair(deps.randomBytes(SEED_BYTES));
    const secret = given.type === "custom" ? newSecret(deps.randomBytes) : null;
    const created = await inTransaction(c.var.db, async (db) => {
      const position = await holdMatching(db);
      await insertEndpoint(db, customerId, {
        ...settings,
        id,
        type: given.type,
        publicKey,
        privateKey: sealPart(whose, "signing key", signingKey),
        ...sealUrl(whose, given.type, url),
        ...sealHeaders(whose, headers),
      });
      if (secret !== null) await addSecret(db, whose, secret);
      await recordState(db, customerId, id, position);
      const details = { type: given.type, url: shownUrl(given.type, url) };
      await recordAudit(db, customerId, {
        actor,
        action: "endpoint_created",
        subject: id,
        reason: null,
        details,
      });
      return await findEndpoint(db, customerId, id);
    });
    return c.json({ ...presentEndpoint(created), secret }, 201);
  });

  routes.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const page = toPage(await selectEndpoints(c.var.db, c.var.customerId, { limit, cursor }), limit);
    return c.json({ ...page, items: page.items.map(presentEndpoint) }, 200);
  });

  routes.openapi(read, async (c) => {
    const { id } = c.req.valid("param");
    return c.json(presentEndpoint(await findEndpoint(c.var.db, c.var.customerId, id)), 200);
  });

  routes.openapi(change, async (c) => {
    const { customerId, actor } = c.var;
    const { id } = c.req.valid("param");
    const body = c.req.valid("json");
    const before = await findEndpoint(c.var.db, customerId, id);
    if (before === null) throw noSuchEndpoint();
    // What was read may be sent back: an address that is shown masked is the one there is.
    const url = body.url === before.url ? undefined : body.url;
    if (url !== undefined) await checkTarget(before.type, url, deps);
    await refuseUnknownCampaigns(c.var.db, customerId, body.campaignIds ?? null);
    const whose = { encryptionKey: deps.encryptionKey, customerId, endpointId: id };
    const changed = await inTransaction(c.var.db, async (db) => {
      const endpoint = await changeEndpoint(db, whose, { ...body, url });
      const details = { fields: Object.keys(body) };
      await recordAudit(db, customerId, {
        actor,
        action: "endpoint_changed",
        subject: id,
        reason: null,
        details,
      });
      return endpoint;
    });
    return c.json(presentEndpoint(changed), 200);
  });

  routes.openapi(remove, async (c) => {
    const { id } = c.req.valid("param");
    const { customerId, actor } = c.var;
    const endpoint = await findEndpoint(c.var.db, customerId, id);
    if (endpoint === null) throw noSuchEndpoint();
    // A million may be pending: they go first, while the projector goes on. It stands still for the few made since.
    await cancelPending(c.var.db, customerId, id, DELETED);
    await inTransaction(c.var.db, async (db) => {
      await holdMatching(db);
      // A replay that is opening deliveries holds the endpoint until they can be seen here.
      await lockEndpoint(db, customerId, id);
      await cancelPending(db, customerId, id, DELETED);
      await deleteEndpoint(db, customerId, id);
      const details = { type: endpoint.type, url: endpoint.url };
      await recordAudit(db, customerId, {
        actor,
        action: "endpoint_deleted",
        subject: id,
        reason: null,
        details,
      });
    });
    return c.body(null, 204);
  });

  return routes;
}

const DELETED = "The endpoint was deleted.";

type Change = Omit<EndpointChange, "url"> & { url: string | undefined };

async function changeEndpoint(db: Db, whose: Whose, change: Change): Promise<Endpoint | null> {
  const { customerId, endpointId } = whose;
  const { url, headers, ...given } = change;
  const position = await holdMatching(db);
  const before = await lockEndpoint(db, customerId, endpointId);
  if (before === null) throw noSuchEndpoint();
  const settings = settingsOf(before, given);
  const isMatchingOther = matchesOther(before, settings);
  const target = {
    url: url === undefined ? null : sealUrl(whose, before.type, url),
    headers: headers === undefined ? null : sealHeaders(whose, headers),
  };
  await saveEndpoint(db, customerId, { ...settings, id: endpointId }, target, isMatchingOther);
  if (isMatchingOther) await recordState(db, customerId, endpointId, position);
  return await findEndpoint(db, customerId, endpointId);
}

function sealUrl(whose: Whose, type: EndpointType, url: string) {
  return { url: sealPart(whose, "url", url), shownUrl: shownUrl(type, url) };
}

function sealHeaders(whose: Whose, headers: { [name: string]: string }) {
  const headerNames = Object.keys(headers);
  const sealed = headerNames.length === 0 ? null : sealPart(whose, "headers", JSON.stringify(headers));
  return { headers: sealed, headerNames };
}

async function refuseUnknownCampaigns(db: Db, customerId: string, ids: string[] | null): Promise<void> {
  if (ids === null) return;
  const unknown = await selectUnknownCampaigns(db, customerId, ids);
  if (unknown.length === 0) return;
  throw invalid(
    unknown.map((id) => ({ field: `campaignIds.${ids.indexOf(id)}`, reason: "is no campaign of yours" })),
  );
}
