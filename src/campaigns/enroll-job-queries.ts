import { sql } from "kysely";
import type { Filter } from "../contacts/filter.ts";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import type { EnrollJob, JobAudience } from "./enroll-job.ts";

export type NewJob = {
  id: string;
  campaignId: string;
  audience: JobAudience;
  filter: Filter;
  afterId: string;
  untilId: string;
  selected: number;
  enrolled: number;
  createdAt: Date;
};

/** A job with what working on it needs. */
export type ClaimedJob = {
  customerId: string;
  id: string;
  campaignId: string;
  /** As it was stored: to be read as a filter again. */
  filter: unknown;
  afterId: string;
  untilId: string;
  total: number | null;
  createdAt: Date;
};

// A paused campaign keeps its jobs where they are, without a word in their rows: it goes on with them when it is resumed.
const isHeldUp = sql`(j.status = 'running' and k.status = 'paused')`;

const columns = sql`j.id, j.campaign_id as "campaignId", j.audience,
  case when ${isHeldUp} then 'paused' else j.status end as status,
  case when ${isHeldUp} then 'The campaign is paused.' else j.reason end as reason,
  j.selected, j.enrolled, j.total, j.busy_ms as "busyMs", j.created_at as "createdAt", j.updated_at as "updatedAt",
  j.finished_at as "finishedAt"`;

const withCampaign = sql`left join campaign k on k.customer_id = j.customer_id and k.id = j.campaign_id`;

/** @param db the transaction that did the job's first chunk: its time is the job's first */
export async function insertJob(db: Db, customerId: string, job: NewJob): Promise<void> {
  await sql`
    insert into enroll_job (customer_id, id, campaign_id, audience, filter, after_id, until_id, selected, enrolled,
      busy_ms, created_at)
    values (${customerId}, ${job.id}, ${job.campaignId}, ${JSON.stringify(job.audience)}::jsonb,
      ${JSON.stringify(job.filter)}::jsonb, ${job.afterId}, ${job.untilId}, ${job.selected}, ${job.enrolled},
      ${elapsedMs}, ${job.createdAt})`.execute(db);
}

const elapsedMs = sql`ceil(extract(epoch from clock_timestamp() - now()) * 1000)::bigint`;

/** Newest first, one more than the page holds. */
export async function selectJobs(
  db: Db,
  customerId: string,
  campaignId: string,
  page: Page,
): Promise<EnrollJob[]> {
  const { rows } = await sql<EnrollJob>`
    select ${columns} from enroll_job j ${withCampaign}
    where j.customer_id = ${customerId} and j.campaign_id = ${campaignId}
      and (${page.cursor}::uuid is null or j.id < ${page.cursor}::uuid)
    order by j.id desc limit ${page.limit + 1}`.execute(db);
  return rows;
}

export async function findJob(
  db: Db,
  customerId: string,
  campaignId: string,
  id: string,
): Promise<EnrollJob | null> {
  const { rows } = await sql<EnrollJob>`
    select ${columns} from enroll_job j ${withCampaign}
    where j.customer_id = ${customerId} and j.id = ${id} and j.campaign_id = ${campaignId}`.execute(db);
  return rows[0] ?? null;
}

/** The job with its row locked: it waits for the chunk under way. */
export async function lockJob(
  db: Db,
  customerId: string,
  campaignId: string,
  id: string,
): Promise<EnrollJob | null> {
  await sql`
    select id from enroll_job
    where customer_id = ${customerId} and id = ${id} and campaign_id = ${campaignId} for update`.execute(db);
  return await findJob(db, customerId, campaignId, id);
}

/** Runs or pauses a job that has not ended. */
export async function setJobStatus(
  db: Db,
  customerId: string,
  id: string,
  status: "running" | "paused",
): Promise<void> {
  await sql`
    update enroll_job set status = ${status}, failures = 0
    where customer_id = ${customerId} and id = ${id} and finished_at is null`.execute(db);
}

/** Ends a job; who it has enrolled stays enrolled. */
export async function endJob(
  db: Db,
  customerId: string,
  id: string,
  end: { status: "cancelled" | "failed"; reason: string },
): Promise<void> {
  await sql`
    update enroll_job set status = ${end.status}, reason = ${end.reason}, finished_at = now()
    where customer_id = ${customerId} and id = ${id} and finished_at is null`.execute(db);
}

/** About how many events of the log are not projected yet. */
export async function countUnprojected(db: Db): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select (select last_value from event_log_position)
      - (select position from projector_cursor where name = 'projector') as count`.execute(db);
  return rows[0]?.count ?? 0;
}

/**
 * The running job that has waited longest and that nobody works on, locked until the transaction ends. Those of
 * paused campaigns wait; those of deleted ones are found, so that somebody ends them.
 */
export async function claimJob(db: Db): Promise<ClaimedJob | null> {
  const { rows } = await sql<ClaimedJob>`
    select j.customer_id as "customerId", j.id, j.campaign_id as "campaignId", j.filter, j.after_id as "afterId",
      j.until_id as "untilId", j.total, j.created_at as "createdAt"
    from enroll_job j ${withCampaign}
    where j.status = 'running' and k.status is distinct from 'paused'
    order by j.updated_at limit 1
    for update of j skip locked`.execute(db);
  return rows[0] ?? null;
}

export async function setJobTotal(db: Db, job: ClaimedJob, total: number): Promise<void> {
  await sql`
    update enroll_job set total = ${total} where customer_id = ${job.customerId} and id = ${job.id}`.execute(
    db,
  );
}

/** @param db the chunk's transaction: its time is added to the job's */
export async function advanceJob(
  db: Db,
  job: ClaimedJob,
  chunk: { afterId: string; selected: number; enrolled: number; isLast: boolean },
): Promise<void> {
  await sql`
    update enroll_job set after_id = ${chunk.afterId}, selected = selected + ${chunk.selected},
      enrolled = enrolled + ${chunk.enrolled}, busy_ms = busy_ms + ${elapsedMs}, failures = 0, reason = null,
      updated_at = now(), status = case when ${chunk.isLast} then 'completed' else status end,
      finished_at = case when ${chunk.isLast} then now() end
    where customer_id = ${job.customerId} and id = ${job.id}`.execute(db);
}

/** Notes that a chunk failed; after so many in a row the job has failed. */
export async function noteFailure(
  db: Db,
  job: ClaimedJob,
  failure: { reason: string; atMost: number },
): Promise<void> {
  await sql`
    update enroll_job set failures = failures + 1, updated_at = now(), reason = ${failure.reason},
      status = case when failures + 1 >= ${failure.atMost} then 'failed' else status end,
      finished_at = case when failures + 1 >= ${failure.atMost} then now() end
    where customer_id = ${job.customerId} and id = ${job.id} and status = 'running'`.execute(db);
}
