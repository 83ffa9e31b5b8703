import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  createCampaign,
  createContacts,
  createCustomer,
  enroll,
  projectAll,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";

let database: TestDatabase;
let customerId: string;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

beforeEach(async () => {
  customerId = await createCustomer(database.db);
  await createContacts(database.db, customerId, 2);
});

const wait = { nodes: [{ id: "pause", type: "wait", duration: "P1D" }], edges: [] };
const exit = { nodes: [{ id: "end", type: "exit" }], edges: [] };

async function attempts(campaignId: string): Promise<string[]> {
  const { rows } = await sql<{ attempt: string }>`
    select attempt || ' ' || status as attempt from enrollment where campaign_id = ${campaignId}
    order by attempt, contact_id`.execute(database.db);
  return rows.map(({ attempt }) => attempt);
}

test("who has completed a campaign does not enroll again, unless the campaign lets him", async () => {
  const campaign = await createCampaign(database.db, customerId, exit);
  await enroll(database.db, campaign, { all: true });
  await projectAll(database.db);
  await enroll(database.db, campaign, { all: true });
  expect(await attempts(campaign.campaignId)).toEqual(["1 completed", "1 completed"]);
});

test("who completed it long enough ago begins his next attempt, the other does not", async () => {
  const campaign = await createCampaign(database.db, customerId, { ...exit, reenrollAfter: "P30D" });
  await enroll(database.db, campaign, { all: true });
  await projectAll(database.db);
  await sql`
    update enrollment set completed_at = now() - interval '31 days'
    where id = (select id from enrollment where campaign_id = ${campaign.campaignId} order by contact_id limit 1)`.execute(
    database.db,
  );
  await enroll(database.db, campaign, { all: true });
  expect(await attempts(campaign.campaignId)).toEqual(["1 completed", "1 completed", "2 active"]);
  await projectAll(database.db);
  expect(await attempts(campaign.campaignId)).toEqual(["1 completed", "1 completed", "2 completed"]);
});

test("who is in a campaign does not begin it a second time beside", async () => {
  const campaign = await createCampaign(database.db, customerId, { ...wait, reenrollAfter: "PT0S" });
  await enroll(database.db, campaign, { all: true });
  await projectAll(database.db);
  await enroll(database.db, campaign, { all: true });
  expect(await attempts(campaign.campaignId)).toEqual(["1 active", "1 active"]);
});

test("requests at the same moment begin one attempt", async () => {
  const campaign = await createCampaign(database.db, customerId, { ...wait, reenrollAfter: "PT0S" });
  await enroll(database.db, campaign, { all: true });
  await sql`
    update enrollment set status = 'completed', completed_at = now() where campaign_id = ${campaign.campaignId}`.execute(
    database.db,
  );
  await Promise.all(Array.from({ length: 5 }, () => enroll(database.db, campaign, { all: true })));
  expect(await attempts(campaign.campaignId)).toEqual(["1 completed", "1 completed", "2 active", "2 active"]);
});
