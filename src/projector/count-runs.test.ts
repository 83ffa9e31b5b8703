import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  append,
  createCampaign,
  createContacts,
  createCredential,
  createCustomer,
  enroll,
  eventOf,
  listRuns,
  projectAll,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { rebuild } from "./rebuild.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

/** A message that is sent again whenever it is clicked, up to three rounds, and an exit after an open. */
async function playRounds() {
  const { db } = database;
  const customerId = await createCustomer(db);
  const credentialId = await createCredential(db, customerId, {});
  const message = {
    type: "message",
    channel: "email",
    credentialId,
    subject: "Hi",
    html: "<a href='https://e.com'>x</a>",
  };
  const campaign = await createCampaign(db, customerId, {
    nodes: [
      { id: "hello", ...message },
      { id: "again", ...message },
    ],
    edges: [
      { id: "on", from: "hello", to: "again", firesWhen: "clicked" },
      { id: "back", from: "again", to: "hello", firesWhen: "clicked" },
    ],
  });
  await createContacts(db, customerId, 2);
  await enroll(db, campaign, { all: true });
  await projectAll(db);
  for (let round = 0; round < 3; round += 1) {
    const runs = await listRuns(db, campaign.campaignId);
    const first = runs.filter((run) => run.contactId === runs[0]?.contactId);
    await append(
      db,
      ...first.map((run) =>
        eventOf(run, "email_clicked", { agent: "human", data: { clickedUrl: "https://e.com" } }),
      ),
    );
    await projectAll(db);
  }
  return campaign;
}

async function begun(campaignId: string, table: "counter" | "breakdown" | "campaign_hour") {
  const node = table === "campaign_hour" ? sql`'' as node` : sql`node_id as node`;
  const { rows } = await sql<{ node: string; counts: number[] }>`
    select ${node}, array[sum(total), sum(unique_total)]::int[] as counts
    from ${sql.table(table)} where campaign_id = ${campaignId} and type = 'run_started' group by 1 order by 1`.execute(
    database.db,
  );
  return rows.map(({ node, counts }) => [node, ...counts]);
}

test("a node that a cycle leads back to begins again, and is reached once by its enrollment", async () => {
  const { campaignId } = await playRounds();
  const runs = await listRuns(database.db, campaignId);
  const of = (nodeId: string) => runs.filter((run) => run.nodeId === nodeId).length;
  expect([of("hello"), of("again")]).toEqual([3, 2]);
  for (const table of ["counter", "breakdown"] as const) {
    expect(await begun(campaignId, table)).toEqual([
      ["again", 2, 1],
      ["hello", 3, 2],
    ]);
  }
  expect(await begun(campaignId, "campaign_hour")).toEqual([["", 5, 3]]);
  const { tables } = await rebuild(database.db, { limit: 1000, onProgress: () => {} });
  expect(tables.find(({ table }) => table === "counter")).toMatchObject({
    missing: 0,
    extra: 0,
    different: 0,
  });
});
