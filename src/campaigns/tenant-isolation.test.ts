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
import { uploadFile } from "../../test/support/upload.ts";
import { routesOnOneThing } from "../../test/support/whole-app.ts";
import { newId } from "../events/id.ts";

/** What belongs to the first customer. */
type Owned = {
  job: string;
  contactImport: string;
  suppressionImport: string;
  segment: string;
  template: string;
  topic: string;
  contact: string;
  credential: string;
  campaign: string;
  enrollment: string;
  message: string;
};

const TOPIC = "arn:aws:sns:us-east-1:123456789012:mine";

let api: CampaignApi;
let owned: Owned;
let thief: TestCustomer;

beforeAll(async () => {
  api = await createCampaignApi();
  thief = await api.createCustomer("thief");
  const contact = (await api.ok("POST", "/contacts", { email: "ann@example.com" })).id;
  const credential = (await api.ok("POST", "/credentials", smtpCredential({ ses: { topicArns: [TOPIC] } })))
    .id;
  const upload = (kind: string) => uploadFile(api, `/api/v1/${kind}/imports`, "email\nann@example.com\n");
  const [contactImport, suppressionImport] = [await upload("contacts"), await upload("suppressions")];
  const campaign = (await api.ok("POST", "/campaigns", helloCampaign(credential))).id;
  await api.ok("POST", `/campaigns/${campaign}/activate`);
  await api.ok("POST", `/campaigns/${campaign}/enroll`, { all: true });
  const segment = (await api.ok("POST", "/segments", { name: "Mine", filter: { all: [] } })).id;
  const template = (
    await api.ok("POST", "/templates", { name: "mine", kind: "partial", source: "<p>mine</p>" })
  ).id;
  const topic = (await api.ok("POST", "/topics", { name: "Mine" })).id;
  const job = newId();
  await sql`
    insert into enroll_job (customer_id, id, campaign_id, audience, filter, after_id, until_id, selected, enrolled,
      busy_ms, created_at)
    values (${api.customer.id}, ${job}, ${campaign}, '{"all": true}', '{"all": []}', ${contact}, ${contact}, 1, 1, 1,
      now())`.execute(api.database.db);
  await sql`
    insert into inbound_event (customer_id, id, source, status, topic_arn, envelope_id, sent_at, raw)
    values (${api.customer.id}, ${newId()}, 'ses', 'odd', ${TOPIC}, 'envelope', now(), 'mine')`.execute(
    api.database.db,
  );
  await projectAll(api.database.db);
  const [run] = await listRuns(api.database.db, campaign);
  if (run === undefined) throw new Error("nothing began");
  await append(api.database.db, eventOf(run, "message_failed", { data: { reason: "550" } }));
  await projectAll(api.database.db);
  owned = {
    job,
    contactImport: contactImport.body.id,
    suppressionImport: suppressionImport.body.id,
    segment,
    template,
    topic,
    contact,
    credential,
    campaign,
    enrollment: run.enrollmentId,
    message: String(run.messageId),
  };
});
afterAll(() => api.close());

type Try = [method: string, path: string, of: keyof Owned, body: object | null];

const tries: Try[] = [
  ["GET", "/contacts/{id}/activity", "contact", null],
  ["GET", "/contacts/{id}/topics", "contact", null],
  ["PUT", "/contacts/{id}/topics", "contact", { left: [] }],
  ["GET", "/contacts/{id}/telegram-link", "contact", null],
  ["GET", "/templates/{id}", "template", null],
  ["PATCH", "/templates/{id}", "template", { source: "stolen" }],
  ["DELETE", "/templates/{id}", "template", null],
  ["GET", "/topics/{id}", "topic", null],
  ["PATCH", "/topics/{id}", "topic", { name: "stolen" }],
  ["DELETE", "/topics/{id}", "topic", null],
  ["POST", "/campaigns/{id}/preview", "campaign", { nodeId: "hello" }],
  ["GET", "/campaigns/{id}/lint", "campaign", null],
  ["GET", "/credentials/{id}", "credential", null],
  ["PATCH", "/credentials/{id}", "credential", { name: "stolen", password: null }],
  ["DELETE", "/credentials/{id}", "credential", null],
  ["POST", "/credentials/{id}/verify", "credential", null],
  ["GET", "/credentials/{id}/ses/setup", "credential", null],
  ["POST", "/credentials/{id}/ses/setup", "credential", null],
  ["GET", "/credentials/{id}/telegram/webhook", "credential", null],
  ["POST", "/credentials/{id}/telegram/webhook", "credential", null],
  ["GET", "/credentials/{id}/ses/topics", "credential", null],
  ["POST", "/credentials/{id}/ses/topics", "credential", { topicArn: `${TOPIC}-stolen` }],
  ["DELETE", "/credentials/{id}/ses/topics/{topicArn}", "credential", null],
  ...triesOfImports("contacts", "contactImport"),
  ...triesOfImports("suppressions", "suppressionImport"),
  ["GET", "/campaigns/{id}", "campaign", null],
  ["PATCH", "/campaigns/{id}", "campaign", { name: "stolen" }],
  ["DELETE", "/campaigns/{id}", "campaign", null],
  ["POST", "/campaigns/{id}/activate", "campaign", null],
  ["POST", "/campaigns/{id}/pause", "campaign", null],
  ["POST", "/campaigns/{id}/resume", "campaign", null],
  ["POST", "/campaigns/{id}/enroll", "campaign", { all: true }],
  ["GET", "/campaigns/{id}/enroll-jobs", "campaign", null],
  ["GET", "/campaigns/{id}/enroll-jobs/{jobId}", "campaign", null],
  ["POST", "/campaigns/{id}/enroll-jobs/{jobId}/pause", "campaign", null],
  ["POST", "/campaigns/{id}/enroll-jobs/{jobId}/resume", "campaign", null],
  ["POST", "/campaigns/{id}/enroll-jobs/{jobId}/cancel", "campaign", null],
  ["GET", "/segments/{id}", "segment", null],
  ["PATCH", "/segments/{id}", "segment", { name: "stolen" }],
  ["DELETE", "/segments/{id}", "segment", null],
  ["GET", "/segments/{id}/count", "segment", null],
  ["GET", "/segments/{id}/contacts", "segment", null],
  ["POST", "/campaigns/{id}/test-send", "campaign", { nodeId: "hello", to: "thief@example.com" }],
  ["GET", "/campaigns/{id}/analytics", "campaign", null],
  ["GET", "/campaigns/{id}/analytics/edges", "campaign", null],
  ["GET", "/campaigns/{id}/analytics/links", "campaign", null],
  ["GET", "/campaigns/{id}/analytics/domains", "campaign", null],
  ["GET", "/campaigns/{id}/analytics/devices", "campaign", null],
  ["GET", "/campaigns/{id}/analytics/hours", "campaign", null],
  ["GET", "/campaigns/{id}/analytics/funnel", "campaign", null],
  ["GET", "/campaigns/{id}/analytics/splits", "campaign", null],
  ["GET", "/campaigns/{id}/progress", "campaign", null],
  ["GET", "/campaigns/{id}/enrollments", "campaign", null],
  ["GET", "/enrollments/{id}", "enrollment", null],
  ["POST", "/enrollments/{id}/cancel", "enrollment", null],
  ["POST", "/campaigns/{id}/enrollments/cancel", "campaign", { all: true }],
  ["POST", "/campaigns/{id}/enrollments/move", "campaign", {}],
  ["GET", "/messages/{id}", "message", null],
  ["GET", "/messages/{id}/media/{index}", "message", null],
  ["POST", "/messages/{id}/retry", "message", null],
  ["GET", "/conversations/{id}", "contact", null],
  ["PATCH", "/conversations/{id}", "contact", { status: "closed" }],
  ["POST", "/conversations/{id}/read", "contact", {}],
  ["POST", "/conversations/{id}/unread", "contact", null],
  ["GET", "/conversations/{id}/messages", "contact", null],
  ["POST", "/conversations/{id}/messages", "contact", { text: "stolen", subject: "stolen" }],
];

function triesOfImports(kind: string, of: keyof Owned): Try[] {
  const path = `/${kind}/imports/{id}`;
  return [
    ["GET", path, of, null],
    ["PATCH", path, of, { separator: "semicolon" }],
    ["POST", `${path}/start`, of, {}],
    ["POST", `${path}/pause`, of, null],
    ["POST", `${path}/resume`, of, null],
    ["POST", `${path}/cancel`, of, null],
    ["GET", `${path}/refusals`, of, null],
    ["GET", `${path}/refusals.csv`, of, null],
  ];
}

/** Everything of the first customer that a request could have changed. */
async function contents(): Promise<string> {
  const of = sql`customer_id = ${api.customer.id}`;
  const { rows } = await sql`
    select (select json_agg(c) from credential c where ${of}) as credentials,
      (select json_agg(t) from ses_topic t where ${of}) as ses_topics,
      (select json_agg(i) from import i where ${of}) as imports,
      (select count(*) from import_chunk where ${of}) as import_chunks,
      (select json_agg(c) from contact c where ${of}) as contacts,
      (select json_agg(c) from campaign c where ${of}) as campaigns,
      (select json_agg(e) from enrollment e where ${of}) as enrollments,
      (select json_agg(j) from enroll_job j where ${of}) as jobs,
      (select json_agg(s) from segment s where ${of}) as segments,
      (select json_agg(t) from template t where ${of}) as templates,
      (select json_agg(t) from topic t where ${of}) as topics,
      (select json_agg(t) from contact_topic_left t where ${of}) as topics_left,
      (select json_agg(r) from node_run r where ${of}) as runs,
      (select json_agg(m) from message m where ${of}) as messages,
      (select json_agg(c) from conversation c where ${of}) as conversations,
      (select count(*) from event_log where ${of}) as events`.execute(api.database.db);
  return JSON.stringify(rows);
}

test("the table above has every route of the app on one thing, but those of http/ and webhooks/", async () => {
  const elsewhere = /(?<!\w)\/(contacts|suppressions)\/\{id\}$| \/(webhooks|events|event-types)\//;
  const documented = (await routesOnOneThing(api.database)).filter((route) => !elsewhere.test(route));
  const tried = tries.map(([method, path]) => `${method} ${path}`);
  expect(tried.toSorted()).toEqual(documented.toSorted());
});

test.each(tries)(
  "%s %s answers another customer that there is no such thing",
  async (method, path, of, body) => {
    const before = await contents();
    const address = `/api/v1${path.replace("{id}", owned[of]).replace("{jobId}", owned.job).replace("{index}", "0").replace("{topicArn}", encodeURIComponent(TOPIC))}`;
    expect((await api.call(method, address, { body: body ?? undefined, customer: thief })).status).toBe(404);
    expect(await contents()).toBe(before);
  },
);

test.each([
  "/credentials",
  "/campaigns",
  "/messages",
  "/templates",
  "/topics",
  "/segments",
  "/contacts",
  "/contacts/imports",
  "/suppressions/imports",
  "/inbound-events?status=odd",
])("%s lists nothing of another customer", async (path) => {
  expect((await api.ok("GET", path)).items).not.toEqual([]);
  expect((await api.ok("GET", path, undefined, thief)).items).toEqual([]);
});

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
