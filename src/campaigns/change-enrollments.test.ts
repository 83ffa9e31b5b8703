import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import type { TestCustomer } from "../../test/support/app.ts";
import {
  type CampaignApi,
  createCampaignApi,
  helloNode,
  smtpCredential,
} from "../../test/support/campaign-api.ts";
import {
  append,
  doSteps,
  eventOf,
  listFirings,
  listRuns,
  passTime,
  projectAll,
} from "../../test/support/campaigns.ts";
import { enrollmentWithRuns } from "./enrollment-schema.ts";

let api: CampaignApi;
let customer: TestCustomer;
let credentialId: string;
let contactIds: string[];

beforeAll(async () => {
  api = await createCampaignApi();
});
afterAll(() => api.close());

let number = 0;
beforeEach(async () => {
  number += 1;
  customer = await api.createCustomer(`customer ${number}`);
  credentialId = (await ok("POST", "/credentials", smtpCredential())).id;
  const emails = ["ann@example.com", "bob@example.com", "cid@example.com"];
  const contacts = await Promise.all(emails.map((email) => ok("POST", "/contacts", { email })));
  contactIds = contacts.map(({ id }) => id);
});

const ok = (method: string, path: string, body?: unknown) => api.ok(method, path, body, customer);
const db = () => api.database.db;

/** A campaign that everybody has just begun. */
async function begin(graph: { nodes: object[]; edges: object[] }): Promise<string> {
  const { id } = await ok("POST", "/campaigns", { name: "Welcome", ...graph });
  await ok("POST", `/campaigns/${id}/activate`);
  await ok("POST", `/campaigns/${id}/enroll`, { contactIds });
  await projectAll(db());
  return id;
}

async function change(id: string, graph: { nodes: object[]; edges: object[] }): Promise<void> {
  await ok("PATCH", `/campaigns/${id}`, graph);
  await ok("POST", `/campaigns/${id}/activate`);
}

async function enrollmentOf(campaignId: string, contactId: string | undefined) {
  const { items } = await ok("GET", `/campaigns/${campaignId}/enrollments`);
  const found = items.find((item) => item.contactId === contactId);
  return enrollmentWithRuns.parse(await ok("GET", `/enrollments/${found?.id}`));
}

const pause = { id: "pause", type: "wait", duration: "P1D" };
const end = { id: "end", type: "exit" };
const edge = (id: string, from: string, to: string, firesWhen: string, more: object = {}) => ({
  id,
  from,
  to,
  firesWhen,
  ...more,
});

describe("taking a contact out", () => {
  const graph = () => ({
    nodes: [helloNode(credentialId), pause],
    edges: [edge("e1", "hello", "pause", "notOpened", { within: "P1D" })],
  });

  test("completes the enrollment and withdraws the queued message, for that contact alone", async () => {
    const campaignId = await begin(graph());
    const { id } = await enrollmentOf(campaignId, contactIds[0]);
    const left = await ok("POST", `/enrollments/${id}/cancel`);
    expect(left).toMatchObject({ id, status: "completed", completedReason: "left" });
    expect<unknown>(await ok("POST", `/enrollments/${id}/cancel`)).toEqual(left);
    await projectAll(db());
    const { rows } = await sql`
      select r.contact_id as "contactId", r.status as run, m.status as message
      from node_run r join message m on m.customer_id = r.customer_id and m.run_id = r.id
      where r.campaign_id = ${campaignId} order by r.contact_id`.execute(db());
    expect(rows).toEqual(
      contactIds.map((contactId, at) =>
        at === 0
          ? { contactId, run: "cancelled", message: "cancelled" }
          : { contactId, run: "running", message: "queued" },
      ),
    );
    const numbers = await ok("GET", `/campaigns/${campaignId}/analytics`);
    expect(numbers.enrollments).toMatchObject({ total: 3, active: 2, completed: 1 });
  });

  test("ends waits and timers", async () => {
    const campaignId = await begin(graph());
    const runs = await listRuns(db(), campaignId);
    await append(db(), ...runs.map((run) => eventOf(run, "message_sent")));
    await projectAll(db());
    expect((await enrollmentOf(campaignId, contactIds[1])).timers).toHaveLength(1);
    expect<unknown>(
      await ok("POST", `/campaigns/${campaignId}/enrollments/cancel`, { contactIds: contactIds.slice(1) }),
    ).toEqual({
      cancelled: 2,
    });
    await passTime(db(), campaignId);
    await doSteps(db());
    const fired = await listFirings(db(), campaignId);
    expect([...fired.keys()]).toEqual(contactIds.slice(0, 1));
    expect(await enrollmentOf(campaignId, contactIds[1])).toMatchObject({
      completedReason: "left",
      timers: [],
      edgesFired: [],
    });
  });

  test("who has not been looked at yet begins nothing", async () => {
    const { id } = await ok("POST", "/campaigns", { name: "Welcome", ...graph() });
    await ok("POST", `/campaigns/${id}/activate`);
    await ok("POST", `/campaigns/${id}/enroll`, { contactIds });
    expect<unknown>(await ok("POST", `/campaigns/${id}/enrollments/cancel`, { all: true })).toEqual({
      cancelled: 3,
    });
    await projectAll(db());
    expect(await listRuns(db(), id)).toEqual([]);
    const numbers = await ok("GET", `/campaigns/${id}/analytics`);
    expect(numbers.enrollments).toMatchObject({ total: 3, active: 0, completed: 3 });
  });

  test.each([
    ["nothing", {}, "body"],
    ["both", { contactIds: ["01989c2a-7d3c-7cc3-98c4-dc0c0c07398f"], all: true }, "body"],
    ["no ids", { contactIds: [] }, "contactIds"],
    ["not all", { all: false }, "all"],
  ])("%s is refused, and the field named", async (_, body, field) => {
    const campaignId = await begin(graph());
    const path = `/api/v1/campaigns/${campaignId}/enrollments/cancel`;
    const answer = await api.call("POST", path, { body, customer });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
  });
});

describe("moving to the present version", () => {
  const first = () => ({
    nodes: [helloNode(credentialId), pause, end],
    edges: [
      edge("wait", "hello", "pause", "clicked"),
      edge("gone", "hello", "end", "notOpened", { within: "P3D" }),
      edge("kept", "hello", "end", "notClicked", { within: "P4D" }),
    ],
  });
  const second = () => ({
    nodes: [helloNode(credentialId), end],
    edges: [
      edge("bought", "hello", "end", "clicked"),
      edge("kept", "hello", "end", "notClicked", { within: "P4D" }),
      edge("new", "hello", "end", "notReplied", { within: "P5D" }),
    ],
  });

  async function sent(): Promise<string> {
    const campaignId = await begin(first());
    const runs = await listRuns(db(), campaignId);
    await append(db(), ...runs.map((run) => eventOf(run, "message_sent")));
    await projectAll(db());
    return campaignId;
  }

  async function click(campaignId: string, contactId: string | undefined): Promise<void> {
    const runs = await listRuns(db(), campaignId);
    const hello = runs.find((run) => run.contactId === contactId && run.nodeId === "hello");
    if (hello === undefined) throw new Error("nothing began");
    const data = { clickedUrl: "https://example.com/buy" };
    await append(db(), eventOf(hello, "email_clicked", { agent: "human", agentRule: "browser", data }));
    await projectAll(db());
  }

  test("without it, who is under way finishes the version he entered", async () => {
    const campaignId = await sent();
    await change(campaignId, second());
    await click(campaignId, contactIds[0]);
    const { version, edgesFired } = await enrollmentOf(campaignId, contactIds[0]);
    expect([version, edgesFired]).toEqual([1, [expect.objectContaining({ edgeId: "wait" })]]);
  });

  test("late events fire the present version's edges, and timers are those of its edges", async () => {
    const campaignId = await sent();
    const before = await enrollmentOf(campaignId, contactIds[0]);
    await change(campaignId, second());
    expect<unknown>(await ok("POST", `/campaigns/${campaignId}/enrollments/move`, {})).toEqual({
      moved: 3,
      stayed: 0,
    });
    const after = await enrollmentOf(campaignId, contactIds[0]);
    const sentAt = Date.parse(String(after.runs[0]?.output.sentAt));
    const days = after.timers.map(({ dueAt }) => (Date.parse(dueAt) - sentAt) / 86_400_000);
    expect(before.timers.map(({ edgeId }) => edgeId)).toEqual(["gone", "kept"]);
    expect(after.timers.map(({ edgeId }) => edgeId)).toEqual(["kept", "new"]);
    expect(days).toEqual([4, 5]);
    await click(campaignId, contactIds[0]);
    expect(await enrollmentOf(campaignId, contactIds[0])).toMatchObject({
      version: 2,
      completedReason: "exit",
      edgesFired: [{ edgeId: "bought" }],
    });
  });

  test("who stands at a node that is gone stays in his version", async () => {
    const campaignId = await sent();
    await click(campaignId, contactIds[0]);
    await change(campaignId, second());
    expect<unknown>(await ok("POST", `/campaigns/${campaignId}/enrollments/move`, {})).toEqual({
      moved: 2,
      stayed: 1,
    });
    await passTime(db(), campaignId);
    await doSteps(db());
    const versions = await Promise.all(contactIds.map((id) => enrollmentOf(campaignId, id)));
    expect(versions.map(({ version }) => version)).toEqual([1, 2, 2]);
    expect(versions[0]?.edgesFired.map(({ edgeId }) => edgeId)).toEqual(["wait", "gone"]);
  });

  test("queued messages are sent as the present version has them", async () => {
    const campaignId = await begin(first());
    await change(campaignId, second());
    await ok("POST", `/campaigns/${campaignId}/enrollments/move`, { fromVersion: 1 });
    const { rows } =
      await sql`select distinct version from message where campaign_id = ${campaignId}`.execute(db());
    expect(rows).toEqual([{ version: 2 }]);
  });

  test("of another version is left alone when one is asked for", async () => {
    const campaignId = await begin(first());
    await change(campaignId, second());
    const move = { fromVersion: 7 };
    expect<unknown>(await ok("POST", `/campaigns/${campaignId}/enrollments/move`, move)).toEqual({
      moved: 0,
      stayed: 0,
    });
  });

  test("may be asked for while the projector is at work", async () => {
    const campaignId = await sent();
    await change(campaignId, second());
    const runs = await listRuns(db(), campaignId);
    const data = { clickedUrl: "https://example.com/buy" };
    const clicks = runs.map((run) =>
      eventOf(run, "email_clicked", { agent: "human", agentRule: "browser", data }),
    );
    await append(db(), ...clicks);
    await Promise.all([
      projectAll(db(), 1),
      ok("POST", `/campaigns/${campaignId}/enrollments/move`, {}),
      projectAll(db(), 1),
    ]);
    await projectAll(db());
    const fired = [...(await listFirings(db(), campaignId)).values()];
    expect(fired.map((edges) => edges.length)).toEqual([1, 1, 1]);
  });
});
