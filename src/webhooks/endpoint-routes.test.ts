import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { createTestApp, type TestApp, type TestCustomer } from "../../test/support/app.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { createEgress } from "../egress/client.ts";
import { createIsOpened } from "../egress/opened.ts";
import { newId } from "../events/id.ts";
import { openEndpoint } from "./endpoint-queries.ts";
import { endpointRoutes } from "./endpoint-routes.ts";
import { endpointStatusRoutes } from "./endpoint-status-routes.ts";
import { secretRoutes } from "./secret-routes.ts";
import { signatureHeaders, verify } from "./sign.ts";

const PATH = "/api/v1/webhooks/endpoints";
const HOOK = "https://hooks.example.com/edgr";
const SLACK = "https://hooks.slack.com/services/T0000/B0000/XXsecretXX";
const DISCORD = "https://discord.com/api/webhooks/1234567890/a-secret_token";

const ADDRESSES: { [host: string]: string } = {
  "inner.example.com": "10.1.2.3",
  "opened.example.com": "10.9.0.1",
};
const resolve = async (host: string) => {
  if (host.startsWith("nowhere.")) throw Object.assign(new Error("not found"), { code: "ENOTFOUND" });
  return [{ address: ADDRESSES[host] ?? "93.184.216.34", family: 4 }];
};

let api: TestApp;

beforeAll(async () => {
  const allow = ["10.9.0.0/16"];
  const egress = createEgress({ allow, resolve });
  const encryptionKey = TEST_ENCRYPTION_KEY;
  const deps = { egress, isOpened: createIsOpened({ allow, resolve }), encryptionKey, randomBytes };
  api = await createTestApp([
    endpointRoutes(deps),
    endpointStatusRoutes({ onAppend: () => {} }),
    secretRoutes(deps),
  ]);
});
afterAll(() => api.close());

const post = (body: object, more: { customer?: TestCustomer; headers?: Record<string, string> } = {}) =>
  api.call("POST", PATH, { body: { type: "custom", url: HOOK, ...body }, ...more });
const change = (id: string, body: object) => api.call("PATCH", `${PATH}/${id}`, { body });
const open = (id: string) => openEndpoint(api.database.db, TEST_ENCRYPTION_KEY, api.customer.id, id);

async function create(body: object = {}, customer = api.customer) {
  const answer = await post(body, { customer });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body;
}

async function states(id: string) {
  const { rows } = await sql<{
    version: number;
    since: number;
    types: string[];
    status: string;
    reason: string | null;
  }>`
    select version, since_position as since, type_patterns as types, status, reason from webhook_endpoint_state
    where customer_id = ${api.customer.id} and endpoint_id = ${id} order by version`.execute(api.database.db);
  return rows;
}

describe("an endpoint", () => {
  test("is kept with its defaults, and its secret shown once", async () => {
    const { secret, ...created } = await create();
    expect(created).toMatchObject({
      type: "custom",
      url: HOOK,
      description: null,
      eventTypes: ["*"],
      campaignIds: null,
      includeAutomatic: false,
      headerNames: [],
      ratePerSecond: null,
      maxConcurrency: 10,
      strictOrder: false,
      digestSeconds: null,
      digestTypes: [],
      retrySchedule: null,
      payloadVersion: 1,
      publicKey: expect.stringMatching(/^whpk_[A-Za-z0-9+/]{43}=$/),
      status: "enabled",
      disabled: null,
      health: { consecutiveFailures: 0, failingSince: null, pausedUntil: null, lastDeliveredAt: null },
      version: 1,
    });
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const read = await api.call("GET", `${PATH}/${created.id}`);
    expect(read.body).toEqual(created);
  });

  test("keeps what it was given", async () => {
    const given = {
      description: "The CRM",
      eventTypes: ["email_*", "unsubscribed"],
      includeAutomatic: true,
      ratePerSecond: 2.5,
      maxConcurrency: 3,
      strictOrder: true,
      retrySchedule: [0, 10, 60],
    };
    const { id } = await create({ ...given, headers: { Authorization: "Bearer abc" } });
    expect((await api.call("GET", `${PATH}/${id}`)).body).toMatchObject({
      ...given,
      headerNames: ["Authorization"],
    });
    expect(await open(id)).toMatchObject({
      url: HOOK,
      headers: { Authorization: "Bearer abc" },
      retrySchedule: [0, 10, 60],
      ratePerSecond: 2.5,
      maxConcurrency: 3,
      strictOrder: true,
      payloadVersion: 1,
    });
    expect((await states(id))[0]?.types).toEqual(["email\\_%", "unsubscribed"]);
  });

  test("of a chat gathers by default, goes slowly, and has no secret to sign with", async () => {
    for (const [type, url] of [
      ["slack", SLACK],
      ["discord", DISCORD],
    ]) {
      const created = await create({ type, url });
      expect(created).toMatchObject({
        secret: null,
        publicKey: null,
        ratePerSecond: 1,
        maxConcurrency: 1,
        digestSeconds: 300,
        digestTypes: expect.arrayContaining(["email_opened"]),
      });
      expect((await open(created.id))?.secrets).toEqual([]);
    }
    expect(
      await create({ type: "slack", url: SLACK, digestSeconds: null, ratePerSecond: null }),
    ).toMatchObject({
      digestSeconds: null,
      ratePerSecond: null,
    });
  });

  test("shows no secret in any answer but the first, nor in any row", async () => {
    const headers = { "X-Key": "hush-hush" };
    const custom = await create({ url: `${HOOK}?key=hush-hush`, headers });
    const slack = await create({ type: "slack", url: SLACK });
    const secret = String(custom.secret);
    const answers = [
      await api.call("GET", `${PATH}/${custom.id}`),
      await api.call("GET", `${PATH}/${slack.id}`),
      await api.call("GET", PATH),
      await api.call("GET", `${PATH}/${custom.id}/secrets`),
      await change(custom.id, { description: "Other", headers }),
      await change(custom.id, { headers: { ...headers, Host: "hush-hush" } }),
      await change(custom.id, { headers: { "X-Key": "hush-hush\n" } }),
      await change(slack.id, { url: "http://XXsecretXX.example.com/" }),
      await api.call("POST", `${PATH}/${custom.id}/disable`, { body: {} }),
    ];
    for (const { text } of answers) {
      for (const hidden of ["hush-hush", secret, secret.slice(6, 30)]) expect(text).not.toContain(hidden);
      expect(text.replace("XXsecretXX.example.com", "")).not.toContain("XXsecretXX");
    }
    const { rows } = await sql<{ row: string }>`
      select concat(e::text, encode(e.url, 'escape'), encode(e.headers, 'escape'), encode(e.private_key, 'escape'),
        (select string_agg(encode(s.secret, 'escape'), '') from webhook_secret s), (select string_agg(l.data::text, '') from event_log l))
        as row
      from webhook_endpoint e`.execute(api.database.db);
    for (const { row } of rows) {
      for (const hidden of ["hush-hush", "XXsecretXX", "whsk_", secret.slice(6, 30)])
        expect(row).not.toContain(hidden);
    }
  });

  test("is made once by requests with one Idempotency-Key", async () => {
    const headers = { "Idempotency-Key": "endpoint-1" };
    const [first, second] = [
      await post({ description: "once" }, { headers }),
      await post({ description: "once" }, { headers }),
    ];
    expect(second.text).toBe(first.text);
    expect(second.headers.get("Idempotency-Replayed")).toBe("true");
  });

  test("whose secret is shown again to a repeat leaves none readable in what is kept for that", async () => {
    const made = await post({}, { headers: { "Idempotency-Key": "secret-1" } });
    const rotated = await api.call("POST", `${PATH}/${made.body.id}/secrets/rotate`, {
      body: {},
      headers: { "Idempotency-Key": "secret-2" },
    });
    const { rows } = await sql<{ row: string }>`
      select concat(k::text, encode(k.sealed, 'escape')) as row from idempotency_key k
      where key in ('secret-1', 'secret-2')`.execute(api.database.db);
    expect(rows).toHaveLength(2);
    for (const { row } of rows) {
      expect(row).not.toContain("whsec_");
      for (const { text } of [made, rotated])
        expect(row).not.toContain(/whsec_([^"]+)/.exec(text)?.[1] ?? row);
    }
  });

  test("stands in a list, newest first, that goes on where the page before ended", async () => {
    const neighbour = await api.createCustomer("lists endpoints");
    const ids: string[] = [];
    for (const description of ["a", "b", "c"]) ids.unshift((await create({ description }, neighbour)).id);
    const page = (query: string) => api.call("GET", `${PATH}?limit=2${query}`, { customer: neighbour });
    const first = await page("");
    const second = await page(`&cursor=${first.body.nextCursor}`);
    expect([...first.body.items, ...second.body.items].map(({ id }) => id)).toEqual(ids);
    expect(second.body.nextCursor).toBeNull();
  });
});

describe("what is refused", () => {
  test.each([
    ["url", { url: "http://93.184.216.34/" }, "must be https"],
    ["url", { url: "https://127.0.0.1/" }, "leads to 127.0.0.1, which is this machine itself"],
    ["url", { url: "https://inner.example.com/" }, "leads to 10.1.2.3, which is in a private network"],
    ["url", { url: "https://nowhere.example.com/" }, "can't be found"],
    ["url", { url: "https://user:pass@example.com/" }, "must not contain a user name"],
    ["url", { url: "ftp://example.com/" }, "must be an http or https address"],
    ["url", { type: "slack" }, "must be of the form https://hooks.slack.com/"],
    ["url", { type: "discord", url: SLACK }, "must be of the form https://discord.com/"],
    ["type", { type: "teams" }, 'must be "custom", "slack" or "discord"'],
    ["eventTypes.1", { eventTypes: ["*", "email_open"] }, "the nearest is email_opened"],
    ["eventTypes", { eventTypes: [] }, "must name at least one type"],
    ["headers.Host", { headers: { Host: "a" } }, "names the server"],
    ["headers.webhook-id", { headers: { "webhook-id": "a" } }, "is kept for the signature"],
    ["headers.x-a", { headers: { "X-A": "a", "x-a": "b" } }, "is given twice"],
    ["campaignIds.0", { campaignIds: ["01989c2a-7d3c-7cc3-98c4-dc0c0c07398f"] }, "is no campaign of yours"],
    ["digestSeconds", { digestSeconds: 60 }, "is only for chats"],
    ["digestTypes.0", { type: "slack", url: SLACK, digestTypes: ["opened"] }, "the nearest is email_opened"],
    ["maxConcurrency", { maxConcurrency: 0 }, ""],
    ["retrySchedule", { retrySchedule: Array.from({ length: 6 }, () => 86_400) }, "must end within 5 days"],
    ["secret", { secret: "whsec_mine" }, "is not a known field"],
  ])("%s of %p", async (field, body, reason) => {
    const answer = await post(body);
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
    expect(answer.body.errors[0]?.reason).toContain(reason);
  });

  test("a plain address is taken where the operator opened the way, and only there", async () => {
    expect((await post({ url: "http://opened.example.com:9000/" })).status).toBe(201);
    expect((await post({ type: "slack", url: "http://10.9.0.7:9000/slack" })).status).toBe(201);
    expect((await post({ url: "http://example.com/" })).status).toBe(400);
  });
});

describe("a change", () => {
  test("keeps what it does not mention, secrets and keys also with another address", async () => {
    const created = await create({ headers: { "X-Key": "a" }, eventTypes: ["email_*"], description: "a" });
    const before = await open(created.id);
    const url = "https://other.example.com/";
    const { body } = await change(created.id, { url });
    expect(body).toMatchObject({ url, eventTypes: ["email_*"], description: "a", version: 1 });
    const after = await open(created.id);
    expect<unknown>(after).toEqual({ ...before, url, revision: expect.any(String) });
    expect(after?.revision).not.toBe(before?.revision);
    await change(created.id, { headers: {} });
    expect((await open(created.id))?.headers).toEqual({});
  });

  test("that sends back the masked address leaves the address as it is", async () => {
    const { id } = await create({ type: "slack", url: SLACK });
    const { url } = (await api.call("GET", `${PATH}/${id}`)).body;
    expect(url).toBe("https://hooks.slack.com/services/T0000/B0000/…");
    expect((await change(id, { url, description: "x" })).status).toBe(200);
    expect((await open(id))?.url).toBe(SLACK);
  });

  test("of what is told makes another version, from the event on that the projector has come to", async () => {
    const { id } = await create({ eventTypes: ["email_*"] });
    await sql`update projector_cursor set position = position + 7`.execute(api.database.db);
    await change(id, { eventTypes: ["unsubscribed"] });
    await change(id, { eventTypes: ["unsubscribed"], maxConcurrency: 2 });
    const [first, second, ...more] = await states(id);
    expect(more).toEqual([]);
    expect(first).toMatchObject({ version: 1, types: ["email\\_%"], status: "enabled" });
    expect(second).toMatchObject({ version: 2, types: ["unsubscribed"], since: (first?.since ?? 0) + 7 });
  });

  test("is checked as a new endpoint is", async () => {
    const { id } = await create();
    for (const body of [
      { url: "https://10.0.0.1/" },
      { eventTypes: ["nothing"] },
      { headers: { Host: "a" } },
      { digestSeconds: 60 },
      { type: "slack" },
    ]) {
      expect((await change(id, body)).status).toBe(400);
    }
  });
});

describe("switched off and on", () => {
  test("it says why, by whom and since when, and the log has it once", async () => {
    const { id } = await create();
    const disable = (reason: string) => api.call("POST", `${PATH}/${id}/disable`, { body: { reason } });
    expect((await disable("The CRM moves.")).body).toMatchObject({
      status: "disabled",
      disabled: { by: "person", reason: "The CRM moves.", since: expect.any(String) },
    });
    expect((await disable("Again.")).body).toMatchObject({ disabled: { reason: "The CRM moves." } });
    const { rows } = await sql`
      select data from event_log where type = 'endpoint_disabled' and data ->> 'endpointId' = ${id}`.execute(
      api.database.db,
    );
    expect(rows).toEqual([{ data: { endpointId: id, url: HOOK, by: "person", reason: "The CRM moves." } }]);
    expect((await states(id)).map(({ status, reason }) => [status, reason])).toEqual([
      ["enabled", null],
      ["disabled", "The CRM moves."],
    ]);
  });

  test("enabling forgets that it failed, and keeps what is pending", async () => {
    const { id } = await create();
    await api.call("POST", `${PATH}/${id}/disable`, { body: {} });
    await owe(id, "pending");
    await sql`
      update webhook_health set failing_since = now(), consecutive_failures = 9, open_until = now(), opened_times = 3,
        ramp = 1, slowed_until = now(), last_failure = '500'
      where endpoint_id = ${id}`.execute(api.database.db);
    expect((await api.call("GET", `${PATH}/${id}`)).body).toMatchObject({
      health: { consecutiveFailures: 9 },
    });
    const { body } = await api.call("POST", `${PATH}/${id}/enable`);
    expect(body).toMatchObject({
      status: "enabled",
      disabled: null,
      health: { consecutiveFailures: 0, failingSince: null, pausedUntil: null, slowedUntil: null },
    });
    expect(await deliveries(id)).toEqual(["pending"]);
    expect((await states(id)).map(({ status }) => status)).toEqual(["enabled", "disabled", "enabled"]);
    await api.call("POST", `${PATH}/${id}/enable`);
    expect(await states(id)).toHaveLength(3);
  });
});

test("deleting cancels what is pending and keeps the log", async () => {
  const { id } = await create();
  await owe(id, "pending");
  await owe(id, "delivered");
  expect((await api.call("DELETE", `${PATH}/${id}`)).status).toBe(204);
  expect((await api.call("GET", `${PATH}/${id}`)).status).toBe(404);
  expect((await api.call("DELETE", `${PATH}/${id}`)).status).toBe(404);
  expect(await deliveries(id)).toEqual(["cancelled", "delivered"]);
  expect(await states(id)).toEqual([]);
  expect(await open(id)).toBeNull();
});

describe("secrets", () => {
  const rotate = (id: string, body: object) => api.call("POST", `${PATH}/${id}/secrets/rotate`, { body });
  const listed = async (id: string) => (await api.call("GET", `${PATH}/${id}/secrets`)).body.items;

  test("both sign while they overlap, the newest first, and the old one ends", async () => {
    const created = await create();
    const { body: rotated } = await rotate(created.id, { overlapSeconds: 60 });
    expect((await open(created.id))?.secrets).toEqual([String(rotated.secret), String(created.secret)]);
    const items = await listed(created.id);
    expect(items).toMatchObject([
      { id: rotated.id, expiresAt: null, last4: String(rotated.secret).slice(-4) },
      { expiresAt: expect.any(String), last4: String(created.secret).slice(-4) },
    ]);
    await sql`
      update webhook_secret set expires_at = now() where endpoint_id = ${created.id} and expires_at is not null`.execute(
      api.database.db,
    );
    expect((await open(created.id))?.secrets).toEqual([String(rotated.secret)]);
    expect(await listed(created.id)).toHaveLength(1);
  });

  test("an overlap of nothing ends the old one at once", async () => {
    const { id } = await create();
    const { body } = await rotate(id, { overlapSeconds: 0 });
    expect((await open(id))?.secrets).toEqual([String(body.secret)]);
  });

  test("another rotation does not prolong what was to end sooner", async () => {
    const { id } = await create();
    await rotate(id, { overlapSeconds: 60 });
    const [, old] = await listed(id);
    await rotate(id, { overlapSeconds: 3_600 });
    expect((await listed(id))[2]?.expiresAt).toBe(old?.expiresAt);
  });

  test("an old one may be revoked before it ends, the newest may not", async () => {
    const created = await create();
    const { body: rotated } = await rotate(created.id, {});
    const [newest, old] = await listed(created.id);
    const revoke = (secretId: string | undefined) =>
      api.call("DELETE", `${PATH}/${created.id}/secrets/${secretId}`);
    const before = (await open(created.id))?.revision;
    expect((await revoke(newest?.id)).status).toBe(409);
    expect((await revoke(old?.id)).status).toBe(204);
    expect((await revoke(old?.id)).status).toBe(404);
    const after = await open(created.id);
    expect(after?.secrets).toEqual([String(rotated.secret)]);
    expect(after?.revision).not.toBe(before);
  });

  test("there are five at most, and none of a chat", async () => {
    const { id } = await create();
    for (const _ of [1, 2, 3, 4]) expect((await rotate(id, {})).status).toBe(200);
    expect((await rotate(id, {})).status).toBe(409);
    const slack = await create({ type: "slack", url: SLACK });
    expect((await rotate(slack.id, {})).status).toBe(409);
  });

  test("the key pair is the one whose public half is shown", async () => {
    const { id, publicKey } = await create();
    const endpoint = await open(id);
    if (endpoint === null) throw new Error("it is there");
    const headers = signatureHeaders({ id: "evt_1", timestamp: 1_000, body: "{}" }, endpoint);
    expect(verify({ ...headers }, "{}", String(publicKey), 1_000)).toEqual({ ok: true });
  });
});

describe("stats", () => {
  test("of an endpoint that has done nothing are empty", async () => {
    const { id } = await create();
    expect((await api.call("GET", `${PATH}/${id}/stats`)).body).toMatchObject({
      pending: 0,
      oldestPendingSeconds: null,
      last24Hours: { delivered: 0, failed: 0, successRate: null, p50Ms: null, p95Ms: null },
    });
  });

  test("count what is pending and how attempts of the last day went", async () => {
    const { id } = await create();
    await owe(id, "pending", 120);
    await owe(id, "pending", 60);
    await owe(id, "delivered", 600);
    for (const ms of [10, 20, 30]) await tried(id, "delivered", { ms });
    await tried(id, "failed", { ms: 15_000, status: null });
    await tried(id, "delivered", { ms: 9_000, hoursAgo: 25 });
    await tried(id, "running", { ms: 1 });
    const { body } = await api.call("GET", `${PATH}/${id}/stats`);
    expect(body).toMatchObject({
      pending: 2,
      last24Hours: { delivered: 3, failed: 1, successRate: 0.75, p50Ms: 20, p95Ms: 29 },
    });
    expect(Math.round(Number(body.oldestPendingSeconds) / 10)).toBe(12);
  });
});

async function owe(endpointId: string, status: string, secondsAgo = 0): Promise<void> {
  await sql`
    insert into webhook_delivery (customer_id, endpoint_id, event_id, kind, event_type, event_at, position, status,
      due_at, finished_at, schedule_at)
    values (${api.customer.id}, ${endpointId}, ${newId()}, 'event', 'email_opened', now(),
      1000000 - ${secondsAgo}::int, ${status}, ${status === "pending" ? new Date() : null},
      ${status === "pending" ? null : new Date()}, now() - make_interval(secs => ${secondsAgo}))`.execute(
    api.database.db,
  );
}

async function deliveries(endpointId: string): Promise<string[]> {
  const { rows } = await sql<{ status: string }>`
    select status from webhook_delivery where endpoint_id = ${endpointId} order by status`.execute(
    api.database.db,
  );
  return rows.map(({ status }) => status);
}

async function tried(
  endpointId: string,
  outcome: string,
  { ms, status = 200, hoursAgo = 0 }: { ms: number; status?: number | null; hoursAgo?: number },
): Promise<void> {
  const id = newId(Date.now() - hoursAgo * 3_600_000);
  await sql`
    insert into webhook_attempt (customer_id, id, delivery_id, endpoint_id, event_id, number, trigger, started_at,
      outcome, status, timings)
    values (${api.customer.id}, ${id}, ${newId()}, ${endpointId}, ${newId()}, 1, 'automatic', now(), ${outcome},
      ${status}, ${JSON.stringify({ totalMs: ms })}::jsonb)`.execute(api.database.db);
}
