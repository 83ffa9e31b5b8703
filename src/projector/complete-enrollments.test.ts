import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  append,
  beginCampaign,
  createCredential,
  createCustomer,
  doSteps,
  eventOf,
  listRuns,
  passTime,
  projectAll,
  type Run,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { messageNode } from "../../test/support/graphs.ts";

let database: TestDatabase;
let customerId: string;
let credentialId: string;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

beforeEach(async () => {
  customerId = await createCustomer(database.db);
  credentialId = await createCredential(database.db, customerId, {});
});

const pause = { id: "pause", type: "wait", duration: "P1D" };
const end = { id: "end", type: "exit" };
const hello = () => messageNode("hello", { credentialId });

async function reasons(campaignId: string): Promise<(string | null)[]> {
  const { rows } = await sql<{ reason: string | null }>`
    select completed_reason as reason from enrollment where campaign_id = ${campaignId}`.execute(database.db);
  return rows.map(({ reason }) => reason);
}

async function completions(campaignId: string): Promise<{ reason: string; nodeId: string | null }[]> {
  const { rows } = await sql<{ reason: string; nodeId: string | null }>`
    select e.data->>'reason' as reason, r.node_id as "nodeId"
    from event_log e left join node_run r on r.customer_id = e.customer_id and r.id = e.run_id
    where e.campaign_id = ${campaignId} and e.type = 'campaign_completed'`.execute(database.db);
  return rows;
}

async function rounds(campaignId: string): Promise<string[]> {
  const { rows } = await sql<{ run: string }>`
    select node_id || ' ' || round || ' ' || status as run from node_run where campaign_id = ${campaignId}
    order by id`.execute(database.db);
  return rows.map(({ run }) => run);
}

test("a campaign that begins at an exit is completed at once", async () => {
  const { campaignId } = await beginCampaign(database.db, customerId, { nodes: [end], edges: [] });
  expect(await reasons(campaignId)).toEqual(["exit"]);
  expect(await completions(campaignId)).toEqual([{ reason: "exit", nodeId: "end" }]);
});

describe("a way back", () => {
  const reminders = (maxRounds: number) => ({
    nodes: [hello(), pause, end],
    edges: [
      { id: "wait", from: "hello", to: "pause", firesWhen: "sent" },
      { id: "again", from: "pause", to: "hello", firesWhen: "always" },
      { id: "done", from: "hello", to: "end", firesWhen: "clicked" },
    ],
    maxRounds,
  });

  async function send(campaignId: string): Promise<void> {
    const running = (await listRuns(database.db, campaignId)).filter(({ status }) => status === "running");
    await append(database.db, ...running.map((run) => eventOf(run, "message_sent")));
    await projectAll(database.db);
    await passTime(database.db, campaignId);
    await doSteps(database.db);
  }

  test("begins the next round, until a round too many completes the enrollment", async () => {
    const { campaignId } = await beginCampaign(database.db, customerId, reminders(2));
    for (let time = 0; time < 4; time += 1) await send(campaignId);
    expect(await rounds(campaignId)).toEqual([
      "hello 1 completed",
      "pause 1 completed",
      "hello 2 completed",
      "pause 2 completed",
    ]);
    expect(await completions(campaignId)).toEqual([{ reason: "round_limit", nodeId: "pause" }]);
  });

  test("lets a click on the mail of an earlier round end it as well", async () => {
    const { campaignId } = await beginCampaign(database.db, customerId, reminders(10));
    await send(campaignId);
    const [first] = await listRuns(database.db, campaignId);
    if (first === undefined) throw new Error("nothing began");
    await append(database.db, eventOf(first, "email_clicked", { agent: "human", agentRule: "browser" }));
    await projectAll(database.db);
    expect(await rounds(campaignId)).toEqual([
      "hello 1 completed",
      "pause 1 completed",
      "hello 2 cancelled",
      "end 1 completed",
    ]);
  });
});

describe("a campaign that ends on a reply or an unsubscribe", () => {
  const graph = () => ({
    nodes: [hello(), pause, messageNode("next", { credentialId })],
    edges: [
      { id: "wait", from: "hello", to: "pause", firesWhen: "sent" },
      { id: "late", from: "hello", to: "next", firesWhen: "notOpened", within: "P2D" },
      { id: "next", from: "hello", to: "next", firesWhen: "opened" },
    ],
    exitOn: ["replied" as const, "unsubscribed" as const],
  });

  async function sent(): Promise<{ campaignId: string; run: Run }> {
    const { campaignId } = await beginCampaign(database.db, customerId, graph());
    const [run] = await listRuns(database.db, campaignId);
    if (run === undefined) throw new Error("nothing began");
    await append(database.db, eventOf(run, "message_sent"));
    await projectAll(database.db);
    return { campaignId, run };
  }

  test.each([
    ["message_received", "replied"],
    ["unsubscribed", "unsubscribed"],
  ] as const)("is completed by %s with the reason %s, and nothing goes on", async (type, reason) => {
    const { campaignId, run } = await sent();
    const open = eventOf(run, "email_opened", { agent: "human", agentRule: "browser" });
    await append(database.db, eventOf(run, type), open);
    await projectAll(database.db);
    await passTime(database.db, campaignId);
    await doSteps(database.db);
    expect(await reasons(campaignId)).toEqual([reason]);
    expect(await completions(campaignId)).toEqual([{ reason, nodeId: "hello" }]);
    expect(await rounds(campaignId)).toEqual(["hello 1 completed", "pause 1 cancelled"]);
  });

  test("fires none of its own edges that a version from before may have", async () => {
    const replied = { id: "answer", from: "hello", to: "next", firesWhen: "replied" };
    const { edges, ...rest } = graph();
    const { campaignId } = await beginCampaign(database.db, customerId, {
      ...rest,
      edges: [...edges, replied],
    });
    const [run] = await listRuns(database.db, campaignId);
    if (run === undefined) throw new Error("nothing began");
    await append(database.db, eventOf(run, "message_received"));
    await projectAll(database.db);
    expect(await rounds(campaignId)).toEqual(["hello 1 cancelled"]);
  });

  test("does what the log has before it", async () => {
    const { campaignId, run } = await sent();
    const open = eventOf(run, "email_opened", { agent: "human", agentRule: "browser" });
    await append(database.db, open, eventOf(run, "message_received"));
    await projectAll(database.db);
    expect(await rounds(campaignId)).toEqual(["hello 1 completed", "pause 1 cancelled", "next 1 cancelled"]);
  });
});
