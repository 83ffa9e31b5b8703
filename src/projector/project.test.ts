import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
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
  type Run,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { doDueSteps } from "../campaigns/run-steps.ts";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { projectNext } from "./project.ts";
import { runProjector } from "./run-projector.ts";

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

const message = (id: string, more: object = {}) => ({
  id,
  type: "message",
  channel: "email",
  credentialId,
  subject: "Hi",
  html: '<a href="https://example.com/buy">buy</a>',
  ...more,
});

/** One contact in a running campaign whose entry `hello` has been sent. */
async function sentMessage(graph: { nodes: unknown[]; edges: unknown[]; countAutomaticHits?: boolean }) {
  const campaign = await createCampaign(database.db, customerId, graph);
  const [contactId] = await createContacts(database.db, customerId, 1);
  await enroll(database.db, campaign, { all: true });
  await projectAll(database.db);
  const [hello] = await listRuns(database.db, campaign.campaignId);
  if (hello === undefined || contactId === undefined) throw new Error("nothing was enrolled");
  await append(database.db, eventOf(hello, "message_sent", { data: { subject: "Hi" } }));
  await projectAll(database.db);
  return { campaign, hello, contactId };
}

async function runOf(campaignId: string, nodeId: string): Promise<Run | undefined> {
  return (await listRuns(database.db, campaignId)).find((run) => run.nodeId === nodeId);
}

async function counters(campaignId: string, type: string) {
  const { rows } = await sql<Record<string, number>>`
    select sum(total)::int as total, sum(unique_total)::int as "unique", sum(unique_human)::int as "uniqueHuman",
      sum(human + proxy)::int as human
    from counter where campaign_id = ${campaignId} and type = ${type}`.execute(database.db);
  return rows[0];
}

async function count(query: ReturnType<typeof sql<{ count: number }>>): Promise<number> {
  return (await query.execute(database.db)).rows[0]?.count ?? -1;
}

const person = { agent: "human", agentRule: "browser" } as const;
const scanner = { agent: "scanner", agentRule: "known" } as const;
const click = (url: string) => ({ ...person, data: { clickedUrl: url } });

describe("an enrollment", () => {
  test("begins with the entry node: its message is queued once, whatever is projected again", async () => {
    const campaign = await createCampaign(database.db, customerId, { nodes: [message("hello")], edges: [] });
    await createContacts(database.db, customerId, 3);
    await enroll(database.db, campaign, { all: true });
    await enroll(database.db, campaign, { all: true });
    await projectAll(database.db);
    await sql`update projector_cursor set position = 0`.execute(database.db);
    await projectAll(database.db);
    const runs = await listRuns(database.db, campaign.campaignId);
    expect(runs.map((run) => [run.nodeId, run.status])).toEqual(Array(3).fill(["hello", "running"]));
    expect(new Set(runs.map((run) => run.messageId)).size).toBe(3);
  });

  test("that begins at a wait becomes due after its duration and ends once", async () => {
    const campaign = await createCampaign(database.db, customerId, {
      nodes: [
        { id: "pause", type: "wait", duration: "PT1S" },
        { id: "end", type: "exit" },
      ],
      edges: [{ id: "e", from: "pause", to: "end", firesWhen: "always" }],
    });
    await createContacts(database.db, customerId, 1);
    await enroll(database.db, campaign, { all: true });
    await projectAll(database.db);
    const ended = () => doDueSteps(database.db, { now: new Date(), limit: 10 });
    expect(await ended()).toBe(0);
    await sql`update node_run set due_at = now() where due_at is not null`.execute(database.db);
    expect(await Promise.all([ended(), ended()])).toContain(1);
    expect(await ended()).toBe(0);
    await projectAll(database.db);
    expect((await runOf(campaign.campaignId, "end"))?.status).toBe("completed");
  });
});

describe("a person's opening", () => {
  test("is in the activity with message, user agent and address, in the output, and counted", async () => {
    const { campaign, hello, contactId } = await sentMessage({ nodes: [message("hello")], edges: [] });
    const at = new Date("2026-11-20T10:00:00.000Z");
    const hit = { ...person, at, userAgent: "Mozilla/5.0 Firefox", ip: "203.0.113.9" };
    await append(database.db, eventOf(hello, "email_opened", hit));
    await append(database.db, eventOf(hello, "email_opened", { ...hit, at: new Date() }));
    await projectAll(database.db);
    const { rows } = await sql<Record<string, unknown>>`
      select message_id, node_id, user_agent, host(ip) as ip, agent, agent_rule from activity
      where contact_id = ${contactId} and type = 'email_opened' order by at limit 1`.execute(database.db);
    expect(rows[0]).toEqual({
      message_id: hello.messageId,
      node_id: "hello",
      user_agent: "Mozilla/5.0 Firefox",
      ip: "203.0.113.9",
      agent: "human",
      agent_rule: "browser",
    });
    const output = (await runOf(campaign.campaignId, "hello"))?.output;
    expect(output).toMatchObject({ sent: true, opened: true });
    expect(new Date(String(output?.openedAt))).toEqual(at);
    expect(await counters(campaign.campaignId, "email_opened")).toEqual({
      total: 2,
      unique: 1,
      uniqueHuman: 1,
      human: 2,
    });
  });

  test("counts as the person's first although a scanner was there before, in one batch or in two", async () => {
    for (const together of [true, false]) {
      customerId = await createCustomer(database.db);
      credentialId = await createCredential(database.db, customerId, {});
      const { campaign, hello } = await sentMessage({ nodes: [message("hello")], edges: [] });
      await append(database.db, eventOf(hello, "email_opened", scanner));
      if (!together) await projectAll(database.db);
      await append(database.db, eventOf(hello, "email_opened", person));
      await projectAll(database.db);
      expect(await counters(campaign.campaignId, "email_opened")).toEqual({
        total: 2,
        unique: 1,
        uniqueHuman: 1,
        human: 1,
      });
    }
  });
});

describe("a scanner's hit", () => {
  const graph = () => ({
    nodes: [message("hello"), message("next")],
    edges: [{ id: "e", from: "hello", to: "next", firesWhen: "opened" }],
  });

  test("is recorded and counted, and sets no output and fires no edge", async () => {
    const { campaign, hello } = await sentMessage(graph());
    await append(database.db, eventOf(hello, "email_opened", scanner));
    await projectAll(database.db);
    expect((await runOf(campaign.campaignId, "hello"))?.output.opened).toBeUndefined();
    expect(await runOf(campaign.campaignId, "next")).toBeUndefined();
    expect((await counters(campaign.campaignId, "email_opened"))?.total).toBe(1);
  });

  test("fires the edge where the campaign counts automatic hits", async () => {
    const { campaign, hello } = await sentMessage({ ...graph(), countAutomaticHits: true });
    await append(database.db, eventOf(hello, "email_opened", scanner));
    await projectAll(database.db);
    expect(await runOf(campaign.campaignId, "next")).toBeDefined();
  });
});

test("a reply fires its edges, whatever program wrote it", async () => {
  const { campaign, hello } = await sentMessage({
    nodes: [message("hello"), message("next")],
    edges: [{ id: "e", from: "hello", to: "next", firesWhen: "replied" }],
  });
  await append(database.db, eventOf(hello, "message_received", scanner));
  await projectAll(database.db);
  expect(await runOf(campaign.campaignId, "next")).toBeDefined();
});

describe("an edge", () => {
  test("fires once, although its event arrives twice, in one batch and in the next", async () => {
    const { campaign, hello } = await sentMessage({
      nodes: [message("hello"), message("next")],
      edges: [{ id: "e", from: "hello", to: "next", firesWhen: "opened" }],
    });
    await append(database.db, eventOf(hello, "email_opened", person), eventOf(hello, "email_opened", person));
    await projectAll(database.db);
    await append(database.db, eventOf(hello, "email_opened", person));
    await projectAll(database.db);
    const runs = await listRuns(database.db, campaign.campaignId);
    expect(runs.filter((run) => run.nodeId === "next")).toHaveLength(1);
    expect(
      await count(sql`select sum(fired)::int as count from edge_counter
      where campaign_id = ${campaign.campaignId}`),
    ).toBe(1);
  });

  test("for one link fires on that link alone, and tells which was clicked", async () => {
    const other = "https://example.com/other";
    const { campaign, hello } = await sentMessage({
      nodes: [
        message("hello", {
          html: `<a href="https://example.com/buy">a</a><a href="${other}">b</a>`,
        }),
        message("bought"),
        message("looked"),
      ],
      edges: [
        { id: "buy", from: "hello", to: "bought", firesWhen: "clicked", url: "https://example.com/buy" },
        { id: "any", from: "hello", to: "looked", firesWhen: "clicked" },
      ],
    });
    await append(database.db, eventOf(hello, "email_clicked", click(other)));
    await projectAll(database.db);
    expect((await runOf(campaign.campaignId, "hello"))?.output).toMatchObject({
      clicked: true,
      clickedUrl: other,
    });
    expect(await runOf(campaign.campaignId, "looked")).toBeDefined();
    expect(await runOf(campaign.campaignId, "bought")).toBeUndefined();
  });

  test("to a node that another edge began already fires, but the node does not run again", async () => {
    const { campaign, hello } = await sentMessage({
      nodes: [message("hello"), message("next")],
      edges: [
        { id: "o", from: "hello", to: "next", firesWhen: "opened" },
        { id: "c", from: "hello", to: "next", firesWhen: "clicked" },
      ],
    });
    await append(
      database.db,
      eventOf(hello, "email_opened", person),
      eventOf(hello, "email_clicked", click("https://example.com/buy")),
    );
    await projectAll(database.db);
    const runs = await listRuns(database.db, campaign.campaignId);
    expect(runs.filter((run) => run.nodeId === "next")).toHaveLength(1);
    expect(
      await count(sql`select count(*)::int as count from edge_firing
      where enrollment_id = ${hello.enrollmentId}`),
    ).toBe(2);
  });

  test("fires once when two processes project at the same moment", async () => {
    const { campaign, hello } = await sentMessage({
      nodes: [message("hello"), message("next")],
      edges: [{ id: "e", from: "hello", to: "next", firesWhen: "opened" }],
    });
    await append(database.db, ...Array.from({ length: 20 }, () => eventOf(hello, "email_opened", person)));
    await Promise.all(Array.from({ length: 5 }, () => projectAll(database.db, 3)));
    await projectAll(database.db);
    expect((await counters(campaign.campaignId, "email_opened"))?.total).toBe(20);
    expect(
      (await listRuns(database.db, campaign.campaignId)).filter((run) => run.nodeId === "next"),
    ).toHaveLength(1);
  });
});

describe("an exit", () => {
  const graph = () => ({
    nodes: [
      message("hello"),
      message("next"),
      { id: "pause", type: "wait", duration: "P1D" },
      { id: "end", type: "exit" },
    ],
    edges: [
      { id: "s", from: "hello", to: "pause", firesWhen: "sent" },
      { id: "o", from: "hello", to: "next", firesWhen: "opened" },
      { id: "c", from: "hello", to: "end", firesWhen: "clicked" },
    ],
  });

  test("completes the enrollment, withdraws what was ahead, and nothing fires afterwards", async () => {
    const { campaign, hello, contactId } = await sentMessage(graph());
    await append(database.db, eventOf(hello, "email_clicked", click("https://example.com/buy")));
    await projectAll(database.db);
    await append(database.db, eventOf(hello, "email_opened", person));
    await projectAll(database.db);
    const runs = await listRuns(database.db, campaign.campaignId);
    expect(runs.map((run) => [run.nodeId, run.status])).toEqual([
      ["hello", "completed"],
      ["pause", "cancelled"],
      ["end", "completed"],
    ]);
    expect(
      await count(sql`select count(*)::int as count from activity
      where contact_id = ${contactId} and type = 'campaign_completed'`),
    ).toBe(1);
  });

  test("withdraws a message that is queued and not yet in a worker's hands", async () => {
    const { campaign, hello } = await sentMessage(graph());
    await append(database.db, eventOf(hello, "email_opened", person));
    await projectAll(database.db);
    await append(database.db, eventOf(hello, "email_clicked", click("https://example.com/buy")));
    await projectAll(database.db);
    const next = await runOf(campaign.campaignId, "next");
    expect(next?.status).toBe("cancelled");
    expect(
      await count(sql`select count(*)::int as count from message
      where id = ${next?.messageId} and status = 'cancelled'`),
    ).toBe(1);
  });

  test("gives the same end when what came after it is in the same batch", async () => {
    const { campaign, hello } = await sentMessage(graph());
    await append(
      database.db,
      eventOf(hello, "email_clicked", click("https://example.com/buy")),
      eventOf(hello, "email_opened", person),
    );
    await projectAll(database.db);
    expect(await runOf(campaign.campaignId, "next")).toBeUndefined();
  });
});

describe("a message's status", () => {
  test("moves forward only: sent after uncertain counts, uncertain after sent does not", async () => {
    const { hello } = await sentMessage({ nodes: [message("hello")], edges: [] });
    await append(database.db, eventOf(hello, "message_uncertain", { data: { reason: "late" } }));
    await projectAll(database.db);
    expect(
      await count(sql`select count(*)::int as count from message
      where id = ${hello.messageId} and status = 'sent'`),
    ).toBe(1);
  });
});

describe("the projector", () => {
  test("does not pass over an event that commits late behind one that is visible", async () => {
    const { campaign, hello } = await sentMessage({ nodes: [message("hello")], edges: [] });
    const late = Promise.withResolvers<void>();
    const appended = Promise.withResolvers<void>();
    const slow = database.db.transaction().execute(async (db) => {
      const { appendEvents } = await import("../events/queries.ts");
      await appendEvents(db, [eventOf(hello, "email_opened", person)]);
      appended.resolve();
      await late.promise;
    });
    await appended.promise;
    await append(database.db, eventOf(hello, "email_opened", person));
    const projected = projectAll(database.db);
    late.resolve();
    await slow;
    await projected;
    await projectAll(database.db);
    expect((await counters(campaign.campaignId, "email_opened"))?.total).toBe(2);
  });

  test("sets an event aside that can't be projected, with the reason, and goes on", async () => {
    const { campaign, hello } = await sentMessage({ nodes: [message("hello")], edges: [] });
    const broken = newEvent({
      id: newId(),
      type: "campaign_started",
      at: new Date(),
      customerId,
      data: { enrollmentId: "not an id" },
    });
    await append(
      database.db,
      eventOf(hello, "email_opened", person),
      broken,
      eventOf(hello, "email_opened", person),
    );
    const quiet = { error() {}, warn() {} };
    const done = Promise.withResolvers<void>();
    const projector = runProjector(
      database.db,
      async () => {
        const left = await count(sql`select count(*)::int as count from event_log
          where position > (select position from projector_cursor)`);
        if (left === 0) done.resolve();
      },
      quiet,
    );
    await done.promise;
    await projector.stop();
    expect((await counters(campaign.campaignId, "email_opened"))?.total).toBe(2);
    const { rows } = await sql<{ event_id: string; reason: string }>`
      select event_id, reason from projector_refusal`.execute(database.db);
    expect(rows).toEqual([{ event_id: broken.id, reason: expect.stringContaining("uuid") }]);
  });

  test("answers 0 when there is nothing to do", async () => {
    await projectAll(database.db);
    expect(await database.db.connection().execute((connection) => projectNext(connection, 10))).toBe(0);
  });
});
