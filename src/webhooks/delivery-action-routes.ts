import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { invalid } from "../http/problem.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Db } from "../storage/pool.ts";
import { recordAudit } from "./audit-queries.ts";
import {
  cancelDelivery,
  type HeldDelivery,
  holdEndpoints,
  lockDelivery,
  openDelivery,
  resendDelivery,
} from "./delivery-action-queries.ts";
import { cancelling, resending, resent, retrying } from "./delivery-action-schema.ts";
import { type DeliveryDeps, showDelivery } from "./delivery-routes.ts";
import { deliveryDetail } from "./delivery-schema.ts";
import { noSuchDelivery } from "./delivery-view.ts";
import type { EndpointType } from "./told.ts";

const tags = ["Webhooks"];

const retry = createRoute({
  method: "post",
  path: "/webhooks/deliveries/{id}/retry",
  operationId: "retryWebhookDelivery",
  tags,
  summary: "Retry a webhook delivery",
  description:
    "At once, and with the whole schedule of retries before it, whatever became of it; the same `webhook-id`. When its " +
    "endpoint is disabled it waits until that is enabled.",
  request: { params: idParams, body: { ...jsonBody(retrying), required: false } },
  responses: {
    200: json(deliveryDetail, "The delivery, pending"),
    ...problems("invalid", "not_found", "conflict", "gone", "unprocessable"),
  },
});

const cancel = createRoute({
  method: "post",
  path: "/webhooks/deliveries/{id}/cancel",
  operationId: "cancelWebhookDelivery",
  tags,
  summary: "Cancel a webhook delivery that is pending",
  description:
    "Nothing is sent any more. An attempt that is being made may still deliver it; then it is delivered.",
  request: { params: idParams, body: { ...jsonBody(cancelling), required: false } },
  responses: {
    200: json(deliveryDetail, "The delivery, cancelled"),
    ...problems("invalid", "not_found", "conflict"),
  },
});

const resend = createRoute({
  method: "post",
  path: "/webhooks/deliveries/{id}/resend",
  operationId: "resendWebhookDelivery",
  tags,
  summary: "Send what a webhook delivery tells to other endpoints",
  description:
    "An endpoint has one delivery of an event: where there is one it is opened again. A digest or a test is in the words " +
    "of its type of endpoint, and goes to no other.",
  request: { params: idParams, body: jsonBody(resending) },
  responses: {
    200: json(resent, "What became of it at each endpoint"),
    ...problems("invalid", "not_found", "gone", "unprocessable"),
  },
});

/** @param deps.onDue wakes those who deliver */
export function deliveryActionRoutes(deps: DeliveryDeps & { onDue: () => void }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(retry, async (c) => {
    const { customerId, actor } = c.var;
    const { id } = c.req.valid("param");
    const { payload, reason } = c.req.valid("json");
    const opened = await inTransaction(c.var.db, async (db) => {
      const delivery = await lockOpenable(db, customerId, id, payload === "anew");
      if (!(await openDelivery(db, customerId, delivery, payload === "anew"))) throw inHand();
      await recordAudit(db, customerId, {
        actor,
        action: "delivery_retried",
        subject: id,
        reason,
        details: { payload },
      });
      return await showDelivery(db, customerId, id, deps);
    });
    deps.onDue();
    return c.json(opened, 200);
  });

  routes.openapi(cancel, async (c) => {
    const { customerId, actor } = c.var;
    const { id } = c.req.valid("param");
    const { reason } = c.req.valid("json");
    const cancelled = await inTransaction(c.var.db, async (db) => {
      const delivery = await lockDelivery(db, customerId, id);
      if (delivery === null) throw noSuchDelivery();
      if (delivery.status !== "pending") throw notPending(delivery);
      await cancelDelivery(db, customerId, delivery);
      await recordAudit(db, customerId, {
        actor,
        action: "delivery_cancelled",
        subject: id,
        reason,
        details: {},
      });
      return await showDelivery(db, customerId, id, deps);
    });
    return c.json(cancelled, 200);
  });

  routes.openapi(resend, async (c) => {
    const { customerId, actor } = c.var;
    const { id } = c.req.valid("param");
    const { endpointIds, reason } = c.req.valid("json");
    const items = await inTransaction(c.var.db, async (db) => {
      const delivery = await lockDelivery(db, customerId, id);
      if (delivery === null) throw noSuchDelivery();
      const endpoints = await holdEndpoints(db, customerId, endpointIds);
      refuseEndpoints(delivery, endpointIds, new Map(endpoints.map(({ id, type }) => [id, type])));
      const hasOwnWords = delivery.kind !== "event";
      const sent = await resendDelivery(db, customerId, delivery, endpointIds, hasOwnWords);
      await recordAudit(db, customerId, {
        actor,
        action: "delivery_resent",
        subject: id,
        reason,
        details: { endpointIds },
      });
      return sent;
    });
    deps.onDue();
    return c.json({ items }, 200);
  });

  return routes;
}

async function lockOpenable(db: Db, customerId: string, id: string, isAnew: boolean): Promise<HeldDelivery> {
  const delivery = await lockDelivery(db, customerId, id);
  if (delivery === null) throw noSuchDelivery();
  if (delivery.endpointType === null) throw new AppError("conflict", "Its endpoint has been deleted.");
  if (isAnew && delivery.kind !== "event") throw notAnew(delivery);
  if ((isAnew || !delivery.hasPayload) && !delivery.hasEvent) throw eventGone();
  return delivery;
}

function refuseEndpoints(
  { kind, hasPayload, hasEvent, endpointType }: HeldDelivery,
  ids: readonly string[],
  types: ReadonlyMap<string, EndpointType>,
): void {
  const unknown = ids.filter((id) => !types.has(id));
  if (unknown.length > 0) {
    throw invalid(
      unknown.map((id) => ({ field: `endpointIds.${ids.indexOf(id)}`, reason: "is no endpoint of yours" })),
    );
  }
  if (kind === "event") {
    if (!hasEvent) throw eventGone();
    return;
  }
  const others = ids.filter((id) => !hasPayload || types.get(id) !== endpointType);
  if (others.length === 0) return;
  const fields = others.map((id) => ({
    field: `endpointIds.${ids.indexOf(id)}`,
    reason: `is of another type than the endpoint that this ${kind} was made for`,
  }));
  throw new AppError(
    "unprocessable",
    `A ${kind} can only go to endpoints of the type it was made for.`,
    fields,
  );
}

function notAnew({ kind }: HeldDelivery): AppError {
  const reason = `can't be "anew" for a ${kind}: there is no event to be put into words`;
  return new AppError("unprocessable", `payload: ${reason}.`, [{ field: "payload", reason }]);
}

function notPending({ status }: HeldDelivery): AppError {
  return new AppError("conflict", `It is ${status}: only what is pending can be cancelled.`);
}

const inHand = () =>
  new AppError("conflict", "An attempt is being made just now. Look what comes of it, within 20 seconds.");

const eventGone = () => new AppError("gone", "The event is no longer in the log.");
