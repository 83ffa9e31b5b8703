import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { id, idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Db } from "../storage/pool.ts";
import { noSuchCampaign } from "./activate.ts";
import { hasCampaign } from "./campaign-queries.ts";
import { type AskedAudience, enrollAudience } from "./enroll.ts";
import { type EnrollJob, presentJob } from "./enroll-job.ts";
import { endJob, findJob, lockJob, selectJobs, setJobStatus } from "./enroll-job-queries.ts";
import { audience, enrolled, enrollJob } from "./enroll-schema.ts";

const tags = ["Enrollments"];

const enroll = createRoute({
  method: "post",
  path: "/campaigns/{id}/enroll",
  operationId: "enrollContacts",
  tags,
  summary: "Enroll contacts in a running campaign",
  description:
    "By up to 10,000 ids, by tag, by segment, or everybody. Up to 10,000 contacts are enrolled before the answer; of " +
    "more the first 10,000, and a job goes on with the others who are there now (202). Who is in the campaign is " +
    "left as he is, and so is who has been in it, unless its `reenrollAfter` has passed. Suppressed contacts are " +
    "enrolled too; they are sent nothing.",
  request: { params: idParams, body: jsonBody(audience) },
  responses: {
    200: json(enrolled, "All are enrolled: how many"),
    202: json(enrollJob, "The job that enrolls the rest"),
    ...problems("invalid", "not_found", "conflict"),
  },
});

const list = createRoute({
  method: "get",
  path: "/campaigns/{id}/enroll-jobs",
  operationId: "listEnrollJobs",
  tags,
  summary: "List a campaign's enroll jobs, newest first",
  request: { params: idParams, query: z.object(pageQuery) },
  responses: { 200: json(listOf(enrollJob), "A page of jobs"), ...problems("invalid", "not_found") },
});

const jobParams = z.object({ id: id(), jobId: id() });

const read = createRoute({
  method: "get",
  path: "/campaigns/{id}/enroll-jobs/{jobId}",
  operationId: "getEnrollJob",
  tags,
  summary: "Get an enroll job with its progress",
  request: { params: jobParams },
  responses: { 200: json(enrollJob, "The job"), ...problems("invalid", "not_found") },
});

const changed = {
  request: { params: jobParams },
  responses: { 200: json(enrollJob, "The job"), ...problems("invalid", "not_found", "conflict") },
};

const pause = createRoute({
  method: "post",
  path: "/campaigns/{id}/enroll-jobs/{jobId}/pause",
  operationId: "pauseEnrollJob",
  tags,
  summary: "Pause an enroll job after the chunk under way",
  ...changed,
});

const resume = createRoute({
  method: "post",
  path: "/campaigns/{id}/enroll-jobs/{jobId}/resume",
  operationId: "resumeEnrollJob",
  tags,
  summary: "Resume an enroll job where it was paused",
  ...changed,
});

const cancel = createRoute({
  method: "post",
  path: "/campaigns/{id}/enroll-jobs/{jobId}/cancel",
  operationId: "cancelEnrollJob",
  tags,
  summary: "Cancel an enroll job after the chunk under way",
  description: "Who is enrolled stays so.",
  ...changed,
});

export function enrollRoutes({ now }: { now: () => Date }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(enroll, async (c) => {
    const { id: campaignId } = c.req.valid("param");
    const asked = audienceOf(c.req.valid("json"));
    const { customerId } = c.var;
    return await inTransaction(c.var.db, async (db) => {
      const outcome = await enrollAudience(db, { customerId, campaignId, now: now() }, asked);
      if ("enrolled" in outcome) return c.json({ status: "completed" as const, ...outcome.enrolled }, 200);
      return c.json(presentJob(existing(await findJob(db, customerId, campaignId, outcome.jobId))), 202);
    });
  });

  routes.openapi(list, async (c) => {
    const { id } = c.req.valid("param");
    const { limit, cursor } = c.req.valid("query");
    const { db, customerId } = c.var;
    if (!(await hasCampaign(db, customerId, id))) throw noSuchCampaign();
    const page = toPage(await selectJobs(db, customerId, id, { limit, cursor }), limit);
    return c.json({ ...page, items: page.items.map(presentJob) }, 200);
  });

  routes.openapi(read, async (c) => {
    const { id, jobId } = c.req.valid("param");
    return c.json(presentJob(existing(await findJob(c.var.db, c.var.customerId, id, jobId))), 200);
  });

  routes.openapi(pause, async (c) => {
    const { id, jobId } = c.req.valid("param");
    return c.json(
      await change(c.var, id, jobId, (db, customerId) => setJobStatus(db, customerId, jobId, "paused")),
      200,
    );
  });

  routes.openapi(resume, async (c) => {
    const { id, jobId } = c.req.valid("param");
    return c.json(
      await change(c.var, id, jobId, (db, customerId) => setJobStatus(db, customerId, jobId, "running")),
      200,
    );
  });

  routes.openapi(cancel, async (c) => {
    const { id, jobId } = c.req.valid("param");
    const end = { status: "cancelled", reason: "Somebody cancelled it." } as const;
    return c.json(
      await change(c.var, id, jobId, (db, customerId) => endJob(db, customerId, jobId, end)),
      200,
    );
  });

  return routes;
}

/** The schema has seen to it that exactly one is there. */
function audienceOf({ contactIds, tag, segmentId }: z.infer<typeof audience>): AskedAudience {
  if (contactIds !== undefined) return { contactIds };
  if (segmentId !== undefined) return { segmentId };
  return tag === undefined ? { all: true } : { tag };
}

async function change(
  { db, customerId }: { db: Db; customerId: string },
  campaignId: string,
  jobId: string,
  work: (db: Db, customerId: string) => Promise<void>,
) {
  return await inTransaction(db, async (transaction) => {
    const job = existing(await lockJob(transaction, customerId, campaignId, jobId));
    if (job.finishedAt !== null) throw new AppError("conflict", `The job is ${job.status}: it has ended.`);
    await work(transaction, customerId);
    return presentJob(existing(await findJob(transaction, customerId, campaignId, jobId)));
  });
}

function existing(job: EnrollJob | null): EnrollJob {
  if (job === null) throw new AppError("not_found", "There is no enroll job with this id in this campaign.");
  return job;
}
