import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  append,
  beginCampaign,
  createCampaign,
  createContacts,
  createCredential,
  createCustomer,
  doSteps,
  enroll,
  eventOf,
  listFirings,
  listRuns,
  projectAll,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { messageNode } from "../../test/support/graphs.ts";
import { doDueSteps } from "./run-steps.ts";

let database: TestDatabase;
let customerId: string;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

beforeEach(async () => {
  customerId = await createCustomer(database.db);
});

const end = { id: "end", type: "exit" };
const step = (id: string, firesWhen: string, from: string, to = "end") => ({ id, from, to, firesWhen });

async function setContact(id: string | undefined, attributes: object, tags: string[] = []): Promise<void> {
  await sql`
    update contact set attributes = ${JSON.stringify(attributes)}::jsonb, tags = ${tags}::text[]
    where id = ${id}`.execute(database.db);
}

async function contactOf(id: string | undefined): Promise<unknown> {
  const { rows } = await sql`select attributes, tags from contact where id = ${id}`.execute(database.db);
  return rows[0];
}

async function outputs(campaignId: string, nodeId: string): Promise<Record<string, unknown>[]> {
  return (await listRuns(database.db, campaignId))
    .filter((run) => run.nodeId === nodeId)
    .map(({ status, output }) => ({ status, ...output }));
}

describe("a condition", () => {
  const graph = {
    nodes: [
      { id: "ask", type: "condition", if: { attribute: "plan", is: "equals", value: "pro" } },
      { id: "pause", type: "wait", duration: "P1D" },
      end,
    ],
    edges: [
      step("yes", "true", "ask"),
      step("no", "false", "ask", "pause"),
      step("any", "always", "ask", "pause"),
    ],
  };

  test("fires what it finds, for each contact, and always", async () => {
    const contactIds = await createContacts(database.db, customerId, 3);
    await setContact(contactIds[0], { plan: "pro" });
    const campaign = await beginOf(graph, contactIds.slice(0, 2));
    await doSteps(database.db);
    expect(await outputs(campaign.campaignId, "ask")).toEqual([
      { status: "completed", result: true },
      { status: "completed", result: false },
    ]);
    const fired = await listFirings(database.db, campaign.campaignId);
    expect(contactIds.map((id) => fired.get(id))).toEqual([["any", "yes"], ["any", "no"], undefined]);
  });

  test("is not true of a contact who was deleted", async () => {
    const { campaignId } = await beginCampaign(database.db, customerId, {
      nodes: [{ id: "ask", type: "condition", if: { not: { tag: "vip" } } }, end],
      edges: [step("yes", "true", "ask")],
    });
    await sql`delete from contact where customer_id = ${customerId}`.execute(database.db);
    await doSteps(database.db);
    expect(await outputs(campaignId, "ask")).toEqual([{ status: "completed", result: false }]);
  });

  test("reads what an earlier node gave, of its latest round", async () => {
    const credentialId = await createCredential(database.db, customerId, {});
    const { campaignId } = await beginCampaign(database.db, customerId, {
      nodes: [
        messageNode("hello", { credentialId }),
        {
          id: "ask",
          type: "condition",
          if: { node: "hello", output: "clickedUrl", is: "equals", value: "https://b" },
        },
        { id: "pause", type: "wait", duration: "P1D" },
      ],
      edges: [step("c", "clicked", "hello", "ask"), step("y", "true", "ask", "pause")],
    });
    const [hello] = await listRuns(database.db, campaignId);
    if (hello === undefined) throw new Error("nothing began");
    const click = { agent: "human", agentRule: "browser", data: { clickedUrl: "https://b" } } as const;
    await append(database.db, eventOf(hello, "email_clicked", click));
    await doSteps(database.db);
    expect(await outputs(campaignId, "ask")).toEqual([{ status: "completed", result: true }]);
  });

  test("that can't be asked fails with the reason, and the others are asked all the same", async () => {
    const broken = await beginCampaign(database.db, customerId, {
      ...graph,
      edges: [...graph.edges, step("f", "always", "ask", "pause")],
    });
    await sql`
      update campaign_node set settings = '{"if": {"unheard": "of"}}'
      where campaign_id = ${broken.campaignId} and node_id = 'ask'`.execute(database.db);
    const whole = await beginOf(graph, broken.contactIds);
    await doSteps(database.db);
    expect(await outputs(broken.campaignId, "ask")).toEqual([
      { status: "failed", failed: true, reason: expect.stringContaining("if must be an object with one of") },
    ]);
    expect(await outputs(whole.campaignId, "ask")).toEqual([{ status: "completed", result: false }]);
  });
});

describe("a split", () => {
  const graph = {
    nodes: [
      {
        id: "draw",
        type: "split",
        variants: [
          { id: "a", weight: 3 },
          { id: "b", weight: 1 },
        ],
      },
      end,
    ],
    edges: [
      { ...step("toA", "variant", "draw"), variant: "a" },
      { ...step("toB", "variant", "draw"), variant: "b" },
    ],
  };

  test("gives each contact a variant, by weight, and fires that one's edges", async () => {
    const { campaignId } = await beginCampaign(database.db, customerId, graph, 800);
    await doSteps(database.db);
    const runs = (await listRuns(database.db, campaignId)).filter(({ nodeId }) => nodeId === "draw");
    const fired = await listFirings(database.db, campaignId);
    for (const run of runs) {
      expect(fired.get(run.contactId)).toEqual([run.output.variant === "a" ? "toA" : "toB"]);
    }
    // Five standard deviations around three quarters of 800.
    const ofA = runs.filter(({ output }) => output.variant === "a").length;
    expect(ofA).toBeWithin(540, 660);
  });

  test("gives a contact the same variant when he enrolls again", async () => {
    const again = { ...graph, reenrollAfter: "PT0S" };
    const campaign = await beginCampaign(database.db, customerId, again, 20);
    await doSteps(database.db);
    await enroll(database.db, campaign, { all: true });
    await doSteps(database.db);
    const runs = (await listRuns(database.db, campaign.campaignId)).filter(({ nodeId }) => nodeId === "draw");
    expect(runs).toHaveLength(40);
    expect(new Set(runs.map(({ contactId, output }) => `${contactId} ${output.variant}`)).size).toBe(20);
  });
});

describe("an update", () => {
  const update = (change: object) => ({
    nodes: [{ id: "mark", type: "update-contact", ...change }, end],
    edges: [step("e", "always", "mark")],
  });

  test("sets and unsets attributes, adds and removes tags, and leaves the others", async () => {
    const contactIds = await createContacts(database.db, customerId, 2);
    await setContact(contactIds[0], { plan: "free", trial: true, city: "Paris" }, ["old", "vip"]);
    const change = {
      set: { plan: "pro", score: 7, ok: false },
      unset: ["trial", "none"],
      addTags: ["vip", "new"],
      removeTags: ["old"],
    };
    const { campaignId } = await beginOf(update(change), contactIds.slice(0, 1));
    await doSteps(database.db);
    expect(await contactOf(contactIds[0])).toEqual({
      attributes: { plan: "pro", score: 7, ok: false, city: "Paris" },
      tags: ["vip", "new"],
    });
    expect(await contactOf(contactIds[1])).toEqual({ attributes: {}, tags: [] });
    expect(await outputs(campaignId, "end")).toHaveLength(1);
  });

  test("takes what a webhook gave, and leaves the attribute where it gave nothing", async () => {
    const webhook = {
      id: "hook",
      type: "webhook",
      url: "https://example.com",
      output: { score: "data.score" },
    };
    const set = { score: { node: "hook", output: "score" }, rank: { node: "hook", output: "rank" } };
    const { campaignId, contactIds } = await beginCampaign(database.db, customerId, {
      nodes: [webhook, { id: "mark", type: "update-contact", set }],
      edges: [step("s", "sent", "hook", "mark")],
    });
    await setContact(contactIds[0], { rank: 1 });
    const [hook] = await listRuns(database.db, campaignId);
    if (hook === undefined) throw new Error("nothing began");
    const data = { status: 200, output: { score: 9, rank: null } };
    await append(database.db, eventOf(hook, "run_completed", { data }));
    await doSteps(database.db);
    expect(await contactOf(contactIds[0])).toEqual({ attributes: { score: 9, rank: 1 }, tags: [] });
  });
});

test("two workers do each step once", async () => {
  const count = { attribute: "none", is: "missing" };
  const { campaignId } = await beginCampaign(
    database.db,
    customerId,
    { nodes: [{ id: "ask", type: "condition", if: count }, end], edges: [step("yes", "true", "ask")] },
    50,
  );
  const work = async () => {
    while ((await doDueSteps(database.db, { now: new Date(), limit: 3 })) > 0);
  };
  await Promise.all([work(), work(), work()]);
  const { rows } = await sql<{ runs: number; events: number }>`
    select count(distinct run_id)::int as runs, count(*)::int as events from event_log
    where campaign_id = ${campaignId} and type = 'run_completed'`.execute(database.db);
  expect(rows).toEqual([{ runs: 50, events: 50 }]);
});

test("the steps of a paused campaign wait until it goes on", async () => {
  const { campaignId } = await beginCampaign(database.db, customerId, {
    nodes: [{ id: "ask", type: "condition", if: { all: [] } }, end],
    edges: [step("yes", "true", "ask")],
  });
  await sql`update campaign set status = 'paused' where id = ${campaignId}`.execute(database.db);
  expect(await doDueSteps(database.db, { now: new Date(), limit: 10 })).toBe(0);
  await sql`update campaign set status = 'active' where id = ${campaignId}`.execute(database.db);
  expect(await doDueSteps(database.db, { now: new Date(), limit: 10 })).toBe(1);
});

async function beginOf(graph: { nodes: object[]; edges: object[] }, contactIds: readonly string[]) {
  const campaign = await createCampaign(database.db, customerId, graph);
  await enroll(database.db, campaign, { contactIds });
  await projectAll(database.db);
  return campaign;
}
