import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import type { Json } from "../events/event.ts";
import { toShortId } from "../events/id.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Db } from "../storage/pool.ts";
import { recordAudit } from "./audit-queries.ts";
import { bulkCancel, bulkResult, bulkRetry } from "./delivery-action-schema.ts";
import { type BulkAction, type Counted, changeMatching, countMatching } from "./delivery-bulk-queries.ts";
import { DELIVERY_STATUSES, type DeliveryFilter } from "./delivery-scan-queries.ts";
import { filterOf, type GivenFilter } from "./delivery-schema.ts";

const tags = ["Webhooks"];

const LOOKED_AT = 1_000_000;
const CHANGED = 100_000;
/** Nor does a request take much longer: whoever sent it waits. */
const WITHIN_MS = 10_000;

const limits =
  "Looks at up to 1,000,000 deliveries to count, and changes up to 100,000, the newest first, in up to 10 seconds: as long " +
  "as there is a `nextCursor`, send it with the same filter for the next.";

const retry = createRoute({
  method: "post",
  path: "/webhooks/deliveries/retry",
  operationId: "retryWebhookDeliveries",
  tags,
  summary: "Retry all webhook deliveries that fit a filter",
  description:
    `Each at once, and with the whole schedule before it. \`dryRun\` says how many they are. ${limits} What is being sent ` +
    "just now, and what was for endpoints that have been deleted, is left as it is.",
  request: { body: jsonBody(bulkRetry) },
  responses: { 200: json(bulkResult, "How many they are, and were retried"), ...problems("invalid") },
});

const cancel = createRoute({
  method: "post",
  path: "/webhooks/deliveries/cancel",
  operationId: "cancelWebhookDeliveries",
  tags,
  summary: "Cancel all pending webhook deliveries that fit a filter",
  description: `\`dryRun\` says how many they are. ${limits} What is being sent just now may still arrive.`,
  request: { body: jsonBody(bulkCancel) },
  responses: { 200: json(bulkResult, "How many they are, and were cancelled"), ...problems("invalid") },
});

/** @param deps.onDue wakes those who deliver */
export function deliveryBulkRoutes(deps: { now: () => Date; onDue: () => void }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(retry, async (c) => {
    const { filter, ...rest } = c.req.valid("json");
    const { customerId, actor } = c.var;
    const bulk = { ...rest, action: "retry" as const, given: filter, now: deps.now };
    const result = await act(c.var.db, customerId, actor, bulk);
    if (result.changed > 0) deps.onDue();
    return c.json(result, 200);
  });

  routes.openapi(cancel, async (c) => {
    const { filter, ...rest } = c.req.valid("json");
    const { customerId, actor } = c.var;
    const given = { ...filter, status: "pending" as const };
    const bulk = { ...rest, action: "cancel" as const, given, now: deps.now };
    return c.json(await act(c.var.db, customerId, actor, bulk), 200);
  });

  return routes;
}

type Bulk = {
  action: BulkAction;
  given: GivenFilter;
  dryRun: boolean;
  /** Only those before this id. */
  cursor: string | null;
  reason: string | null;
  now: () => Date;
};

async function act(db: Db, customerId: string, actor: string, bulk: Bulk) {
  const filter = filterOf(bulk.given);
  const counted = await countMatching(db, customerId, filter, { before: bulk.cursor, rows: LOOKED_AT });
  const counts = summaryOf(counted);
  if (bulk.dryRun || (counts.matched === 0 && counts.isExact))
    return { ...counts, changed: 0, hasMore: false, nextCursor: null };
  // Before anything is done: a process that dies in the middle leaves no change that nobody is named for.
  await recordAudit(db, customerId, {
    actor,
    action: bulk.action === "retry" ? "deliveries_retried" : "deliveries_cancelled",
    subject: null,
    reason: bulk.reason,
    details: { filter: detailsOf(bulk.given), matched: counts.matched },
  });
  const { changed, lookedTo } = await changeAll(db, customerId, bulk, filter);
  const nextCursor = lookedTo === null ? null : toShortId(lookedTo);
  return { ...counts, changed, hasMore: nextCursor !== null, nextCursor };
}

/** Statement by statement, each committed before the next. */
async function changeAll(
  db: Db,
  customerId: string,
  { action, cursor, now }: Bulk,
  filter: DeliveryFilter,
): Promise<{ changed: number; lookedTo: string | null }> {
  let [looked, changed] = [0, 0];
  let before = cursor;
  const until = now().getTime() + WITHIN_MS;
  while (looked < CHANGED && now().getTime() < until) {
    const place = { before, most: CHANGED - looked };
    const chunk = await inTransaction(db, (transaction) =>
      changeMatching(transaction, customerId, action, filter, place),
    );
    looked += chunk.matched;
    changed += chunk.changed;
    before = chunk.lookedTo;
    if (before === null) break;
  }
  return { changed, lookedTo: before };
}

function summaryOf(counted: readonly Counted[]) {
  const byStatus = DELIVERY_STATUSES.map((status) => ({
    status,
    matched: sum(counted.filter((group) => group.status === status).map((group) => group.matched)),
  }));
  const endpointIds = [...new Set(counted.map((group) => group.endpointId))];
  const byEndpoint = endpointIds.map((endpointId) => ({
    endpointId,
    matched: sum(counted.filter((group) => group.endpointId === endpointId).map((group) => group.matched)),
  }));
  return {
    matched: sum(counted.map((group) => group.matched)),
    byStatus: byStatus.filter(({ matched }) => matched > 0),
    byEndpoint: byEndpoint.filter(({ matched }) => matched > 0),
    isExact: sum(counted.map((group) => group.scanned)) < LOOKED_AT,
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function detailsOf(given: Bulk["given"]): { [name: string]: Json } {
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) =>
      value === undefined || value === null
        ? []
        : [[name, value instanceof Date ? value.toISOString() : value] as const],
    ),
  );
}
