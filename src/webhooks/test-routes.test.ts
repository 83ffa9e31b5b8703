import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { createTestApp, type TestApp } from "../../test/support/app.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import type { Db } from "../storage/pool.ts";
import { payloadSchema } from "./catalogue.ts";
import { endpointRoutes } from "./endpoint-routes.ts";
import { testRoutes } from "./test-routes.ts";

const PATH = "/api/v1/webhooks/endpoints";

let api: TestApp;

beforeAll(async () => {
  const egress = { refusal: async () => null };
  api = await createTestApp([
    endpointRoutes({ egress, isOpened: async () => false, encryptionKey: TEST_ENCRYPTION_KEY, randomBytes }),
    testRoutes({ publicUrl: "https://edgr.example.com", now: () => new Date(), attempt: failAttempt }),
  ]);
});
afterAll(() => api.close());

/** What a deliverer leaves behind when the server answers 500: a delivery that is to be tried again. */
async function failAttempt(db: Db, customerId: string, deliveryId: string): Promise<void> {
  await sql`
    insert into webhook_attempt (customer_id, delivery_id, endpoint_id, event_id, number, trigger, started_at,
      finished_at, outcome, status, timings, response_body, is_truncated)
    select customer_id, id, endpoint_id, event_id, 1, trigger, now(), now(), 'failed', 500,
      '{"totalMs": 12.5}', 'oops', false
    from webhook_delivery where customer_id = ${customerId} and id = ${deliveryId}`.execute(db);
}

async function create(body: object): Promise<string> {
  const given = { type: "custom", url: "https://example.com/", ...body };
  return (await api.call("POST", PATH, { body: given })).body.id;
}

const send = (id: string, body: object, headers: Record<string, string> = {}) =>
  api.call("POST", `${PATH}/${id}/test`, { body, headers });

test("an example is sent once, answered with what came of it, and not tried again", async () => {
  const id = await create({ eventTypes: ["message_*"] });
  const { status, body } = await send(id, { eventType: "email_opened" });
  expect([status, body]).toMatchObject([
    200,
    {
      eventType: "email_opened",
      webhookId: expect.stringMatching(/^test_[0-9a-f]{32}$/),
      attempt: { outcome: "failed", status: 500, responseBody: "oops", timings: { totalMs: 12.5 } },
    },
  ]);
  const payload = JSON.parse(String(body.payload));
  expect(payloadSchema("email_opened").parse(payload).data.isTest).toBe(true);
  const { rows } = await sql`
    select kind, status, due_at as "dueAt", payload from webhook_delivery where id = ${body.deliveryId}`.execute(
    api.database.db,
  );
  expect(rows).toEqual([{ kind: "test", status: "failed", dueAt: null, payload: body.payload }]);
});

test("without a type it is one that the endpoint is told of", async () => {
  const typeOf = async (eventTypes: string[]) =>
    (await send(await create({ eventTypes }), {})).body.eventType;
  expect(await typeOf(["*"])).toBe("email_clicked");
  expect(await typeOf(["unsub*"])).toBe("unsubscribed");
});

test.each([
  ["email_open", "the nearest is email_opened"],
  ["email_*", "must be one type"],
  ["timer_elapsed", "is no event type"],
])("an example of %s is refused", async (eventType, reason) => {
  const { status, body } = await send(await create({}), { eventType });
  expect([status, body.errors[0]?.field]).toEqual([400, "eventType"]);
  expect(body.errors[0]?.reason).toContain(reason);
});

test("requests with one Idempotency-Key send one example", async () => {
  const id = await create({});
  const headers = { "Idempotency-Key": "test-1" };
  const [first, second] = [await send(id, {}, headers), await send(id, {}, headers)];
  expect(second.text).toBe(first.text);
  const { rows } = await sql`select id from webhook_delivery where endpoint_id = ${id}`.execute(
    api.database.db,
  );
  expect(rows).toHaveLength(1);
});
