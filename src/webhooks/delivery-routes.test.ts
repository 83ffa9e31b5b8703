import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { sql } from "kysely";
import { createCampaign, createContacts } from "../../test/support/campaigns.ts";
import {
  answered,
  createDeliveryBench,
  type DeliveryBench,
  unanswered,
} from "../../test/support/deliveries.ts";
import { newId } from "../events/id.ts";

const LIST = "/webhooks/deliveries";

let bench: DeliveryBench;

beforeAll(async () => {
  bench = await createDeliveryBench();
});
afterAll(() => bench.api.close());
beforeEach(async () => {
  // What earlier tests made is out of the way of those that look at everything.
  await sql`truncate webhook_delivery, webhook_attempt`.execute(bench.db);
  await sql`update webhook_endpoint set type_patterns = '{}'`.execute(bench.db);
  bench.answerWith(answered(200, "ok"));
});

/** A delivery of something that just happened to a new endpoint. */
async function owe(settings: object = {}): Promise<{ id: string; endpointId: string; eventId: string }> {
  const endpointId = await bench.createEndpoint(settings);
  const eventId = await bench.happen("email_clicked", { data: { clickedUrl: "https://example.com/buy" } });
  return { id: await bench.deliveryOf(endpointId, eventId), endpointId, eventId };
}

async function ids(query: string): Promise<string[]> {
  const { status, body, text } = await bench.get(`${LIST}?${query}`);
  if (status !== 200) throw new Error(text);
  return body.items.map((item) => item.id);
}

test("the list is newest first, page by page", async () => {
  const endpointId = await bench.createEndpoint();
  const made: string[] = [];
  for (const type of ["email_opened", "email_clicked", "unsubscribed"] as const)
    made.push(await bench.deliveryOf(endpointId, await bench.happen(type)));
  const first = await bench.get(`${LIST}?limit=2`);
  expect(first.body.items.map((item) => item.id)).toEqual([made[2] ?? "", made[1] ?? ""]);
  const second = await bench.get(`${LIST}?limit=2&cursor=${first.body.nextCursor}`);
  expect([second.body.items.map((item) => item.id), second.body.nextCursor]).toEqual([[made[0] ?? ""], null]);
});

test("every filter leaves what fits, alone and with the others", async () => {
  const [contactId = "", otherId = ""] = await createContacts(bench.db, bench.api.customer.id, 2);
  const graph = { nodes: [{ id: "end", type: "exit" }], edges: [] };
  const { campaignId } = await createCampaign(bench.db, bench.api.customer.id, graph);
  const messageId = newId();
  await sql`
    insert into message (customer_id, id, direction, channel, contact_id, credential_id, to_address)
    values (${bench.api.customer.id}, ${messageId}, 'outbound', 'email', ${contactId}, ${newId()}, 'a@example.com')`.execute(
    bench.db,
  );
  const [one, two] = [await bench.createEndpoint(), await bench.createEndpoint()];
  const wanted = await bench.happen("email_opened", { contactId, campaignId, messageId });
  const other = await bench.happen("unsubscribed", { contactId: otherId });
  const [a, b, c, d] = [
    await bench.deliveryOf(one, wanted),
    await bench.deliveryOf(two, wanted),
    await bench.deliveryOf(one, other),
    await bench.deliveryOf(two, other),
  ];
  bench.answerWith(answered(410, ""));
  await bench.attempt(b);
  await bench.post(`${LIST}/${d}/cancel`);
  const sorted = (...of: string[]) => of.toSorted().toReversed();
  expect(await ids(`endpointId=${one}`)).toEqual(sorted(a, c));
  expect(await ids("eventType=email_*")).toEqual(sorted(a, b));
  expect(await ids(`campaignId=${campaignId}`)).toEqual(sorted(a, b));
  expect(await ids(`contactId=${otherId}`)).toEqual(sorted(c, d));
  expect(await ids(`messageId=${messageId}`)).toEqual(sorted(a, b));
  expect(await ids(`eventId=${other}`)).toEqual(sorted(c, d));
  expect(await ids("status=cancelled")).toEqual([d]);
  expect(await ids(`status=cancelled&endpointId=${one}`)).toEqual([]);
  expect(await ids(`status=pending&endpointId=${one}&eventType=unsubscribed`)).toEqual([c]);
  expect(await ids("trigger=manual")).toEqual([]);
  expect(await ids(`from=${new Date(Date.now() + 60_000).toISOString()}`)).toEqual([]);
  expect(await ids(`to=${new Date(Date.now() + 60_000).toISOString()}`)).toEqual(sorted(a, b, c, d));
  expect(await ids(`contactId=${contactId}&endpointId=${two}&campaignId=${campaignId}`)).toEqual([b]);
});

test.each([
  ["status=lost", "status"],
  ["eventType=email_opend", "eventType"],
  ["from=yesterday", "from"],
  ["endpointId=1", "endpointId"],
  ["trigger=cron", "trigger"],
])("a filter of %s is refused", async (query, field) => {
  const { status, body } = await bench.get(`${LIST}?${query}`);
  expect([status, body.errors[0]?.field]).toEqual([400, field]);
});

test("what fits next to nothing is looked for a page at a time", async () => {
  const { endpointId } = await owe();
  const { customer } = bench.api;
  await sql`
    insert into webhook_delivery (customer_id, endpoint_id, event_id, kind, event_type, event_at, position, status,
      finished_at)
    select ${customer.id}, ${endpointId}, new_id(), 'event', 'email_opened', now(), n, 'delivered', now()
    from generate_series(1, 20100) as n`.execute(bench.db);
  const first = await bench.get(`${LIST}?eventType=email_clicked`);
  expect([first.body.items.length, typeof first.body.nextCursor]).toEqual([0, "string"]);
  const second = await bench.get(`${LIST}?eventType=email_clicked&cursor=${first.body.nextCursor}`);
  expect([second.body.items.length, second.body.nextCursor]).toEqual([1, null]);
});

test("before anything is sent a delivery shows what would be", async () => {
  const { id } = await owe();
  const { body } = await bench.get(`${LIST}/${id}`);
  expect(body).toMatchObject({ payloadIs: "preview", curl: null, verification: null, attemptList: [] });
  await bench.attempt(id);
  expect(bench.sent.at(-1)?.body).toBe(String(body.payload));
});

test("an attempt shows what was sent and what came back, without secrets", async () => {
  const { id, eventId } = await owe({ headers: { Authorization: "Bearer s3cret" } });
  bench.answerWith(answered(503, "later"));
  await bench.attempt(id);
  const { body, text } = await bench.get(`${LIST}/${id}`);
  expect(body).toMatchObject({
    status: "pending",
    attempts: 1,
    payloadIs: "kept",
    payload: bench.sent.at(-1)?.body ?? "",
    webhookId: `evt_${eventId.replaceAll("-", "")}`,
    lastStatus: 503,
    waiting: { code: "schedule", until: body.nextAttemptAt },
    attemptList: [
      {
        number: 1,
        trigger: "automatic",
        outcome: "failed",
        status: 503,
        failure: "http_503",
        address: "203.0.113.9",
        timings: { dnsMs: 1, connectMs: 2, tlsMs: 3, firstByteMs: 4, totalMs: 5 },
        requestHeaders: { Authorization: "•••", "Content-Type": "application/json" },
        responseHeaders: { "content-type": "text/plain" },
        responseBody: "later",
        isTruncated: false,
      },
    ],
    hasMoreAttempts: false,
  });
  expect(text).not.toContain("s3cret");
  bench.answerWith(unanswered());
  await bench.attempt(id);
  const attempts = await bench.get(`${LIST}/${id}/attempts?limit=1`);
  expect(attempts.body.items).toMatchObject([
    {
      number: 2,
      outcome: "failed",
      status: null,
      failure: "timeout",
      requestHeaders: { Authorization: "•••" },
    },
  ]);
  const rest = await bench.get(`${LIST}/${id}/attempts?cursor=${attempts.body.nextCursor}`);
  expect(rest.body.items.map((attempt) => attempt.number)).toEqual([1]);
});

test("the curl command has the signature and the body, and variables for what is secret", async () => {
  const { id } = await owe({ headers: { Authorization: "Bearer s3cret" } });
  await bench.attempt(id);
  const curl = String((await bench.get(`${LIST}/${id}`)).body.curl);
  expect(curl).toContain("--url 'https://hooks.example.com/edgr'");
  expect(curl).toContain(`--header 'webhook-signature: ${bench.sent.at(-1)?.headers["webhook-signature"]}'`);
  expect(curl).toContain(`--header 'Authorization: '"$HEADER_AUTHORIZATION"`);
  expect(curl).toEndWith(`--data-raw '${bench.sent.at(-1)?.body}'`);
});

test("the address of a chat, and of one with keys in it, stays secret in the command", async () => {
  const chat = await owe({
    type: "slack",
    url: "https://hooks.slack.com/services/T0/B0/s3cret",
    digestSeconds: null,
  });
  const keyed = await owe({ url: "https://hooks.example.com/edgr?key=s3cret" });
  for (const { id } of [chat, keyed]) {
    await bench.attempt(id);
    const { body, text } = await bench.get(`${LIST}/${id}`);
    expect(text).not.toContain("s3cret");
    expect(String(body.curl)).toContain('--url "$WEBHOOK_URL"');
  }
});

test("the verification says which keys signed the last request", async () => {
  const { id, endpointId } = await owe();
  await bench.attempt(id);
  const endpoint = await bench.get(`/webhooks/endpoints/${endpointId}`);
  const before = (await bench.get(`${LIST}/${id}`)).body.verification;
  const sent = bench.sent.at(-1);
  expect(before).toMatchObject({
    id: sent?.headers["webhook-id"],
    signedContent: `${sent?.headers["webhook-id"]}.${sent?.headers["webhook-timestamp"]}.${sent?.body}`,
    secrets: [{ isVerified: true }],
    publicKey: { key: endpoint.body.publicKey, isVerified: true },
    isRecent: true,
  });
  await bench.post(`/webhooks/endpoints/${endpointId}/secrets/rotate`, {});
  const after = (await bench.get(`${LIST}/${id}`)).body.verification;
  expect(after).toMatchObject({ secrets: [{ isVerified: false }, { isVerified: true }] });
});

test("a chat's request is not signed", async () => {
  const { id } = await owe({
    type: "discord",
    url: "https://discord.com/api/webhooks/1/abc",
    digestSeconds: null,
  });
  await bench.attempt(id);
  expect((await bench.get(`${LIST}/${id}`)).body.verification).toBeNull();
});

test("a delivery says what it waits for", async () => {
  const waiting = async (id: string) => (await bench.get(`${LIST}/${id}`)).body.waiting;
  const { id, endpointId } = await owe();
  expect(await waiting(id)).toMatchObject({ code: "turn", until: null });
  const until = new Date(Date.now() + 3_600_000);
  await sql`update webhook_health set open_until = ${until} where endpoint_id = ${endpointId}`.execute(
    bench.db,
  );
  expect(await waiting(id)).toMatchObject({ code: "endpoint_paused", until: until.toISOString() });
  await bench.post(`/webhooks/endpoints/${endpointId}/disable`, {});
  expect(await waiting(id)).toMatchObject({ code: "endpoint_disabled", until: null });
});

test("one that is to come in order waits for those before it", async () => {
  const { id, endpointId } = await owe({ strictOrder: true, eventTypes: ["email_*"] });
  const behind = await bench.deliveryOf(endpointId, await bench.happen("email_opened"));
  expect((await bench.get(`${LIST}/${behind}`)).body.waiting).toMatchObject({ code: "order" });
  await bench.post(`${LIST}/${id}/cancel`);
  expect((await bench.get(`${LIST}/${behind}`)).body.waiting).toMatchObject({ code: "turn" });
});

test("the log outlives its endpoint", async () => {
  const { id, endpointId } = await owe();
  await bench.attempt(id);
  await bench.api.call("DELETE", `/api/v1/webhooks/endpoints/${endpointId}`);
  const { status, body } = await bench.get(`${LIST}/${id}`);
  expect([status, body.endpoint]).toEqual([200, { id: endpointId, type: null, url: null }]);
  expect(body).toMatchObject({ status: "delivered", payloadIs: "kept", verification: null });
  expect(await ids(`endpointId=${endpointId}`)).toEqual([id]);
});
