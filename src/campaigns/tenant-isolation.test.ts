import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import type { TestCustomer } from "../../test/support/app.ts";
import {
  type CampaignApi,
  createCampaignApi,
  helloCampaign,
  smtpCredential,
} from "../../test/support/campaign-api.ts";
import { append, eventOf, listRuns, projectAll } from "../../test/support/campaigns.ts";
import { startSmtpSink } from "../../test/support/smtp.ts";

/** What belongs to the first customer. */
type Owned = { contact: string; credential: string; campaign: string; enrollment: string; message: string };

let api: CampaignApi;
let owned: Owned;
let thief: TestCustomer;

beforeAll(async () => {
  api = await createCampaignApi();
  thief = await api.createCustomer("thief");
  const contact = (await api.ok("POST", "/contacts", { email: "ann@example.com" })).id;
  const credential = (await api.ok("POST", "/credentials", smtpCredential())).id;
  const campaign = (await api.ok("POST", "/campaigns", helloCampaign(credential))).id;
  await api.ok("POST", `/campaigns/${campaign}/activate`);
  await api.ok("POST", `/campaigns/${campaign}/enroll`, { all: true });
  await projectAll(api.database.db);
  const [run] = await listRuns(api.database.db, campaign);
  if (run === undefined) throw new Error("nothing began");
  await append(api.database.db, eventOf(run, "message_failed", { data: { reason: "550" } }));
  await projectAll(api.database.db);
  owned = { contact, credential, campaign, enrollment: run.enrollmentId, message: String(run.messageId) };
});
afterAll(() => api.close());

const tries: [method: string, path: string, of: keyof Owned, body: object | null][] = [
  ["GET", "/contacts/{id}/activity", "contact", null],
  ["GET", "/credentials/{id}", "credential", null],
  ["PATCH", "/credentials/{id}", "credential", { name: "stolen", password: null }],
  ["DELETE", "/credentials/{id}", "credential", null],
  ["POST", "/credentials/{id}/verify", "credential", null],
  ["GET", "/campaigns/{id}", "campaign", null],
  ["PATCH", "/campaigns/{id}", "campaign", { name: "stolen" }],
  ["DELETE", "/campaigns/{id}", "campaign", null],
  ["POST", "/campaigns/{id}/activate", "campaign", null],
  ["POST", "/campaigns/{id}/pause", "campaign", null],
  ["POST", "/campaigns/{id}/resume", "campaign", null],
  ["POST", "/campaigns/{id}/enroll", "campaign", { all: true }],
  ["POST", "/campaigns/{id}/test-send", "campaign", { nodeId: "hello", to: "thief@example.com" }],
  ["GET", "/campaigns/{id}/analytics", "campaign", null],
  ["GET", "/campaigns/{id}/enrollments", "campaign", null],
  ["GET", "/enrollments/{id}", "enrollment", null],
  ["GET", "/messages/{id}", "message", null],
  ["POST", "/messages/{id}/retry", "message", null],
];

/** Everything of the first customer that a request could have changed. */
async function contents(): Promise<string> {
  const of = sql`customer_id = ${api.customer.id}`;
  const { rows } = await sql`
    select (select json_agg(c) from credential c where ${of}) as credentials,
      (select json_agg(c) from campaign c where ${of}) as campaigns,
      (select json_agg(e) from enrollment e where ${of}) as enrollments,
      (select json_agg(r) from node_run r where ${of}) as runs,
      (select json_agg(m) from message m where ${of}) as messages,
      (select count(*) from event_log where ${of}) as events`.execute(api.database.db);
  return JSON.stringify(rows);
}

test("the table above has every route on one thing, but those that http/tenant-isolation.test.ts has", async () => {
  const document = await (await api.app.request("/openapi.json")).json();
  const paths: Record<string, object> = document.paths;
  const documented = Object.entries(paths).flatMap(([path, item]) =>
    path.includes("{") ? Object.keys(item).map((method) => `${method.toUpperCase()} ${path.slice(7)}`) : [],
  );
  const elsewhere = /(contacts|suppressions)\/\{id\}$/;
  const tried = tries.map(([method, path]) => `${method} ${path}`);
  expect(tried.sort()).toEqual(documented.filter((route) => !elsewhere.test(route)).sort());
});

test.each(tries)(
  "%s %s answers another customer that there is no such thing",
  async (method, path, of, body) => {
    const before = await contents();
    const address = `/api/v1${path.replace("{id}", owned[of])}`;
    expect((await api.call(method, address, { body: body ?? undefined, customer: thief })).status).toBe(404);
    expect(await contents()).toBe(before);
  },
);

test.each(["/credentials", "/campaigns", "/messages"])(
  "%s lists nothing of another customer",
  async (path) => {
    expect((await api.ok("GET", path, undefined, thief)).items).toEqual([]);
  },
);

test("another customer's campaign or contact finds no messages", async () => {
  for (const query of [`campaignId=${owned.campaign}`, `contactId=${owned.contact}`]) {
    expect((await api.ok("GET", `/messages?${query}`)).items).toHaveLength(1);
    expect((await api.ok("GET", `/messages?${query}`, undefined, thief)).items).toEqual([]);
  }
});

test("another customer's credential can't be put into a campaign", async () => {
  const body = helloCampaign(owned.credential);
  const answer = await api.call("POST", "/api/v1/campaigns", { body, customer: thief });
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "nodes.0.credentialId"]);
});

test("another customer's contact is neither enrolled nor the data of a test message", async () => {
  const sink = await startSmtpSink();
  const credential = await api.ok("POST", "/credentials", smtpCredential({ port: sink.port }), thief);
  const campaign = await api.ok("POST", "/campaigns", helloCampaign(credential.id), thief);
  await api.ok("POST", `/campaigns/${campaign.id}/activate`, undefined, thief);
  const enrolled = await api.ok(
    "POST",
    `/campaigns/${campaign.id}/enroll`,
    { contactIds: [owned.contact] },
    thief,
  );
  expect(enrolled).toMatchObject({ selected: 0, enrolled: 0, unknownContactIds: 1 });
  const answer = await api.call("POST", `/api/v1/campaigns/${campaign.id}/test-send`, {
    body: { nodeId: "hello", to: "thief@example.com", contactId: owned.contact },
    customer: thief,
  });
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "contactId"]);
  expect(sink.received).toEqual([]);
  await sink.close();
});
