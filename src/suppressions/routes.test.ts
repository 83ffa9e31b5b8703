import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { createTestApp, type TestApp } from "../../test/support/app.ts";
import {
  append,
  beginCampaign,
  createCredential,
  eventOf,
  listRuns,
  projectAll,
} from "../../test/support/campaigns.ts";
import { contactRoutes } from "../contacts/routes.ts";
import { suppressionRoutes } from "./routes.ts";

const NOW = new Date("2026-03-01T12:00:00.000Z");
let api: TestApp;

beforeAll(async () => {
  api = await createTestApp([contactRoutes(), suppressionRoutes({ now: () => NOW })]);
});
afterAll(() => api.close());

const suppress = (body: object, headers = {}) => api.call("POST", "/api/v1/suppressions", { body, headers });
const lift = (id: string) => api.call("DELETE", `/api/v1/suppressions/${id}`);

async function createContact(email: string): Promise<string> {
  return (await api.call("POST", "/api/v1/contacts", { body: { email } })).body.id;
}

async function eventsOf(contactId: string) {
  const { rows } = await sql`
    select type, data, at from event_log where customer_id = ${api.customer.id} and contact_id = ${contactId}
    order by position`.execute(api.database.db);
  return rows;
}

test("an address is suppressed once for each reason, in lower case", async () => {
  const first = await suppress({ email: "Ann@Example.com" });
  const again = await suppress({ email: "ann@example.COM" });
  const bounce = await suppress({ email: "ann@example.com", reason: "bounce" });
  expect(first.status).toBe(201);
  expect(first.body).toMatchObject({
    channel: "email",
    address: "ann@example.com",
    reason: "manual",
    detail: null,
    contactId: null,
    messageId: null,
    eventId: null,
  });
  expect(again.status).toBe(200);
  expect(again.body).toEqual(first.body);
  expect(bounce.status).toBe(201);
  expect(bounce.body.id).not.toBe(first.body.id);
});

test("ten requests for one address at the same moment make one suppression and one event", async () => {
  const contactId = await createContact("crowd@example.com");
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => suppress({ email: "crowd@example.com" })),
  );
  expect(answers.map((answer) => answer.status).sort()).toEqual([...Array(9).fill(200), 201]);
  expect(await eventsOf(contactId)).toHaveLength(1);
});

test("a contact's activity will show that it was suppressed, and that it subscribed again", async () => {
  const contactId = await createContact("Bob@example.com");
  const { body } = await suppress({ email: "bob@example.com", reason: "unsubscribe" });
  expect(body.contactId).toBe(contactId);
  expect((await lift(body.id)).status).toBe(204);
  expect(await eventsOf(contactId)).toEqual([
    { type: "contact_suppressed", data: { reason: "unsubscribe" }, at: NOW },
    { type: "resubscribed", data: {}, at: NOW },
  ]);
});

test("lifting a bounce is not a subscription", async () => {
  const contactId = await createContact("carol@example.com");
  const { body } = await suppress({ email: "carol@example.com", reason: "bounce" });
  await lift(body.id);
  expect(await eventsOf(contactId)).toMatchObject([{ type: "contact_suppressed" }]);
});

test("lifting one reason leaves the others", async () => {
  const contactId = await createContact("dora@example.com");
  const { body } = await suppress({ email: "dora@example.com", reason: "unsubscribe" });
  await suppress({ email: "dora@example.com", reason: "complaint" });
  await lift(body.id);
  expect((await api.call("GET", `/api/v1/contacts/${contactId}`)).body.suppressed).toEqual(["complaint"]);
});

test("what has been lifted cannot be lifted again", async () => {
  const { body } = await suppress({ email: "erin@example.com" });
  expect((await lift(body.id)).status).toBe(204);
  expect((await lift(body.id)).status).toBe(404);
});

test("suppressing and its event happen once with one Idempotency-Key", async () => {
  const contactId = await createContact("fay@example.com");
  const headers = { "Idempotency-Key": "fay" };
  expect((await suppress({ email: "fay@example.com" }, headers)).status).toBe(201);
  expect((await suppress({ email: "fay@example.com" }, headers)).status).toBe(201);
  expect(await eventsOf(contactId)).toHaveLength(1);
});

test("a bounce shows its message and its event; lifted, neither it nor earlier soft bounces count any more", async () => {
  const { db } = api.database;
  const credentialId = await createCredential(db, api.customer.id, {});
  const hello = { id: "hello", type: "message", channel: "email", credentialId, subject: "Hi", html: "Hi" };
  const { campaignId } = await beginCampaign(db, api.customer.id, { nodes: [hello], edges: [] });
  const [run] = await listRuns(db, campaignId);
  if (run === undefined) throw new Error("nothing was enrolled");
  const bounce = async (data: { [name: string]: string | boolean }, minutes: number) => {
    const event = eventOf(run, "message_bounced", { at: new Date(NOW.getTime() + minutes * 60_000), data });
    await append(db, event);
    await projectAll(db);
    return event;
  };
  const listed = async () => (await api.call("GET", "/api/v1/suppressions?email=c0@example.com")).body.items;

  await bounce({ soft: true }, -9);
  await bounce({ soft: true }, -8);
  const told = { suppress: "bounce", bounceSubType: "Suppressed" };
  const { id: eventId } = await bounce(told, -7);
  const [shown] = await listed();
  const { messageId, contactId } = run;
  const expected = { reason: "bounce", detail: "provider_suppressed", messageId, contactId, eventId };
  expect(shown).toMatchObject(expected);

  expect((await lift(shown?.id ?? "")).status).toBe(204);
  await bounce({ suppress: "bounce" }, -6);
  await bounce({ soft: true }, 1);
  await bounce({ soft: true }, 2);
  expect(await listed()).toEqual([]);
  await bounce({ soft: true }, 3);
  expect(await listed()).toMatchObject([{ reason: "bounce", detail: "soft_bounces" }]);
});

test("a list is filtered by reason and by email, newest first", async () => {
  await suppress({ email: "x@example.org", reason: "complaint" });
  const later = await suppress({ email: "x@example.org", reason: "bounce" });
  const byEmail = await api.call("GET", "/api/v1/suppressions?email=X@example.org");
  expect(byEmail.body.items.map((item) => item.reason)).toEqual(["bounce", "complaint"]);
  const both = await api.call("GET", "/api/v1/suppressions?email=x@example.org&reason=bounce");
  expect(both.body.items.map((item) => item.id)).toEqual([later.body.id]);
  const page = await api.call("GET", "/api/v1/suppressions?email=x@example.org&limit=1");
  const next = await api.call(
    "GET",
    `/api/v1/suppressions?email=x@example.org&limit=1&cursor=${page.body.nextCursor}`,
  );
  expect(next.body).toMatchObject({ items: [{ reason: "complaint" }], nextCursor: null });
});

test("a suppressed domain stops every address at it, and none at its subdomains", async () => {
  const at = await createContact("Gus@Blocked.example");
  const below = await createContact("gus@mail.blocked.example");
  const { status, body } = await api.call("POST", "/api/v1/suppressions", {
    body: { domain: "Blocked.Example", reason: "complaint" },
  });
  expect([status, body.address]).toEqual([201, "@blocked.example"]);
  const suppressed = async (id: string) => (await api.call("GET", `/api/v1/contacts/${id}`)).body.suppressed;
  expect(await suppressed(at)).toEqual(["complaint"]);
  expect(await suppressed(below)).toEqual([]);
  const listed = await api.call("GET", "/api/v1/suppressions?domain=blocked.example");
  expect(listed.body.items.map((item) => item.id)).toEqual([body.id]);
  expect((await lift(body.id)).status).toBe(204);
  expect(await suppressed(at)).toEqual([]);
  expect(await eventsOf(at)).toEqual([]);
});

test.each([
  [{}, "email"],
  [{ email: "a@example.com", domain: "example.com" }, "email"],
  [{ domain: "not a domain" }, "domain"],
  [{ domain: "@example.com" }, "domain"],
  [{ domain: "com" }, "domain"],
])("%j suppresses nothing", async (body, field) => {
  const answer = await suppress(body);
  expect(answer.status).toBe(400);
  expect(answer.body.errors.map((error) => error.field)).toEqual([field]);
});
