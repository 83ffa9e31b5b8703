import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage, toScannedPage } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import { toldOf } from "./begin.ts";
import { findUnheld } from "./claim-queries.ts";
import { curlCommand } from "./curl.ts";
import {
  type Attempt,
  type DeliveryDetail,
  findDelivery,
  selectAttempts,
  selectDeliveries,
} from "./delivery-queries.ts";
import {
  attempt as attemptSchema,
  deliveryDetail,
  deliveryQuery,
  delivery as deliverySchema,
  filterOf,
} from "./delivery-schema.ts";
import { noSuchDelivery, presentAttempt, presentDelivery, presentWaiting } from "./delivery-view.ts";
import { openPart } from "./endpoint-seal.ts";
import { renderEvent } from "./render.ts";
import { selectSecrets } from "./secret-queries.ts";
import { type Verification, verification } from "./verification.ts";

const tags = ["Webhooks"];

const SHOWN_ATTEMPTS = 100;

const list = createRoute({
  method: "get",
  path: "/webhooks/deliveries",
  operationId: "listWebhookDeliveries",
  tags,
  summary: "List webhook deliveries, newest first",
  description:
    "What was owed to endpoints, and what became of it. A page may be short, or empty, with a `nextCursor`: each looks at " +
    "20,000 deliveries at most for those that fit.",
  request: { query: deliveryQuery },
  responses: { 200: json(listOf(deliverySchema), "A page of deliveries"), ...problems("invalid") },
});

const read = createRoute({
  method: "get",
  path: "/webhooks/deliveries/{id}",
  operationId: "getWebhookDelivery",
  tags,
  summary: "Get a webhook delivery with its attempts",
  request: { params: idParams },
  responses: { 200: json(deliveryDetail, "The delivery"), ...problems("invalid", "not_found") },
});

const attempts = createRoute({
  method: "get",
  path: "/webhooks/deliveries/{id}/attempts",
  operationId: "listWebhookAttempts",
  tags,
  summary: "List the attempts of a webhook delivery, newest first",
  request: { params: idParams, query: z.object(pageQuery) },
  responses: { 200: json(listOf(attemptSchema), "A page of attempts"), ...problems("invalid", "not_found") },
});

export type DeliveryDeps = {
  encryptionKey: Buffer;
  publicUrl: string;
  now: () => Date;
};

export function deliveryRoutes(deps: DeliveryDeps): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(list, async (c) => {
    const { limit, cursor, ...given } = c.req.valid("query");
    const filter = filterOf(given);
    const found = await selectDeliveries(c.var.db, c.var.customerId, filter, { limit, cursor });
    const page = toScannedPage(found, limit);
    return c.json({ ...page, items: page.items.map(presentDelivery) }, 200);
  });

  routes.openapi(read, async (c) => {
    return c.json(await showDelivery(c.var.db, c.var.customerId, c.req.valid("param").id, deps), 200);
  });

  routes.openapi(attempts, async (c) => {
    const { db, customerId } = c.var;
    const { id } = c.req.valid("param");
    const { limit, cursor } = c.req.valid("query");
    if ((await findDelivery(db, customerId, id)) === null) throw noSuchDelivery();
    const page = toPage(await selectAttempts(db, customerId, id, { limit, cursor }), limit);
    return c.json({ ...page, items: page.items.map(presentAttempt) }, 200);
  });

  return routes;
}

/** @throws AppError when there is none */
export async function showDelivery(db: Db, customerId: string, id: string, deps: DeliveryDeps) {
  const delivery = await findDelivery(db, customerId, id);
  if (delivery === null) throw noSuchDelivery();
  const found = await selectAttempts(db, customerId, id, { limit: SHOWN_ATTEMPTS, cursor: null });
  const preview = delivery.payload === null ? await renderNow(db, customerId, id, delivery, deps) : null;
  const last = lastRequest(delivery, found[0]);
  return {
    ...presentDelivery(delivery),
    waiting: presentWaiting(delivery, deps.now()),
    payload: delivery.payload ?? preview,
    payloadIs: delivery.payload !== null ? ("kept" as const) : preview === null ? null : ("preview" as const),
    attemptList: found.slice(0, SHOWN_ATTEMPTS).map(presentAttempt),
    hasMoreAttempts: found.length > SHOWN_ATTEMPTS,
    curl:
      last === null
        ? null
        : curlCommand({ ...last, url: shownUrlOf(delivery), secretHeaders: delivery.headerNames }),
    verification: last === null ? null : await verify(db, customerId, delivery, last, deps),
  };
}

type SentRequest = { headers: { [name: string]: string }; body: string };

/** The last request as it was sent; null when there was none, or it is put into words again since. */
function lastRequest(delivery: DeliveryDetail, last: Attempt | undefined): SentRequest | null {
  if (delivery.payload === null || last === undefined || last.requestHeaders === null) return null;
  const headers = Object.entries(last.requestHeaders).flatMap(([name, value]) =>
    typeof value === "string" ? [[name, value] as const] : [],
  );
  return headers.length === 0 ? null : { headers: Object.fromEntries(headers), body: delivery.payload };
}

/** Null where a part of it is a secret, or the endpoint is gone. */
function shownUrlOf({ endpointType, endpointUrl }: DeliveryDetail): string | null {
  return endpointType !== "custom" || endpointUrl === null || endpointUrl.includes("…") ? null : endpointUrl;
}

async function renderNow(
  db: Db,
  customerId: string,
  id: string,
  { endpointType }: DeliveryDetail,
  { publicUrl }: DeliveryDeps,
): Promise<string | null> {
  const found = await findUnheld(db, customerId, id);
  const told = found === null ? null : toldOf(found);
  if (told === null || endpointType === null) return null;
  try {
    return renderEvent(endpointType, told, publicUrl, { isTest: false });
  } catch {
    // Whoever makes the attempt logs it, and it is the attempt's reason, which is what is looked for here.
    return null;
  }
}

async function verify(
  db: Db,
  customerId: string,
  { endpointId, publicKey }: DeliveryDetail,
  request: SentRequest,
  { encryptionKey, now }: DeliveryDeps,
): Promise<Verification | null> {
  if (publicKey === null) return null;
  const whose = { encryptionKey, customerId, endpointId };
  const secrets = await selectSecrets(db, customerId, endpointId);
  const opened = secrets.map(({ id, secret }) => ({ id, secret: openPart(whose, `secret ${id}`, secret) }));
  return verification(request, { secrets: opened, publicKey }, now());
}
