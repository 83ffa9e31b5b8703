import type { Db } from "../storage/pool.ts";
import { noSuchCampaign } from "./activate.ts";
import type { CampaignRef } from "./analytics-queries.ts";
import { findCampaign, hasCampaign, type StoredCampaign } from "./campaign-queries.ts";

type Asked = { db: Db; customerId: string };

/** @throws AppError when the customer has no such campaign */
export async function campaignOf({ db, customerId }: Asked, id: string): Promise<CampaignRef> {
  if (!(await hasCampaign(db, customerId, id))) throw noSuchCampaign();
  return { customerId, campaignId: id };
}

/** The same with its graph as it is edited. */
export async function graphOf(
  { db, customerId }: Asked,
  id: string,
): Promise<{ ref: CampaignRef; graph: StoredCampaign }> {
  const graph = await findCampaign(db, customerId, id);
  if (graph === null) throw noSuchCampaign();
  return { ref: { customerId, campaignId: id }, graph };
}
