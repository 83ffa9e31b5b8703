import { AppError } from "../errors.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Db } from "../storage/pool.ts";
import { noSuchCampaign } from "./activate.ts";
import { hasCampaign, holdCampaign } from "./campaign-queries.ts";
import { type Enrollment, findEnrollment } from "./enrollment-queries.ts";
import { type Leaving, leave } from "./leave-queries.ts";
import { type Moved, moveEnrollments, type Page } from "./move-queries.ts";
import { holdProjector } from "./withdraw-queries.ts";

/** The projector stands still for one transaction of so many enrollments at a time: about half a second. */
const ENROLLMENTS_AT_ONCE = 10_000;

/** Takes one contact out; an enrollment that is completed stays as it is. */
export async function leaveEnrollment(db: Db, customerId: string, id: string): Promise<Enrollment> {
  await leaveAll(db, customerId, { enrollmentId: id });
  const enrollment = await findEnrollment(db, customerId, id);
  if (enrollment === null) throw noSuchEnrollment();
  return enrollment;
}

/**
 * Takes contacts out of a campaign who are in it now.
 * @returns how many were
 */
export async function leaveCampaign(
  db: Db,
  customerId: string,
  leaving: Exclude<Leaving, { enrollmentId: string }>,
): Promise<number> {
  if (!(await hasCampaign(db, customerId, leaving.campaignId))) throw noSuchCampaign();
  return leaveAll(db, customerId, leaving);
}

async function leaveAll(db: Db, customerId: string, leaving: Leaving): Promise<number> {
  let total = 0;
  for (;;) {
    const left = await inTransaction(db, async (trx) => {
      await holdProjector(trx);
      return leave(trx, customerId, leaving, ENROLLMENTS_AT_ONCE);
    });
    total += left;
    if (left < ENROLLMENTS_AT_ONCE) return total;
  }
}

/**
 * Moves who is under way in an earlier version of a campaign to its present one, where the present one has the nodes
 * that they stand at.
 */
export async function moveToPresent(
  db: Db,
  customerId: string,
  campaignId: string,
  fromVersion: number | null,
): Promise<{ moved: number; stayed: number }> {
  const total = { moved: 0, stayed: 0 };
  let after: string | null = null;
  do {
    const page: Page = { after, limit: ENROLLMENTS_AT_ONCE };
    const done: Moved = await inTransaction(db, async (trx) => {
      const campaign = await holdCampaign(trx, customerId, campaignId);
      if (campaign === null) throw noSuchCampaign();
      await holdProjector(trx);
      return moveEnrollments(trx, { customerId, campaignId, version: campaign.version, fromVersion }, page);
    });
    total.moved += done.moved;
    total.stayed += done.stayed;
    after = done.last;
  } while (after !== null);
  return total;
}

export const noSuchEnrollment = () => new AppError("not_found", "There is no enrollment with this id.");
