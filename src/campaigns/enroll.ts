import { AppError } from "../errors.ts";
import type { Db } from "../storage/pool.ts";
import { noSuchCampaign } from "./activate.ts";
import { holdCampaign } from "./campaign-queries.ts";
import { type Audience, enrollContacts } from "./queries.ts";

export type Enrolled = {
  selected: number;
  enrolled: number;
  alreadyEnrolled: number;
  /** Ids that were asked for and are no contact's. */
  unknownContactIds: number;
};

/**
 * Enrolls an audience in a running campaign. A contact goes through a campaign once, however often and by however
 * many requests at the same moment it is enrolled.
 * @param db a transaction
 */
export async function enrollAudience(
  db: Db,
  customerId: string,
  id: string,
  audience: Audience,
): Promise<Enrolled> {
  const campaign = await holdCampaign(db, customerId, id);
  if (campaign === null) throw noSuchCampaign();
  if (campaign.status !== "active") throw new AppError("conflict", REASONS[campaign.status]);
  const { selected, enrolled } = await enrollContacts(
    db,
    { customerId, campaignId: id, version: campaign.version },
    audience,
  );
  const asked = "contactIds" in audience ? new Set(audience.contactIds).size : selected;
  return {
    selected,
    enrolled,
    alreadyEnrolled: selected - enrolled,
    unknownContactIds: asked - selected,
  };
}

const REASONS = {
  draft: "The campaign is a draft: nobody can be enrolled before it is activated.",
  paused: "The campaign is paused: nobody can be enrolled before it is resumed.",
};
