import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  append,
  beginCampaign,
  createCredential,
  createCustomer,
  doSteps,
  eventOf,
  listFirings,
  listRuns,
  passTime,
  projectAll,
  type Run,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { messageNode } from "../../test/support/graphs.ts";
import { doDueSteps } from "../campaigns/run-steps.ts";
import type { EventType } from "../events/event.ts";

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

const person = { agent: "human", agentRule: "browser" } as const;
const not = (id: string, firesWhen: string, within: string, to = "late") => ({
  id,
  from: "hello",
  to,
  firesWhen,
  within,
});

/** A message, sent, with these edges of its node; `on` and `late` are messages too. */
async function sent(edges: object[], { contacts = 1, how = "message_sent" as EventType } = {}) {
  const nodes = ["hello", "on", "late"].map((id) => messageNode(id, { credentialId }));
  const campaign = await beginCampaign(database.db, customerId, { nodes, edges }, contacts);
  const runs = await listRuns(database.db, campaign.campaignId);
  await append(database.db, ...runs.map((run) => eventOf(run, how)));
  await projectAll(database.db);
  const [hello] = runs;
  if (hello === undefined) throw new Error("nothing began");
  return { ...campaign, hello, runs };
}

const openedOrNot = [
  { id: "opened", from: "hello", to: "on", firesWhen: "opened" },
  not("notOpened", "notOpened", "P3D"),
];

async function fired(campaignId: string): Promise<string[]> {
  return [...(await listFirings(database.db, campaignId)).values()].flat().sort();
}

async function timers(campaignId: string): Promise<{ edgeId: string; after: number }[]> {
  const { rows } = await sql<{ edgeId: string; after: number }>`
    select t.edge_id as "edgeId",
      extract(epoch from t.due_at - (r.output->>'sentAt')::timestamptz)::int / 3600 as after
    from edge_timer t join node_run r on r.customer_id = t.customer_id and r.id = t.run_id
    where t.campaign_id = ${campaignId} order by t.due_at`.execute(database.db);
  return rows;
}

function elapsed(run: Run, edgeId: string) {
  return eventOf(run, "timer_elapsed", { messageId: null, data: { edgeId } });
}

test("a not… edge fires when its time is up since the message was sent", async () => {
  const { campaignId } = await sent(openedOrNot);
  expect(await timers(campaignId)).toEqual([{ edgeId: "notOpened", after: 72 }]);
  await doSteps(database.db);
  expect(await fired(campaignId)).toEqual([]);
  await passTime(database.db, campaignId);
  await doSteps(database.db);
  expect(await fired(campaignId)).toEqual(["notOpened"]);
  expect(await timers(campaignId)).toEqual([]);
});

test("an opening before ends the timer, a machine's does not", async () => {
  const { campaignId, hello } = await sent(openedOrNot);
  await append(database.db, eventOf(hello, "email_opened", { agent: "scanner", agentRule: "known" }));
  await projectAll(database.db);
  expect(await timers(campaignId)).toHaveLength(1);
  await append(database.db, eventOf(hello, "email_opened", person));
  await projectAll(database.db);
  expect(await timers(campaignId)).toEqual([]);
  expect(await fired(campaignId)).toEqual(["opened"]);
});

describe("of an opening and its timer in one batch", () => {
  test("the opening fires when it is first in the log", async () => {
    const { campaignId, hello } = await sent(openedOrNot);
    await append(database.db, eventOf(hello, "email_opened", person), elapsed(hello, "notOpened"));
    await projectAll(database.db);
    expect(await fired(campaignId)).toEqual(["opened"]);
  });

  test("the timer fires when it is first, and the late opening is recorded all the same", async () => {
    const { campaignId, hello } = await sent(openedOrNot);
    await append(database.db, elapsed(hello, "notOpened"), eventOf(hello, "email_opened", person));
    await projectAll(database.db);
    expect(await fired(campaignId)).toEqual(["notOpened"]);
    const runs = await listRuns(database.db, campaignId);
    expect(runs.find(({ nodeId }) => nodeId === "hello")?.output).toMatchObject({ opened: true });
  });
});

test("a late opening fires nothing, and edges of other kinds go on", async () => {
  const clicked = { id: "clicked", from: "hello", to: "on", firesWhen: "clicked" };
  const { campaignId, hello } = await sent([...openedOrNot, clicked]);
  await passTime(database.db, campaignId);
  await doSteps(database.db);
  await append(database.db, eventOf(hello, "email_opened", person), eventOf(hello, "email_clicked", person));
  await projectAll(database.db);
  expect(await fired(campaignId)).toEqual(["clicked", "notOpened"]);
});

test("several not… edges of a kind fire each in its turn", async () => {
  const { campaignId } = await sent([
    not("first", "notClicked", "PT1H"),
    not("second", "notClicked", "PT2H", "on"),
  ]);
  expect(await timers(campaignId)).toEqual([
    { edgeId: "first", after: 1 },
    { edgeId: "second", after: 2 },
  ]);
  await passTime(database.db, campaignId);
  await doSteps(database.db);
  expect(await fired(campaignId)).toEqual(["first", "second"]);
});

test.each<[EventType, number]>([
  ["message_uncertain", 1],
  ["message_failed", 0],
  ["contact_suppressed", 0],
])("after %s %i timers run", async (how, count) => {
  const { campaignId } = await sent(openedOrNot, { how });
  expect(await timers(campaignId)).toHaveLength(count);
});

test("an opening that the log has before the sending leaves no timer", async () => {
  const { campaignId, hello } = await sent(openedOrNot, { how: "message_delivered" });
  await append(database.db, eventOf(hello, "email_opened", person));
  await projectAll(database.db);
  await append(database.db, eventOf(hello, "message_sent"));
  await projectAll(database.db);
  expect(await timers(campaignId)).toEqual([]);
});

test("the timers of a paused campaign wait until it goes on", async () => {
  const { campaignId } = await sent(openedOrNot);
  await passTime(database.db, campaignId);
  await sql`update campaign set status = 'paused' where id = ${campaignId}`.execute(database.db);
  await doSteps(database.db);
  expect(await timers(campaignId)).toHaveLength(1);
  await sql`update campaign set status = 'active' where id = ${campaignId}`.execute(database.db);
  await doSteps(database.db);
  expect(await fired(campaignId)).toEqual(["notOpened"]);
});

test("of openings and timers at the same moment exactly one fires for each contact, whoever is at work", async () => {
  for (let round = 0; round < 5; round += 1) {
    customerId = await createCustomer(database.db);
    const { campaignId, runs } = await sent(openedOrNot, { contacts: 60 });
    await passTime(database.db, campaignId);
    const work = async () => {
      while ((await doDueSteps(database.db, { now: new Date(), limit: 5 })) > 0);
    };
    const open = async (own: readonly Run[]) => {
      for (const run of own) await append(database.db, eventOf(run, "email_opened", person));
    };
    const project = async () => {
      for (let turn = 0; turn < 10; turn += 1) await projectAll(database.db, 7);
    };
    await Promise.all([
      open(runs.slice(0, 20)),
      open(runs.slice(20, 40)),
      open(runs.slice(40).toReversed()),
      work(),
      work(),
      project(),
      project(),
    ]);
    await doSteps(database.db);
    const fired = [...(await listFirings(database.db, campaignId)).values()];
    expect(fired.map((edges) => edges.length)).toEqual(Array(60).fill(1));
    expect(await timers(campaignId)).toEqual([]);
  }
});
