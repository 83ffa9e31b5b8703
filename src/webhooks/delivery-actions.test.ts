import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { sql } from "kysely";
import { createContacts } from "../../test/support/campaigns.ts";
import { answered, createDeliveryBench, type DeliveryBench } from "../../test/support/deliveries.ts";
import { newId } from "../events/id.ts";

const LIST = "/webhooks/deliveries";

let bench: DeliveryBench;

beforeAll(async () => {
  bench = await createDeliveryBench();
});
afterAll(() => bench.api.close());
beforeEach(() => bench.answerWith(answered(200, "ok")));

type Owed = { id: string; endpointId: string; eventId: string };

/** A delivery of something that just happened to a new endpoint. */
async function owe(settings: object = {}, about: object = {}): Promise<Owed> {
  const endpointId = await bench.createEndpoint(settings);
  const eventId = await bench.happen("email_opened", about);
  return { id: await bench.deliveryOf(endpointId, eventId), endpointId, eventId };
}

async function row(id: string) {
  const { rows } = await sql<{
    status: string;
    attempts: number;
    from: number;
    isDue: boolean;
    payload: string | null;
  }>`
    select status, attempts, schedule_from as "from", coalesce(due_at <= now(), false) as "isDue", payload
    from webhook_delivery where id = ${id}`.execute(bench.db);
  if (rows[0] === undefined) throw new Error("there is no such delivery");
  return rows[0];
}

/** As if somebody were making an attempt of it. */
async function takeInHand(id: string): Promise<void> {
  await sql`
    insert into webhook_attempt (customer_id, delivery_id, endpoint_id, event_id, number, trigger, started_at, outcome)
    select customer_id, id, endpoint_id, event_id, 1, trigger, now(), 'running' from webhook_delivery
    where id = ${id}`.execute(bench.db);
  await sql`
    update webhook_delivery set attempts = 1, due_at = now() + interval '60 seconds' where id = ${id}`.execute(
    bench.db,
  );
}

async function audit(subject: string) {
  const { body } = await bench.get(`/audit-log?subject=${subject}`);
  return body.items.map(({ actor, action, reason, details }) => ({ actor, action, reason, details }));
}

test("a delivery that is retried is due at once, with the whole schedule and its bytes", async () => {
  const { id } = await owe();
  bench.answerWith(answered(500, ""));
  await bench.attempt(id);
  await bench.attempt(id);
  expect(await row(id)).toMatchObject({ attempts: 2, from: 0, isDue: false });
  const [payload, woken] = [bench.sent.at(-1)?.body, bench.woken()];
  const { status, body } = await bench.post(`${LIST}/${id}/retry`, { reason: "They mended it." });
  expect([status, body]).toMatchObject([
    200,
    { id, status: "pending", trigger: "manual", waiting: { code: "turn" } },
  ]);
  expect(await row(id)).toMatchObject({ attempts: 2, from: 2, isDue: true, payload });
  expect(bench.woken()).toBe(woken + 1);
  expect(await audit(id)).toEqual([
    {
      actor: "test",
      action: "delivery_retried",
      reason: "They mended it.",
      details: { payload: "original" },
    },
  ]);
  await bench.attempt(id);
  expect(bench.sent.at(-1)?.body).toBe(payload ?? "");
  const { body: tried } = await bench.get(`${LIST}/${id}`);
  expect(tried.attemptList).toMatchObject([
    { number: 3, trigger: "manual" },
    { number: 2, trigger: "automatic" },
    { number: 1, trigger: "automatic" },
  ]);
});

test.each(["delivered", "cancelled", "failed"])("a delivery that is %s can be retried", async (status) => {
  const { id } = await owe();
  await sql`
    update webhook_delivery set status = ${status}, due_at = null, finished_at = now() where id = ${id}`.execute(
    bench.db,
  );
  expect((await bench.post(`${LIST}/${id}/retry`)).status).toBe(200);
  expect(await row(id)).toMatchObject({ status: "pending", isDue: true });
});

test("a delivery retried anew tells of the contact as it is now, with the same id", async () => {
  const [contactId = ""] = await createContacts(bench.db, bench.api.customer.id, 1);
  const { id } = await owe({}, { contactId });
  await bench.attempt(id);
  const email = `${newId()}@example.com`;
  await sql`update contact set email = ${email} where id = ${contactId}`.execute(bench.db);
  const first = bench.sent.at(-1);
  const { body } = await bench.post(`${LIST}/${id}/retry`, { payload: "anew" });
  expect([body.payloadIs, body.curl, body.verification]).toEqual(["preview", null, null]);
  await bench.attempt(id);
  const second = bench.sent.at(-1);
  expect(second?.headers["webhook-id"]).toBe(first?.headers["webhook-id"] ?? "");
  expect([first?.body?.includes(email), second?.body?.includes(email)]).toEqual([false, true]);
});

test("what is being tried just now is not retried beside it, and can be cancelled", async () => {
  const { id } = await owe();
  await takeInHand(id);
  expect((await bench.get(`${LIST}/${id}`)).body.waiting).toMatchObject({ code: "running" });
  const { status, body } = await bench.post(`${LIST}/${id}/retry`);
  expect([status, String(body.detail)]).toEqual([409, expect.stringContaining("just now")]);
  expect(await audit(id)).toEqual([]);
  expect((await bench.post(`${LIST}/${id}/cancel`)).body.status).toBe("cancelled");
});

test.each([
  [500, "cancelled"],
  [200, "delivered"],
])("one that is cancelled while it is tried is, after an answer of %d, %s", async (status, expected) => {
  const { id } = await owe();
  bench.answerWith(answered(status, ""));
  bench.duringNext(() => bench.post(`${LIST}/${id}/cancel`));
  await bench.attempt(id);
  const { body } = await bench.get(`${LIST}/${id}`);
  expect([body.status, body.nextAttemptAt, body.waiting]).toEqual([expected, null, null]);
});

test("only what is pending can be cancelled", async () => {
  const { id } = await owe();
  const { status, body } = await bench.post(`${LIST}/${id}/cancel`, { reason: "Not wanted." });
  expect([status, body.status, body.nextAttemptAt, body.waiting]).toEqual([200, "cancelled", null, null]);
  expect(await audit(id)).toMatchObject([{ action: "delivery_cancelled", reason: "Not wanted." }]);
  const again = await bench.post(`${LIST}/${id}/cancel`);
  expect([again.status, String(again.body.detail)]).toEqual([409, expect.stringContaining("cancelled")]);
});

test("what was for an endpoint that is gone can't be retried", async () => {
  const { id, endpointId } = await owe();
  await bench.api.call("DELETE", `/api/v1/webhooks/endpoints/${endpointId}`);
  expect((await bench.post(`${LIST}/${id}/retry`)).status).toBe(409);
});

test("what was never sent can't be retried when its event has left the log", async () => {
  const { id, eventId } = await owe();
  const sent = await owe();
  await bench.attempt(sent.id);
  await sql`delete from event_log where id in (${eventId}, ${sent.eventId})`.execute(bench.db);
  expect((await bench.post(`${LIST}/${id}/retry`)).status).toBe(410);
  expect((await bench.post(`${LIST}/${sent.id}/retry`)).status).toBe(200);
  expect((await bench.post(`${LIST}/${sent.id}/retry`, { payload: "anew" })).status).toBe(410);
});

test("an event is sent to other endpoints whatever they are told of, once each", async () => {
  const { id, eventId, endpointId } = await owe();
  const other = await bench.createEndpoint({ eventTypes: ["unsubscribed"] });
  const chat = await bench.createEndpoint({
    type: "slack",
    url: "https://hooks.slack.com/services/T0/B0/abc",
    eventTypes: ["unsubscribed"],
  });
  const endpointIds = [other, chat, endpointId];
  const { status, body } = await bench.post(`${LIST}/${id}/resend`, { endpointIds });
  expect(status).toBe(200);
  expect(Object.fromEntries(body.items.map((item) => [item.endpointId, item.outcome]))).toEqual({
    [other]: "created",
    [chat]: "created",
    [endpointId]: "reopened",
  });
  const found = await bench.deliveryOf(chat, eventId);
  await bench.attempt(found);
  expect(JSON.parse(bench.sent.at(-1)?.body ?? "{}")).toHaveProperty("blocks");
  const again = await bench.post(`${LIST}/${id}/resend`, { endpointIds: [chat] });
  expect(again.body.items).toMatchObject([{ deliveryId: found, outcome: "reopened" }]);
  expect(await row(found)).toMatchObject({ status: "pending", attempts: 1, from: 1 });
  await sql`delete from webhook_attempt where delivery_id = ${found}`.execute(bench.db);
  await takeInHand(found);
  const third = await bench.post(`${LIST}/${id}/resend`, { endpointIds: [chat] });
  expect(third.body.items).toMatchObject([{ deliveryId: found, outcome: "in_hand" }]);
  expect(await audit(id)).toHaveLength(3);
});

test("an endpoint that is not there is named", async () => {
  const { id, endpointId } = await owe();
  const { status, body } = await bench.post(`${LIST}/${id}/resend`, { endpointIds: [endpointId, newId()] });
  expect([status, body.errors[0]?.field]).toEqual([400, "endpointIds.1"]);
});

test("a digest goes to another chat of its type, in its words, and to no program", async () => {
  const slack = { type: "slack", url: "https://hooks.slack.com/services/T0/B0/abc" };
  const [from, to] = [await bench.createEndpoint(slack), await bench.createEndpoint(slack)];
  const program = await bench.createEndpoint();
  const [id, digestId] = [newId(), newId()];
  await sql`
    insert into webhook_delivery (customer_id, endpoint_id, event_id, id, kind, event_type, event_at, position, status,
      due_at, payload)
    values (${bench.api.customer.id}, ${from}, ${digestId}, ${id}, 'digest', 'digest', now(), 0, 'pending', now(),
      '{"text":"12 opens"}')`.execute(bench.db);
  const refused = await bench.post(`${LIST}/${id}/resend`, { endpointIds: [to, program] });
  expect([refused.status, refused.body.errors[0]?.field]).toEqual([422, "endpointIds.1"]);
  expect((await bench.post(`${LIST}/${id}/retry`, { payload: "anew" })).status).toBe(422);
  const { body } = await bench.post(`${LIST}/${id}/resend`, { endpointIds: [to] });
  await bench.attempt(String(body.items[0]?.deliveryId));
  expect(bench.sent.at(-1)?.body).toBe('{"text":"12 opens"}');
  const { body: digests } = await bench.get(`${LIST}?eventType=digest&endpointId=${to}`);
  expect(digests.items).toMatchObject([{ kind: "digest", webhookId: `dig_${digestId.replaceAll("-", "")}` }]);
});

test("a retry with an Idempotency-Key is made once", async () => {
  const { id } = await owe();
  const headers = { "Idempotency-Key": "retry-1" };
  for (const _ of ["once", "twice"]) await bench.api.call("POST", `/api/v1${LIST}/${id}/retry`, { headers });
  expect(await audit(id)).toHaveLength(1);
});
