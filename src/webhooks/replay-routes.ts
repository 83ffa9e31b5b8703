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
import { recordAudit } from "./audit-queries.ts";
import { countReplay } from "./count-replay.ts";
import { presentReplay, type Replay, transitionProblem } from "./replay.ts";
import {
  countEvents,
  countOpened,
  findReplay,
  findScope,
  insertReplay,
  lockReplay,
  saveReplay,
  selectReplays,
  selectTargets,
} from "./replay-queries.ts";
import {
  newReplay,
  replayChange,
  replayCount,
  replayInProgress,
  replay as replaySchema,
} from "./replay-schema.ts";

const tags = ["Webhooks"];

const create = createRoute({
  method: "post",
  path: "/webhooks/replays",
  operationId: "startWebhookReplay",
  tags,
  summary: "Tell endpoints of past events again",
  description:
    "Of the events that fit the filter and that EDGR has worked out by now. There is one delivery of an event to an " +
    "endpoint, ever: a replay makes the one that is `missing`, or opens the one there is again, with the whole schedule " +
    "of attempts. Its `webhook-id` stays what it was. What is `missing` is judged by what the endpoint is told of now: " +
    "its types, campaigns and `includeAutomatic`; what it gathers in digests is left out, unless `eventIds` names it. " +
    "Digests and tests are no events. At most 10,000 deliveries of it are open at an endpoint at once, and with " +
    "`ratePerSecond` 10 seconds' worth. `dryRun` counts what would be opened.",
  request: { body: jsonBody(newReplay) },
  responses: {
    200: json(replayCount, "What it would find (`dryRun`)"),
    201: json(replaySchema, "The replay, which runs"),
    ...problems("invalid", "conflict"),
  },
});

const list = createRoute({
  method: "get",
  path: "/webhooks/replays",
  operationId: "listWebhookReplays",
  tags,
  summary: "List replays, newest first",
  request: { query: z.object(pageQuery) },
  responses: { 200: json(listOf(replaySchema), "A page of replays"), ...problems("invalid") },
});

const read = createRoute({
  method: "get",
  path: "/webhooks/replays/{id}",
  operationId: "getWebhookReplay",
  tags,
  summary: "Get a replay with its progress",
  request: { params: idParams },
  responses: { 200: json(replayInProgress, "The replay"), ...problems("invalid", "not_found") },
});

const change = createRoute({
  method: "patch",
  path: "/webhooks/replays/{id}",
  operationId: "changeWebhookReplay",
  tags,
  summary: "Pause, resume, cancel a replay, or change its rate",
  description:
    "From the next chunk on. What a paused one has opened is delivered; what a cancelled one has opened and is not " +
    "delivered yet is cancelled. One that is cancelled or completed does not change any more.",
  request: { params: idParams, body: jsonBody(replayChange) },
  responses: { 200: json(replaySchema, "The replay"), ...problems("invalid", "not_found", "conflict") },
});

/** A progress bar of more than this has no end. */
const MAX_TOTAL = 1_000_000;

export function replayRoutes(deps: { now: () => Date }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(create, async (c) => {
    const { customerId, actor } = c.var;
    const { dryRun, ...asked } = c.req.valid("json");
    const targets = await findTargets(c.var.db, customerId, asked.endpointIds);
    if (dryRun) {
      const scope = await findScope(c.var.db, customerId, asked);
      return c.json(await countReplay(c.var.db, scope, asked.which, deps.now), 200);
    }
    refuseDisabled(targets);
    const id = newId(deps.now().getTime());
    const started = await inTransaction(c.var.db, async (db) => {
      const scope = await findScope(db, customerId, asked);
      const total = await countEvents(db, scope, MAX_TOTAL);
      await insertReplay(db, scope, { ...asked, id, total, createdBy: actor }, deps.now());
      const { reason, ...details } = asked;
      await recordAudit(db, customerId, { actor, action: "replay_started", subject: id, reason, details });
      return existing(await findReplay(db, customerId, id));
    });
    return c.json(presentReplay(started), 201);
  });

  routes.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const page = toPage(await selectReplays(c.var.db, c.var.customerId, { limit, cursor }), limit);
    return c.json({ ...page, items: page.items.map(presentReplay) }, 200);
  });

  routes.openapi(read, async (c) => {
    const { id } = c.req.valid("param");
    const { db, customerId } = c.var;
    const replay = existing(await findReplay(db, customerId, id));
    return c.json({ ...presentReplay(replay), deliveries: await countOpened(db, customerId, id) }, 200);
  });

  routes.openapi(change, async (c) => {
    const { id } = c.req.valid("param");
    const { customerId, actor } = c.var;
    const { reason, ...asked } = c.req.valid("json");
    const changed = await inTransaction(c.var.db, async (db) => {
      const replay = existing(await lockReplay(db, customerId, id));
      const problem = transitionProblem(replay.status, asked.status);
      if (problem !== null) throw new AppError("conflict", problem, [{ field: "status", reason: problem }]);
      const { status = replay.status, ratePerSecond = replay.ratePerSecond } = asked;
      await saveReplay(db, customerId, id, { status, ratePerSecond }, deps.now());
      const details = { status, ratePerSecond };
      await recordAudit(db, customerId, { actor, action: "replay_changed", subject: id, reason, details });
      return existing(await findReplay(db, customerId, id));
    });
    return c.json(presentReplay(changed), 200);
  });

  return routes;
}

function existing(replay: Replay | null): Replay {
  if (replay === null) throw new AppError("not_found", "There is no replay with this id.");
  return replay;
}

type Target = { id: string; status: "enabled" | "disabled" };

async function findTargets(db: Db, customerId: string, ids: readonly string[]): Promise<Target[]> {
  const found = new Map((await selectTargets(db, customerId, ids)).map((target) => [target.id, target]));
  const unknown = ids.flatMap((id, index) =>
    found.has(id) ? [] : [{ field: `endpointIds.${index}`, reason: "is no webhook endpoint of yours" }],
  );
  if (unknown.length > 0) throw invalid(unknown);
  return ids.flatMap((id) => found.get(id) ?? []);
}

function refuseDisabled(targets: readonly Target[]): void {
  const fields = targets.flatMap(({ id, status }, index) =>
    status === "disabled"
      ? [{ field: `endpointIds.${index}`, reason: `is disabled: enable ${id} first, or leave it out` }]
      : [],
  );
  const [first] = fields;
  if (first !== undefined) throw new AppError("conflict", `${first.field}: ${first.reason}`, fields);
}
