import { AppError } from "../errors.ts";
import type { Attempt, Delivery, DeliveryDetail } from "./delivery-queries.ts";
import { webhookId } from "./sign.ts";
import { waitingFor } from "./waiting.ts";

/** A delivery as the log's list shows it. */
export function presentDelivery(delivery: Delivery) {
  const { id, kind, eventId, eventType, campaignId, contactId, messageId, status, attempts } = delivery;
  return {
    id,
    endpoint: { id: delivery.endpointId, type: delivery.endpointType, url: delivery.endpointUrl },
    kind,
    eventId,
    webhookId: webhookId(kind, eventId),
    eventType,
    eventAt: delivery.eventAt.toISOString(),
    campaignId,
    contactId,
    messageId,
    status,
    attempts,
    trigger: delivery.trigger,
    replayId: delivery.replayId,
    nextAttemptAt: delivery.dueAt?.toISOString() ?? null,
    lastStatus: delivery.lastStatus,
    lastFailure: delivery.lastFailure,
    lastAttemptAt: delivery.lastAttemptAt?.toISOString() ?? null,
    finishedAt: delivery.finishedAt?.toISOString() ?? null,
    createdAt: delivery.createdAt.toISOString(),
  };
}

export function presentAttempt(attempt: Attempt) {
  return {
    ...attempt,
    startedAt: attempt.startedAt.toISOString(),
    finishedAt: attempt.finishedAt?.toISOString() ?? null,
  };
}

/** What a delivery waits for; null when it is not pending. */
export function presentWaiting(delivery: DeliveryDetail, now: Date) {
  if (delivery.dueAt === null) return null;
  const { code, until, reason } = waitingFor({ ...delivery, dueAt: delivery.dueAt }, now);
  return { code, until: until?.toISOString() ?? null, reason };
}

export const noSuchDelivery = () => new AppError("not_found", "There is no delivery with this id.");
