import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import { inTransaction } from "../http/transaction.ts";
import { noSuchCampaign } from "./activate.ts";
import { hasCampaign } from "./campaign-queries.ts";
import { enrollAudience } from "./enroll.ts";
import {
  type Enrollment,
  type FiredEdge,
  findEnrollment,
  type Run,
  selectEnrollments,
  selectFiredEdges,
  selectRuns,
} from "./enrollment-queries.ts";
import {
  audience,
  ENROLLMENT_STATUSES,
  enrolled,
  enrollment as enrollmentSchema,
  enrollmentWithRuns,
} from "./enrollment-schema.ts";
import type { Audience } from "./queries.ts";

const tags = ["Enrollments"];

const enroll = createRoute({
  method: "post",
  path: "/campaigns/{id}/enroll",
  operationId: "enrollContacts",
  tags,
  summary: "Enroll contacts in a running campaign",
  description:
    "By up to 10,000 ids, by tag, or everybody. A contact goes through a campaign once: who is or has been in it is " +
    "left as he is. Suppressed contacts are enrolled too; they are sent nothing.",
  request: { params: idParams, body: jsonBody(audience) },
  responses: { 200: json(enrolled, "How many"), ...problems("invalid", "not_found", "conflict") },
});

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

export function enrollmentRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(enroll, async (c) => {
    const { id } = c.req.valid("param");
    const asked = audienceOf(c.req.valid("json"));
    const counts = await inTransaction(c.var.db, (db) => enrollAudience(db, c.var.customerId, id, asked));
    return c.json(counts, 200);
  });

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
    if (enrollment === null) throw new AppError("not_found", "There is no enrollment with this id.");
    const runs = await selectRuns(db, customerId, id);
    const edgesFired = await selectFiredEdges(db, customerId, id);
    return c.json(
      { ...present(enrollment), runs: runs.map(presentRun), edgesFired: edgesFired.map(presentEdge) },
      200,
    );
  });

  return routes;
}

/** The schema has seen to it that exactly one is there. */
function audienceOf({ contactIds, tag }: z.infer<typeof audience>): Audience {
  if (contactIds !== undefined) return { contactIds };
  return tag === undefined ? { all: true } : { tag };
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
