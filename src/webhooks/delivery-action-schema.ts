import { z } from "@hono/zod-openapi";
import { id } from "../http/fields.ts";
import { pageQuery } from "../http/pagination.ts";
import { filterSchema, status, whole } from "./delivery-schema.ts";
import { reason as auditReason, endpointIds } from "./fields.ts";

const reason = auditReason.default(null);

export const retrying = z
  .strictObject({
    payload: z
      .enum(["original", "anew"], { error: () => 'must be "original" or "anew"' })
      .default("original")
      .openapi({ description: "`anew`: put into words again, of the contact and campaign as they are now." }),
    reason,
  })
  .openapi("WebhookDeliveryRetry");

export const cancelling = z.strictObject({ reason }).openapi("WebhookDeliveryCancelling");

export const resending = z
  .strictObject({
    endpointIds: endpointIds.openapi({ description: "Whatever they are told of as a rule." }),
    reason,
  })
  .openapi("WebhookDeliveryResending");

export const resent = z
  .object({
    items: z.array(
      z.object({
        endpointId: id(),
        deliveryId: id(),
        outcome: z.enum(["created", "reopened", "in_hand"]).openapi({
          description: "`in_hand`: nothing was done, an attempt is being made just now.",
          example: "created",
        }),
      }),
    ),
  })
  .openapi("WebhookDeliveryResent");

const dryRun = z.boolean().default(false).openapi({ description: "Only count.", example: true });

const cursor = pageQuery.cursor.openapi({
  type: ["string", "null"],
  description: "The `nextCursor` of the request before, which did as much as one does.",
  example: null,
});

export const bulkRetry = z
  .strictObject({
    filter: filterSchema.extend({ status: status.default("failed") }).openapi("WebhookRetryFilter", {
      description: "Like the parameters of the list. Without a `status` those that failed.",
    }),
    dryRun,
    cursor,
    reason,
  })
  .openapi("WebhookBulkRetry");

export const bulkCancel = z
  .strictObject({
    filter: filterSchema.omit({ status: true }).openapi("WebhookCancelFilter", {
      description: "Like the parameters of the list, of what is pending.",
    }),
    dryRun,
    cursor,
    reason,
  })
  .openapi("WebhookBulkCancel");

export const bulkResult = z
  .object({
    matched: whole("Deliveries that fit.", 12_000),
    byStatus: z.array(z.object({ status, matched: whole("", 12_000) })),
    byEndpoint: z.array(z.object({ endpointId: id(), matched: whole("", 12_000) })),
    isExact: z.boolean().openapi({
      description: "false: only the newest 1,000,000 deliveries were looked at to count.",
      example: true,
    }),
    changed: whole("What was retried or cancelled.", 11_998),
    hasMore: z.boolean().openapi({ description: "More than one request does.", example: false }),
    nextCursor: z
      .string()
      .nullable()
      .openapi({ description: "Where the next request goes on.", example: null }),
  })
  .openapi("WebhookBulkResult");
