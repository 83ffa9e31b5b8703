import { sql } from "kysely";
import type { MessageStatus } from "../messages/status.ts";
import type { Db } from "../storage/pool.ts";
import type { CampaignStatus } from "./campaign-queries.ts";

type CampaignRef = { customerId: string; campaignId: string };

export type Tally = {
  credentialId: string;
  status: MessageStatus;
  /** Of queued messages that were put off. */
  postponedReason: "quiet_hours" | "frequency_cap" | "deferred" | null;
  messages: number;
};

/** What was sent lately through a credential, and since when. */
export type Pace = { credentialId: string; sent: number; since: Date };

export async function findCampaignStatus(db: Db, campaign: CampaignRef): Promise<CampaignStatus | null> {
  const { rows } = await sql<{ status: CampaignStatus }>`
    select status from campaign
    where customer_id = ${campaign.customerId} and id = ${campaign.campaignId}`.execute(db);
  return rows[0]?.status ?? null;
}

/** How many messages a campaign has, by credential and state. */
export async function sumTallies(db: Db, campaign: CampaignRef): Promise<Tally[]> {
  const { rows } = await sql<Tally>`
    select credential_id as "credentialId", status, postponed_reason as "postponedReason",
      sum(messages)::int as messages
    from sending_tally
    where customer_id = ${campaign.customerId} and campaign_id = ${campaign.campaignId}
    group by 1, 2, 3 having sum(messages) <> 0`.execute(db);
  return rows;
}

/** @param since the slots that begin at this moment or later */
export async function selectPaces(db: Db, campaign: CampaignRef, since: Date): Promise<Pace[]> {
  const { rows } = await sql<Pace>`
    select credential_id as "credentialId", sum(sent)::int as sent, min(slot) as since
    from sending_pace
    where customer_id = ${campaign.customerId} and campaign_id = ${campaign.campaignId} and slot >= ${since}
    group by 1 having sum(sent) > 0`.execute(db);
  return rows;
}

/** When the last of a campaign's queued messages is due, by credential: each is the end of the queue's index. */
export async function selectLastDue(
  db: Db,
  campaign: CampaignRef,
  credentialIds: readonly string[],
): Promise<Map<string, Date>> {
  const { rows } = await sql<{ credentialId: string; dueAt: Date }>`
    select asked.id as "credentialId", last.due_at as "dueAt"
    from unnest(${credentialIds}::uuid[]) as asked(id)
    cross join lateral (
      select due_at from message
      where customer_id = ${campaign.customerId} and credential_id = asked.id
        and campaign_id = ${campaign.campaignId} and status = 'queued' and claimed_by is null
      order by due_at desc limit 1
    ) as last`.execute(db);
  return new Map(rows.map(({ credentialId, dueAt }) => [credentialId, dueAt]));
}
