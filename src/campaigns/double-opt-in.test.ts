import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import { type CampaignApi, createCampaignApi, smtpCredential } from "../../test/support/campaign-api.ts";
import { append, eventOf, listRuns, projectAll, type Run } from "../../test/support/campaigns.ts";
import type { Agent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { doDueSteps } from "./run-steps.ts";

const CONFIRM_URL = "https://example.com/welcome?from=mail&lang=en";
const PATH = "/campaigns/templates/double-opt-in";

let api: CampaignApi;
let credentialId: string;
let campaignId: string;

beforeAll(async () => {
  api = await createCampaignApi();
  credentialId = (await api.ok("POST", "/credentials", smtpCredential())).id;
});
afterAll(() => api.close());

beforeEach(async () => {
  campaignId = (await api.ok("POST", PATH, { credentialId, confirmUrl: CONFIRM_URL })).id;
  await api.ok("POST", `/campaigns/${campaignId}/activate`);
});

/** Projects, and does the steps that follow from it, until nothing does. */
async function settle(): Promise<void> {
  const { db } = api.database;
  do await projectAll(db);
  while ((await doDueSteps(db, { now: new Date(), limit: 100 })) > 0);
}

async function enroll(contactId: string): Promise<unknown> {
  const answer = await api.ok("POST", `/campaigns/${campaignId}/enroll`, { contactIds: [contactId] });
  await settle();
  return answer.enrolled;
}

/** Somebody new who has been sent the email. */
async function signUp(tags: string[] = []): Promise<{ contactId: string; ask: Run }> {
  const contact = await api.ok("POST", "/contacts", { email: `${newId()}@example.com`, tags });
  await enroll(contact.id);
  const ask = await askOf(contact.id);
  if (ask === undefined) throw new Error("nobody was asked");
  await append(api.database.db, eventOf(ask, "message_sent"));
  await settle();
  return { contactId: contact.id, ask };
}

async function askOf(contactId: string): Promise<Run | undefined> {
  const runs = await listRuns(api.database.db, campaignId);
  return runs.findLast((run) => run.contactId === contactId && run.nodeId === "ask");
}

async function click(ask: Run, agent: Agent): Promise<void> {
  const event = eventOf(ask, "email_clicked", {
    agent,
    agentRule: "test",
    data: { clickedUrl: CONFIRM_URL },
  });
  await append(api.database.db, event);
  await settle();
}

async function letTimePass(): Promise<void> {
  await sql`update edge_timer set due_at = now() where campaign_id = ${campaignId}`.execute(api.database.db);
  await settle();
}

async function statusOf(contactId: string): Promise<unknown> {
  const { items } = await api.ok("GET", `/campaigns/${campaignId}/enrollments`);
  return items.find((item) => item.contactId === contactId)?.status;
}

const contact = (id: string) => api.ok("GET", `/contacts/${id}`);

describe("double opt-in", () => {
  test("asks, and marks who presses the link: a segment finds him", async () => {
    const { contactId, ask } = await signUp();
    expect(await contact(contactId)).toMatchObject({ tags: [], attributes: {} });
    await click(ask, "human");
    const confirmedAt = expect.stringMatching(/^\d{4}-\d\d-\d\dT/);
    expect(await contact(contactId)).toMatchObject({ tags: ["confirmed"], attributes: { confirmedAt } });
    expect(await statusOf(contactId)).toBe("completed");
    const recently = { attribute: "confirmedAt", is: "after", value: "-PT1H" };
    const filter = { all: [{ tag: "confirmed" }, recently] };
    const segment = await api.ok("POST", "/segments", { name: "Confirmed", filter });
    const { items } = await api.ok("GET", `/segments/${segment.id}/contacts`);
    expect(items.map((item) => item.id)).toEqual([contactId]);
  });

  test.each<Agent>(["scanner", "prefetch"])("is not confirmed by a %s", async (agent) => {
    const { contactId, ask } = await signUp();
    await click(ask, agent);
    expect(await contact(contactId)).toMatchObject({ tags: [], attributes: {} });
    expect(await statusOf(contactId)).toBe("active");
  });

  test("ends without the tag when the time is over, and a click after that changes nothing", async () => {
    const { contactId, ask } = await signUp();
    await letTimePass();
    expect(await statusOf(contactId)).toBe("completed");
    await click(ask, "human");
    expect(await contact(contactId)).toMatchObject({ tags: [], attributes: {} });
  });

  test("asks again whoever signs up again after that, and nobody who has confirmed", async () => {
    const { contactId, ask } = await signUp();
    expect(await enroll(contactId)).toBe(0);
    await letTimePass();
    expect(await enroll(contactId)).toBe(1);
    const again = await askOf(contactId);
    expect(again?.id).not.toBe(ask.id);
    if (again === undefined) throw new Error("nobody was asked again");
    await append(api.database.db, eventOf(again, "message_sent"));
    await click(again, "human");
    expect(await enroll(contactId)).toBe(1);
    expect((await askOf(contactId))?.id).toBe(again.id);
    expect(await statusOf(contactId)).toBe("completed");
  });

  test("takes a tag, a time, a name and a subject of one's own", async () => {
    const body = {
      credentialId,
      confirmUrl: CONFIRM_URL,
      name: "News?",
      tag: "news",
      within: "P1D",
      subject: "Really?",
    };
    const made = await api.ok("POST", PATH, body);
    expect(made).toMatchObject({ name: "News?", status: "draft", version: 0, countAutomaticHits: false });
    expect(JSON.stringify(made.nodes)).toContain('"subject":"Really?"');
    expect(JSON.stringify(made.nodes)).toContain('"addTags":["news"]');
    expect(JSON.stringify(made.edges)).toContain('"within":"P1D"');
    expect(await api.ok("GET", `/campaigns/${made.id}`)).toEqual(made);
  });

  test.each([
    ["confirmUrl", { confirmUrl: "javascript:alert(1)" }],
    ["confirmUrl", { confirmUrl: "https://example.com/{{ contact.id }}" }],
    ["confirmUrl", { confirmUrl: 'https://example.com/"><script>' }],
    ["credentialId", { credentialId: newId() }],
    ["within", { within: "PT0S" }],
    ["subject", { subject: "{{ contact" }],
    ["tag", { tag: "" }],
  ])("with a wrong %s is refused, and the field named", async (field, wrong) => {
    const body = { credentialId, confirmUrl: CONFIRM_URL, ...wrong };
    const answer = await api.call("POST", `/api/v1${PATH}`, { body });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
  });
});
