import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import type { TestCustomer } from "../../test/support/app.ts";
import {
  type CampaignApi,
  createCampaignApi,
  helloCampaign,
  helloNode,
  smtpCredential,
} from "../../test/support/campaign-api.ts";
import { append, createContacts, eventOf, listRuns, projectAll } from "../../test/support/campaigns.ts";
import { newId } from "../events/id.ts";

let api: CampaignApi;
let customer: TestCustomer;
let campaignId: string;
let contactIds: string[];

beforeAll(async () => {
  api = await createCampaignApi();
});
afterAll(() => api.close());

beforeEach(async () => {
  customer = await api.createCustomer(newId());
  const credential = await api.ok("POST", "/credentials", smtpCredential(), customer);
  campaignId = (await api.ok("POST", "/campaigns", helloCampaign(credential.id), customer)).id;
  contactIds = await createContacts(api.database.db, customer.id, 5);
});

const activate = () => api.ok("POST", `/campaigns/${campaignId}/activate`, undefined, customer);
const enroll = (body: object) => api.ok("POST", `/campaigns/${campaignId}/enroll`, body, customer);

async function enrollments(query = "") {
  return await api.ok("GET", `/campaigns/${campaignId}/enrollments${query}`, undefined, customer);
}

async function startedEvents(): Promise<number | undefined> {
  const { rows } = await sql<{ count: number }>`
    select count(*) from event_log where customer_id = ${customer.id} and type = 'campaign_started'`.execute(
    api.database.db,
  );
  return rows[0]?.count;
}

describe("enrolling", () => {
  test("by ids counts the new, the old and the unknown, each id once", async () => {
    await activate();
    const [first = "", second = ""] = contactIds;
    expect(await enroll({ contactIds: [first, first] })).toMatchObject({
      selected: 1,
      enrolled: 1,
      alreadyEnrolled: 0,
      unknownContactIds: 0,
    });
    expect(await enroll({ contactIds: [first, second, newId()] })).toMatchObject({
      selected: 2,
      enrolled: 1,
      alreadyEnrolled: 1,
      unknownContactIds: 1,
    });
    expect(await startedEvents()).toBe(2);
  });

  test("by tag takes those who have it, and all takes everybody", async () => {
    await activate();
    await api.ok("PATCH", `/contacts/${contactIds[0]}`, { tags: ["vip"] }, customer);
    expect(await enroll({ tag: "vip" })).toMatchObject({ selected: 1, enrolled: 1 });
    expect(await enroll({ tag: "nobody" })).toMatchObject({ selected: 0, enrolled: 0, unknownContactIds: 0 });
    expect(await enroll({ all: true })).toMatchObject({ selected: 5, enrolled: 4, alreadyEnrolled: 1 });
    expect(await enroll({ all: true })).toMatchObject({ enrolled: 0, alreadyEnrolled: 5 });
    expect(await startedEvents()).toBe(5);
  });

  test("the same people by two requests at the same moment enrolls each once", async () => {
    await activate();
    const answers = await Promise.all([
      enroll({ contactIds }),
      enroll({ contactIds: contactIds.toReversed() }),
      enroll({ all: true }),
    ]);
    expect(answers.map((answer) => Number(answer.enrolled)).reduce((sum, n) => sum + n)).toBe(5);
    expect(await startedEvents()).toBe(5);
  });

  test("takes 10,000 ids", async () => {
    await activate();
    const ids = [...contactIds, ...Array.from({ length: 9_995 }, () => newId())];
    expect(await enroll({ contactIds: ids })).toMatchObject({ selected: 5, unknownContactIds: 9_995 });
  });

  test("in a draft or a paused campaign is a conflict, and enrolls nobody", async () => {
    const call = () =>
      api.call("POST", `/api/v1/campaigns/${campaignId}/enroll`, { body: { all: true }, customer });
    const draft = await call();
    expect([draft.status, draft.body.detail]).toEqual([
      409,
      "The campaign is a draft: nobody can be enrolled before it is activated.",
    ]);
    await activate();
    await api.ok("POST", `/campaigns/${campaignId}/pause`, undefined, customer);
    const paused = await call();
    expect([paused.status, paused.body.detail]).toEqual([
      409,
      "The campaign is paused: nobody can be enrolled before it is resumed.",
    ]);
    expect(await startedEvents()).toBe(0);
  });

  test.each([
    ["nothing", {}, "body"],
    ["two audiences", { tag: "vip", all: true }, "body"],
    ["not all", { all: false }, "all"],
    ["no ids", { contactIds: [] }, "contactIds"],
    ["10,001 ids", { contactIds: Array.from({ length: 10_001 }, () => newId()) }, "contactIds"],
    ["an id that is none", { contactIds: ["1"] }, "contactIds.0"],
    ["something else", { segment: "vip" }, "segment"],
  ])("%s is refused, and the field named", async (_, body, field) => {
    const answer = await api.call("POST", `/api/v1/campaigns/${campaignId}/enroll`, { body, customer });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
  });
});

describe("enrollments", () => {
  test("are listed newest first, page by page, and by status", async () => {
    await activate();
    await enroll({ all: true });
    await sql`
      update enrollment set status = 'completed', completed_at = now()
      where customer_id = ${customer.id} and contact_id = any (${contactIds.slice(0, 2)}::uuid[])`.execute(
      api.database.db,
    );
    const found: string[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? "?limit=2" : `?limit=2&cursor=${cursor}`;
      const page = await enrollments(query);
      found.push(...page.items.map((item) => item.id));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(found).toEqual([...new Set(found)].sort().reverse());
    expect(found).toHaveLength(5);
    const completed = await enrollments("?status=completed");
    expect(completed.items.map((item) => item.contactId).sort()).toEqual(contactIds.slice(0, 2).sort());
    expect((await enrollments("?status=active&limit=2")).items).toHaveLength(2);
  });

  test("of a campaign that does not exist are not found", async () => {
    expect((await api.call("GET", `/api/v1/campaigns/${newId()}/enrollments`)).status).toBe(404);
  });

  test("show their runs with outputs and messages, and the edges that fired", async () => {
    await activate();
    await enroll({ contactIds: contactIds.slice(0, 1) });
    await projectAll(api.database.db);
    const [hello] = await listRuns(api.database.db, campaignId);
    if (hello === undefined) throw new Error("nothing began");
    const click = eventOf(hello, "email_clicked", {
      agent: "human",
      agentRule: "browser",
      data: { clickedUrl: "https://example.com/buy" },
    });
    await append(api.database.db, eventOf(hello, "message_sent", { data: { subject: "Hi" } }), click);
    await projectAll(api.database.db);
    const shown = await api.ok("GET", `/enrollments/${hello.enrollmentId}`, undefined, customer);
    expect(shown).toMatchObject({
      campaignId,
      version: 1,
      contactId: contactIds[0],
      status: "completed",
      completedAt: expect.any(String),
      runs: [
        {
          id: hello.id,
          nodeId: "hello",
          type: "message",
          status: "completed",
          output: { sent: true, clicked: true, clickedUrl: "https://example.com/buy" },
          messageId: hello.messageId,
          dueAt: null,
        },
        { nodeId: "end", type: "exit", status: "completed", messageId: null },
      ],
      edgesFired: [{ edgeId: "e1", eventId: click.id, firedAt: click.at.toISOString() }],
    });
  });

  test("show when a wait is due", async () => {
    const body = {
      name: "Waits",
      nodes: [
        { id: "pause", type: "wait", duration: "P2D" },
        { id: "end", type: "exit" },
      ],
      edges: [{ id: "e1", from: "pause", to: "end", firesWhen: "always" }],
    };
    campaignId = (await api.ok("POST", "/campaigns", body, customer)).id;
    await activate();
    await enroll({ contactIds: contactIds.slice(0, 1) });
    await projectAll(api.database.db);
    const [listed] = (await enrollments()).items;
    const shown = await api.ok("GET", `/enrollments/${listed?.id}`, undefined, customer);
    expect(shown.runs).toMatchObject([{ nodeId: "pause", status: "waiting", dueAt: expect.any(String) }]);
    expect(shown.edgesFired).toEqual([]);
  });
});

test("a message without an exit stays an active enrollment", async () => {
  const credential = await api.ok("POST", "/credentials", smtpCredential(), customer);
  const body = helloCampaign(credential.id, { nodes: [helloNode(credential.id)], edges: [] });
  campaignId = (await api.ok("POST", "/campaigns", body, customer)).id;
  await activate();
  await enroll({ contactIds: contactIds.slice(0, 1) });
  await projectAll(api.database.db);
  const [hello] = await listRuns(api.database.db, campaignId);
  if (hello === undefined) throw new Error("nothing began");
  await append(api.database.db, eventOf(hello, "message_sent"));
  await projectAll(api.database.db);
  expect((await enrollments("?status=active")).items).toHaveLength(1);
});
