import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  type CampaignApi,
  createCampaignApi,
  helloCampaign,
  smtpCredential,
} from "../../test/support/campaign-api.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { type SmtpSink, startSmtpSink } from "../../test/support/smtp.ts";
import { newId } from "../events/id.ts";
import { findSmtpCredential, setCredentialStatus } from "./queries.ts";

const PASSWORD = "correct horse battery staple";

let api: CampaignApi;
let sink: SmtpSink;

beforeAll(async () => {
  api = await createCampaignApi({ answerWithinMs: 300 });
  sink = await startSmtpSink();
});
afterAll(async () => {
  await sink.close();
  await api.close();
});

const create = (more: object = {}) => api.ok("POST", "/credentials", smtpCredential(more));
const open = (id: string) => findSmtpCredential(api.database.db, TEST_ENCRYPTION_KEY, api.customer.id, id);

test("a credential is kept with its defaults, and its password opened only for sending", async () => {
  const body = await create({ username: "user", password: PASSWORD, ses: { configurationSet: "edgr" } });
  expect(body).toMatchObject({
    type: "smtp",
    name: "Loopback",
    port: 2525,
    secure: false,
    requireTls: false,
    username: "user",
    fromName: null,
    rateLimitPerSecond: 14,
    maxConnections: 5,
    ses: { configurationSet: "edgr", topicArns: [], replyDomain: null },
    hasPassword: true,
    status: "active",
    statusReason: null,
  });
  expect(await open(body.id)).toMatchObject({ password: PASSWORD, settings: { username: "user" } });
});

test("a password is in no answer, no problem and no row", async () => {
  const { id } = await create({ username: "user", password: PASSWORD });
  const path = `/api/v1/credentials/${id}`;
  const answers = [
    await api.call("GET", path),
    await api.call("GET", "/api/v1/credentials"),
    await api.call("PATCH", path, { body: { name: "Other", password: PASSWORD } }),
    await api.call("PATCH", path, { body: { password: PASSWORD, username: null } }),
    await api.call("POST", `${path}/verify`),
    await api.call("POST", "/api/v1/credentials", { body: { type: "telegram", password: PASSWORD } }),
    await api.call("POST", "/api/v1/credentials", { body: smtpCredential({ password: [PASSWORD] }) }),
  ];
  for (const { text } of answers) expect(text).not.toContain(PASSWORD);
  const { rows } = await sql<{ row: string }>`
    select encode(secret, 'escape') || settings::text as row from credential where id = ${id}`.execute(
    api.database.db,
  );
  expect(rows[0]?.row).not.toContain(PASSWORD);
  const document = await (await api.app.request("/openapi.json")).json();
  const { Credential, NewCredential } = document.components.schemas;
  expect(Object.keys(Credential.properties)).not.toContain("password");
  expect(NewCredential.properties.password).not.toHaveProperty("example");
  expect(NewCredential.properties.password.writeOnly).toBe(true);
});

test("a change keeps what it does not mention, the password too", async () => {
  const { id } = await create({
    username: "user",
    password: PASSWORD,
    fromName: "News",
    port: 465,
    secure: true,
  });
  const changed = await api.ok("PATCH", `/credentials/${id}`, { name: "Renamed", host: "localhost" });
  expect(changed).toMatchObject({
    name: "Renamed",
    host: "localhost",
    fromName: "News",
    port: 465,
    secure: true,
    hasPassword: true,
  });
  expect((await open(id))?.password).toBe(PASSWORD);
  await api.ok("PATCH", `/credentials/${id}`, { password: "another" });
  expect((await open(id))?.password).toBe("another");
  expect(await api.ok("PATCH", `/credentials/${id}`, { password: null })).toMatchObject({
    hasPassword: false,
  });
  expect((await open(id))?.password).toBeNull();
});

test("a password without a username is refused, also as the result of a change", async () => {
  const refused = await api.call("POST", "/api/v1/credentials", {
    body: smtpCredential({ password: PASSWORD }),
  });
  expect([refused.status, refused.body.errors[0]?.field]).toEqual([400, "username"]);
  const { id } = await create({ username: "user", password: PASSWORD });
  const change = await api.call("PATCH", `/api/v1/credentials/${id}`, { body: { username: null } });
  expect([change.status, change.body.errors[0]?.field]).toEqual([400, "username"]);
  expect((await api.ok("GET", `/credentials/${id}`)).username).toBe("user");
});

test("another type is refused with the types there are", async () => {
  const answer = await api.call("POST", "/api/v1/credentials", {
    body: { type: "whatsapp", name: "Phone" },
  });
  expect(answer.status).toBe(400);
  expect(answer.body.errors[0]).toEqual({ field: "type", reason: 'must be "smtp" or "telegram"' });
});

test("what the sender said of a credential is shown, and forgotten when it is changed", async () => {
  const { id } = await create();
  await setCredentialStatus(api.database.db, api.customer.id, id, "failing", "535 wrong password");
  expect(await api.ok("GET", `/credentials/${id}`)).toMatchObject({
    status: "failing",
    statusReason: "535 wrong password",
  });
  expect(await api.ok("PATCH", `/credentials/${id}`, { port: 25 })).toMatchObject({
    status: "active",
    statusReason: null,
  });
});

test("a window and a warm-up are kept with their defaults, and taken away by null", async () => {
  const sendWindow = { from: "22:00", to: "06:00", timeZone: "Europe/Paris" };
  const warmUp = { startedOn: "2026-11-25", startPerDay: 50, growthPercent: 50, maxPerDay: 1_000 };
  const { id, ...created } = await create({ sendWindow, warmUp });
  expect(created).toMatchObject({
    sendWindow: { ...sendWindow, weekdays: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] },
    warmUp: { ...warmUp, ceilings: null },
    today: { timeZone: "Europe/Paris", sent: 0, ceiling: expect.any(Number) },
  });
  const changed = await api.ok("PATCH", `/credentials/${id}`, {
    sendWindow: { ...sendWindow, weekdays: ["fri", "mon", "fri"] },
    warmUp: { startedOn: "2026-11-25", ceilings: [10, 20] },
  });
  expect(changed).toMatchObject({
    sendWindow: { weekdays: ["mon", "fri"] },
    warmUp: { startPerDay: null, growthPercent: null, ceilings: [10, 20], maxPerDay: null },
  });
  const without = await api.ok("PATCH", `/credentials/${id}`, { sendWindow: null, warmUp: null });
  expect(without).toMatchObject({
    sendWindow: null,
    warmUp: null,
    hold: null,
    today: { timeZone: "UTC", ceiling: null },
  });
});

test.each([
  ["sendWindow.from", { sendWindow: { from: "9:00", to: "17:00", timeZone: "UTC" } }],
  ["sendWindow.timeZone", { sendWindow: { from: "09:00", to: "17:00", timeZone: "Paris" } }],
  ["sendWindow.timeZone", { sendWindow: { from: "09:00", to: "17:00" } }],
  ["sendWindow.weekdays", { sendWindow: { from: "09:00", to: "17:00", timeZone: "UTC", weekdays: [] } }],
  ["warmUp.startedOn", { warmUp: { startedOn: "2026-02-30", startPerDay: 1, growthPercent: 1 } }],
  ["warmUp.growthPercent", { warmUp: { startedOn: "2026-11-25", startPerDay: 1 } }],
  ["warmUp.startPerDay", { warmUp: { startedOn: "2026-11-25" } }],
  ["warmUp.ceilings", { warmUp: { startedOn: "2026-11-25", ceilings: [1], startPerDay: 1 } }],
  ["warmUp.ceilings.1", { warmUp: { startedOn: "2026-11-25", ceilings: [1, 0] } }],
])("%s can't be that of %p", async (field, settings) => {
  const { id } = await create();
  const answer = await api.call("PATCH", `/api/v1/credentials/${id}`, { body: settings });
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
});

test("the list is newest first and goes on where the page before ended", async () => {
  const neighbour = await api.createCustomer("lists credentials");
  const ids = [];
  for (const name of ["a", "b", "c"]) {
    ids.unshift((await api.ok("POST", "/credentials", smtpCredential({ name }), neighbour)).id);
  }
  const first = await api.ok("GET", "/credentials?limit=2", undefined, neighbour);
  const second = await api.ok("GET", `/credentials?limit=2&cursor=${first.nextCursor}`, undefined, neighbour);
  expect([...first.items, ...second.items].map((item: { id: string }) => item.id)).toEqual(ids);
  expect(second.nextCursor).toBeNull();
});

test("a credential that a running or paused campaign uses is not deleted, one of a draft is", async () => {
  const { id } = await create();
  const campaign = await api.ok("POST", "/campaigns", helloCampaign(id));
  await api.ok("POST", `/campaigns/${campaign.id}/activate`);
  await api.ok("POST", `/campaigns/${campaign.id}/pause`);
  const refused = await api.call("DELETE", `/api/v1/credentials/${id}`);
  expect(refused.status).toBe(409);
  expect(refused.body.detail).toContain(`"Welcome" (${campaign.id})`);
  await api.ok("DELETE", `/campaigns/${campaign.id}`);
  const draft = await api.ok("POST", "/campaigns", helloCampaign(id));
  expect((await api.call("DELETE", `/api/v1/credentials/${id}`)).status).toBe(204);
  expect((await api.call("GET", `/api/v1/credentials/${id}`)).status).toBe(404);
  const answer = await api.call("POST", `/api/v1/campaigns/${draft.id}/activate`);
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([409, "nodes.0.credentialId"]);
});

test("a credential that only queued mail of an earlier version needs is not deleted either", async () => {
  const [old, present] = [await create(), await create()];
  const campaign = await api.ok("POST", "/campaigns", helloCampaign(old.id));
  await api.ok("POST", `/campaigns/${campaign.id}/activate`);
  await sql`
    insert into message (customer_id, id, direction, channel, campaign_id, contact_id, credential_id, to_address)
    values (${api.customer.id}, ${newId()}, 'outbound', 'email', ${campaign.id}, ${newId()}, ${old.id}, 'a@example.com')`.execute(
    api.database.db,
  );
  await api.ok("PATCH", `/campaigns/${campaign.id}`, helloCampaign(present.id));
  await api.ok("POST", `/campaigns/${campaign.id}/activate`);
  expect((await api.call("DELETE", `/api/v1/credentials/${old.id}`)).status).toBe(409);
  await sql`update message set status = 'sent' where credential_id = ${old.id}`.execute(api.database.db);
  expect((await api.call("DELETE", `/api/v1/credentials/${old.id}`)).status).toBe(204);
});

test("verify logs in and says so, or says why not", async () => {
  const { id } = await create({ port: sink.port });
  expect(await api.ok("POST", `/credentials/${id}/verify`)).toMatchObject({ ok: true, reason: null });
  sink.script(({ at }) => (at === "connect" ? { reply: "554 5.7.1 Not you" } : null));
  const refused = await api.ok("POST", `/credentials/${id}/verify`);
  expect(refused.ok).toBe(false);
  expect(refused.reason).toContain("Not you");
  sink.script(({ at }) => (at === "connect" ? "hang" : null));
  expect(await api.ok("POST", `/credentials/${id}/verify`)).toMatchObject({
    ok: false,
    reason: "The server did not answer within 0.3 s.",
  });
  sink.script(null);
  expect(sink.received).toEqual([]);
});
