import { AppError } from "../errors.ts";
import type { Db } from "../storage/pool.ts";
import { isVersion, lockCampaign, type StoredCampaign, setCampaignStatus } from "./campaign-queries.ts";
import { findProblems } from "./check.ts";
import { compileMessages, freezeTemplates } from "./freeze.ts";
import { compileGraph } from "./graph.ts";
import { insertVersion } from "./queries.ts";

export const noSuchCampaign = () => new AppError("not_found", "There is no campaign with this id.");

/**
 * Makes the graph as it was saved the one that people enroll into, as a new version unless it is the present one
 * already, and lets the campaign run.
 * @param db a transaction
 */
export async function activateCampaign(db: Db, customerId: string, id: string): Promise<void> {
  const campaign = await lockCampaign(db, customerId, id);
  if (campaign === null) throw noSuchCampaign();
  // It was checked when it was saved; a credential may have been deleted since.
  const problems = await findProblems(db, customerId, campaign);
  if (problems.length > 0) {
    throw new AppError("conflict", `The campaign can't run as it is: ${problems[0]?.reason}.`, problems);
  }
  if (!(await hasUnactivatedChanges(db, customerId, campaign))) {
    await setCampaignStatus(db, customerId, id, { status: "active", version: campaign.version });
    return;
  }
  const version = campaign.version + 1;
  const { nodes, edges } = compileGraph(campaign);
  const compiled = await compileMessages(await freezeTemplates(db, customerId, nodes));
  await insertVersion(db, { customerId, campaignId: id, version }, compiled, edges);
  await setCampaignStatus(db, customerId, id, { status: "active", version });
}

/**
 * Sets an activated campaign to running or paused; nothing changes when it is so already.
 * @param db a transaction
 */
export async function switchCampaign(
  db: Db,
  customerId: string,
  id: string,
  status: "active" | "paused",
): Promise<void> {
  const campaign = await lockCampaign(db, customerId, id);
  if (campaign === null) throw noSuchCampaign();
  if (campaign.status === status) return;
  if (campaign.status === "draft") {
    throw new AppError("conflict", "The campaign is a draft: it has to be activated first.");
  }
  await setCampaignStatus(db, customerId, id, { status, version: campaign.version });
}

/** Whether the graph as it was saved, with the templates it uses, differs from the one that people enroll into. */
export async function hasUnactivatedChanges(
  db: Db,
  customerId: string,
  campaign: StoredCampaign,
): Promise<boolean> {
  if (campaign.version === 0) return true;
  const { nodes, edges } = compileGraph(campaign);
  const { id: campaignId, version } = campaign;
  const frozen = await freezeTemplates(db, customerId, nodes);
  return !(await isVersion(db, { customerId, campaignId, version }, frozen.nodes, edges));
}
