import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import { noSuchCampaign } from "./activate.ts";
import { hasCampaign } from "./campaign-queries.ts";
import { leaveCampaign, leaveEnrollment, moveToPresent, noSuchEnrollment } from "./change-enrollments.ts";
import {
  type Enrollment,
  type FiredEdge,
  findEnrollment,
  type Run,
  selectEnrollments,
  selectFiredEdges,
  selectRuns,
  selectTimers,
} from "./enrollment-queries.ts";
import {
  ENROLLMENT_STATUSES,
  enrollment as enrollmentSchema,
  enrollmentWithRuns,
  leaving,
  left,
  move,
  moved,
} from "./enrollment-schema.ts";

const tags = ["Enrollments"];

const list = createRoute({
  method: "get",
  path: "/campaigns/{id}/enrollments",
  operationId: "listEnrollments",
  tags,
  summary: "List a campaign's enrollments, newest first",
  request: {
    params: idParams,
    query: z.object({ ...pageQuery, status: z.enum(ENROLLMENT_STATUSES).optional() }),
  },
  responses: {
    200: json(listOf(enrollmentSchema), "A page of enrollments"),
    ...problems("invalid", "not_found"),
  },
});

const read = createRoute({
  method: "get",
  path: "/enrollments/{id}",
  operationId: "getEnrollment",
  tags,
  summary: "Get an enrollment with its runs and the edges that fired",
  request: { params: idParams },
  responses: { 200: json(enrollmentWithRuns, "The enrollment"), ...problems("invalid", "not_found") },
});

const cancel = createRoute({
  method: "post",
  path: "/enrollments/{id}/cancel",
  operationId: "cancelEnrollment",
  tags,
  summary: "Take a contact out of a campaign",
  description:
    "Completes the enrollment with the reason `left` and withdraws what it had ahead: queued messages, waits, steps, timers. " +
    "One that is completed stays as it is.",
  request: { params: idParams },
  responses: { 200: json(enrollmentSchema, "The enrollment"), ...problems("invalid", "not_found") },
});

const cancelMany = createRoute({
  method: "post",
  path: "/campaigns/{id}/enrollments/cancel",
  operationId: "cancelEnrollments",
  tags,
  summary: "Take contacts out of a campaign, or everybody",
  description: "As for one enrollment; contacts who are not in the campaign are passed over.",
  request: { params: idParams, body: jsonBody(leaving) },
  responses: { 200: json(left, "How many"), ...problems("invalid", "not_found") },
});

const moveMany = createRoute({
  method: "post",
  path: "/campaigns/{id}/enrollments/move",
  operationId: "moveEnrollments",
  tags,
  summary: "Move who is under way to the campaign's present version",
  description:
    "Who is under way finishes the version he entered, unless he is moved. An enrollment moves when the present version " +
    "has every node that it stands at, with the same type. Waits keep their time; timers of edges that are gone end, " +
    "those of new edges begin when the message was sent.",
  request: { params: idParams, body: jsonBody(move) },
  responses: { 200: json(moved, "How many"), ...problems("invalid", "not_found") },
});

export function enrollmentRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(list, async (c) => {
    const { id } = c.req.valid("param");
    const { limit, cursor, status } = c.req.valid("query");
    const { db, customerId } = c.var;
    if (!(await hasCampaign(db, customerId, id))) throw noSuchCampaign();
    const statuses = status === undefined ? ENROLLMENT_STATUSES : [status];
    const page = toPage(await selectEnrollments(db, customerId, id, statuses, { limit, cursor }), limit);
    return c.json({ ...page, items: page.items.map(present) }, 200);
  });

  routes.openapi(read, async (c) => {
    const { id } = c.req.valid("param");
    const { db, customerId } = c.var;
    const enrollment = await findEnrollment(db, customerId, id);
    if (enrollment === null) throw noSuchEnrollment();
    const runs = await selectRuns(db, customerId, id);
    const edgesFired = await selectFiredEdges(db, customerId, id);
    const timers = await selectTimers(db, customerId, id);
    return c.json(
      {
        ...present(enrollment),
        runs: runs.map(presentRun),
        edgesFired: edgesFired.map(presentEdge),
        timers: timers.map((timer) => ({ ...timer, dueAt: timer.dueAt.toISOString() })),
      },
      200,
    );
  });

  routes.openapi(cancel, async (c) => {
    const { id } = c.req.valid("param");
    return c.json(present(await leaveEnrollment(c.var.db, c.var.customerId, id)), 200);
  });

  routes.openapi(cancelMany, async (c) => {
    const { id } = c.req.valid("param");
    const { contactIds } = c.req.valid("json");
    const asked = contactIds === undefined ? { campaignId: id } : { campaignId: id, contactIds };
    return c.json({ cancelled: await leaveCampaign(c.var.db, c.var.customerId, asked) }, 200);
  });

  routes.openapi(moveMany, async (c) => {
    const { id } = c.req.valid("param");
    const { fromVersion = null } = c.req.valid("json");
    return c.json(await moveToPresent(c.var.db, c.var.customerId, id, fromVersion), 200);
  });

  return routes;
}

function present(enrollment: Enrollment) {
  return {
    ...enrollment,
    createdAt: enrollment.createdAt.toISOString(),
    completedAt: enrollment.completedAt?.toISOString() ?? null,
  };
}

function presentRun(run: Run) {
  return {
    ...run,
    dueAt: run.dueAt?.toISOString() ?? null,
    createdAt: run.createdAt.toISOString(),
    finishedAt: run.finishedAt?.toISOString() ?? null,
  };
}

function presentEdge(edge: FiredEdge) {
  return { ...edge, firedAt: edge.firedAt.toISOString() };
}
