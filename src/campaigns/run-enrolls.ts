import { filter as filterSchema } from "../contacts/filter.ts";
import { countFitting, selectFittingIds } from "../contacts/fitting-queries.ts";
import type { Logger } from "../logger.ts";
import { type Repeating, repeat } from "../repeat.ts";
import type { Db } from "../storage/pool.ts";
import { holdCampaign } from "./campaign-queries.ts";
import { CHUNK_CONTACTS, enrollIds } from "./enroll.ts";
import {
  advanceJob,
  type ClaimedJob,
  claimJob,
  countUnprojected,
  endJob,
  noteFailure,
  setJobTotal,
} from "./enroll-job-queries.ts";

const LOOK_MS = 250;
/** A chunk is not begun while more than this is ahead of the projector: hits would wait behind it. */
const MAX_UNPROJECTED = 2_000;
const MAX_FAILURES = 5;

/** Goes on with enroll jobs, chunk by chunk, for as long as the process lives. */
export function runEnrolls(db: Db, onAppend: () => void, log: Pick<Logger, "error">): Repeating {
  return repeat(
    LOOK_MS,
    async () => {
      if ((await countUnprojected(db)) > MAX_UNPROJECTED) return "done";
      const outcome = await enrollNextChunk(db, log);
      if (outcome === "enrolled") onAppend();
      return outcome === "idle" ? "done" : "more";
    },
    (error) => log.error({ err: error }, "enroll jobs: could not look for one, tries again"),
  );
}

/**
 * Does the next step of the job that has waited longest: counts its audience, or enrolls a chunk of it. Each is one
 * transaction, so a crash costs a chunk, and several processes work on different jobs. A job whose steps keep
 * failing has failed.
 */
export async function enrollNextChunk(
  db: Db,
  log: Pick<Logger, "error">,
): Promise<"enrolled" | "looked" | "idle"> {
  const claim: { job: ClaimedJob | null } = { job: null };
  try {
    return await db.transaction().execute(async (transaction) => {
      claim.job = await claimJob(transaction);
      return claim.job === null ? "idle" : await work(transaction, claim.job);
    });
  } catch (error) {
    if (claim.job === null) throw error;
    log.error({ err: error }, "an enroll job could not do its next chunk");
    const reason = `The last chunk failed: ${error instanceof Error ? error.message : String(error)}`;
    await noteFailure(db, claim.job, { reason, atMost: MAX_FAILURES });
    return "idle";
  }
}

async function work(db: Db, job: ClaimedJob): Promise<"enrolled" | "looked" | "idle"> {
  const { customerId, campaignId, id, untilId } = job;
  const read = filterSchema.safeParse(job.filter);
  if (!read.success) {
    await endJob(db, customerId, id, { status: "failed", reason: "Its filter is no longer valid." });
    return "looked";
  }
  const asked = { filter: read.data, now: job.createdAt };
  if (job.total === null) {
    await setJobTotal(db, job, await countFitting(db, customerId, asked, untilId));
    return "looked";
  }
  const range = { afterId: job.afterId, untilId, limit: CHUNK_CONTACTS };
  const ids = await selectFittingIds(db, customerId, asked, range);
  // Held from here on: looking for people may take long, and nobody should wait for it to pause the campaign.
  const campaign = await holdCampaign(db, customerId, campaignId);
  if (campaign === null) {
    await endJob(db, customerId, id, { status: "cancelled", reason: "The campaign was deleted." });
    return "looked";
  }
  // It was paused a moment ago.
  if (campaign.status !== "active") return "idle";
  const counts = await enrollIds(db, customerId, campaign, ids);
  const isLast = ids.length < CHUNK_CONTACTS;
  await advanceJob(db, job, { afterId: ids.at(-1) ?? untilId, isLast, ...counts });
  return "enrolled";
}
