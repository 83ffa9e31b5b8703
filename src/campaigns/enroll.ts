import type { Filter } from "../contacts/filter.ts";
import { findLastContactId, selectFittingIds } from "../contacts/fitting-queries.ts";
import { AppError } from "../errors.ts";
import { NIL_ID, newId } from "../events/id.ts";
import { invalid } from "../http/problem.ts";
import { findSegment } from "../segments/queries.ts";
import { readFilter } from "../segments/read-filter.ts";
import type { Db } from "../storage/pool.ts";
import { noSuchCampaign } from "./activate.ts";
import { type CampaignSummary, holdCampaign } from "./campaign-queries.ts";
import type { JobAudience } from "./enroll-job.ts";
import { insertJob } from "./enroll-job-queries.ts";
import { type EnrollCounts, enrollContacts, inAudience } from "./enroll-queries.ts";

/** How many contacts one transaction enrolls: some tenths of a second, during which the projector may wait for it. */
export const CHUNK_CONTACTS = 10_000;

/** Before every UUIDv7 there is. */

/** Whom to enroll. */
export type AskedAudience = { contactIds: readonly string[] } | JobAudience;

export type Enrolled = EnrollCounts & {
  alreadyEnrolled: number;
  /** Ids that were asked for and are no contact's. */
  unknownContactIds: number;
};

export type Enrolling = { enrolled: Enrolled } | { jobId: string };

/**
 * Enrolls an audience in a running campaign: at once when one chunk holds it, else its first chunk, and a job for
 * the rest. A contact is in a campaign once at a time, however often and by however many requests at the same moment
 * it is enrolled.
 * @param db a transaction
 */
export async function enrollAudience(
  db: Db,
  { customerId, campaignId, now }: { customerId: string; campaignId: string; now: Date },
  audience: AskedAudience,
): Promise<Enrolling> {
  const campaign = await holdCampaign(db, customerId, campaignId);
  if (campaign === null) throw noSuchCampaign();
  if (campaign.status !== "active") throw new AppError("conflict", REASONS[campaign.status]);
  if ("contactIds" in audience) {
    const counts = await enrollIds(db, customerId, campaign, audience.contactIds);
    return finished(counts, new Set(audience.contactIds).size);
  }
  const filter = await filterOf(db, customerId, audience);
  const untilId = (await findLastContactId(db, customerId)) ?? NIL_ID;
  const range = { afterId: NIL_ID, untilId, limit: CHUNK_CONTACTS + 1 };
  const ids = await selectFittingIds(db, customerId, { filter, now }, range);
  const chunk = ids.slice(0, CHUNK_CONTACTS);
  const counts = await enrollIds(db, customerId, campaign, chunk);
  if (ids.length === chunk.length) return finished(counts, counts.selected);
  const jobId = newId();
  const afterId = chunk.at(-1) ?? NIL_ID;
  const job = { id: jobId, campaignId, audience, filter, afterId, untilId, createdAt: now, ...counts };
  await insertJob(db, customerId, job);
  return { jobId };
}

/**
 * Enrolls contacts by their ids, which were looked for before: the log's lock is held only for as long as they are
 * written.
 * @param db a transaction that holds the campaign
 */
export async function enrollIds(
  db: Db,
  customerId: string,
  campaign: CampaignSummary,
  contactIds: readonly string[],
): Promise<EnrollCounts> {
  if (contactIds.length === 0) return { selected: 0, enrolled: 0 };
  const into = { customerId, campaignId: campaign.id, version: campaign.version };
  return await enrollContacts(db, into, inAudience({ contactIds }));
}

function finished({ selected, enrolled }: EnrollCounts, asked: number): Enrolling {
  return {
    enrolled: {
      selected,
      enrolled,
      alreadyEnrolled: selected - enrolled,
      unknownContactIds: asked - selected,
    },
  };
}

async function filterOf(db: Db, customerId: string, audience: JobAudience): Promise<Filter> {
  if ("tag" in audience) return { tag: audience.tag };
  if ("all" in audience) return { all: [] };
  const segment = await findSegment(db, customerId, audience.segmentId);
  if (segment === null) throw invalid([{ field: "segmentId", reason: "is not the id of a segment" }]);
  return readFilter(segment);
}

const REASONS = {
  draft: "The campaign is a draft: nobody can be enrolled before it is activated.",
  paused: "The campaign is paused: nobody can be enrolled before it is resumed.",
};
