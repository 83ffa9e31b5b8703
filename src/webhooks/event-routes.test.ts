import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { z } from "@hono/zod-openapi";
import { sql } from "kysely";
import { createTestApp, type TestApp } from "../../test/support/app.ts";
import { createContacts, projectAll, TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { addEndpoint, happenIn } from "../../test/support/webhook-api.ts";
import type { Event } from "../events/event.ts";
import { endpointRoutes } from "./endpoint-routes.ts";
import { endpointStatusRoutes } from "./endpoint-status-routes.ts";
import { eventRoutes } from "./event-routes.ts";
import { fate as fateSchema } from "./event-schema.ts";

let api: TestApp;
let contactId: string;

beforeAll(async () => {
  const deps = { encryptionKey: TEST_ENCRYPTION_KEY, randomBytes, isOpened: async () => false };
  api = await createTestApp([
    eventRoutes(),
    endpointRoutes({ ...deps, egress: { refusal: async () => null } }),
    endpointStatusRoutes({ onAppend: () => {} }),
  ]);
  contactId = (await createContacts(api.database.db, api.customer.id, 1))[0] ?? "";
});
afterAll(() => api.close());

const get = (path: string) => api.call("GET", `/api/v1${path}`);

const happen = (type: Event["type"], more: Partial<Event> = {}) =>
  happenIn(api, type, { contactId, ...more });
const createEndpoint = (settings?: object) => addEndpoint(api, settings);

/** The reason why an endpoint was not told of an event; `told` when it was. */
async function fate(eventId: string, endpointId: string): Promise<string> {
  const { delivery, notSent } = await fateOf(eventId, endpointId);
  return delivery === null ? (notSent?.code ?? "nothing said") : "told";
}

async function fateOf(eventId: string, endpointId: string): Promise<z.infer<typeof fateSchema>> {
  const { body } = await get(`/events/${eventId}/deliveries`);
  const found = z
    .array(fateSchema)
    .parse(body.items)
    .find(({ endpoint }) => endpoint.id === endpointId);
  if (found === undefined) throw new Error("the endpoint is not there");
  return found;
}

test("the log is listed newest first, page by page, and one event is read", async () => {
  const ids = [await happen("unsubscribed"), await happen("resubscribed"), await happen("unsubscribed")];
  const first = await get("/events?limit=2");
  expect(first.body.items.map(({ id }) => id)).toEqual(ids.slice(1).toReversed());
  const second = await get(`/events?limit=2&cursor=${first.body.nextCursor}`);
  expect(second.body.items[0]?.id).toBe(ids[0]);
  expect((await get(`/events/${ids[0]}`)).body).toMatchObject({
    id: ids[0],
    type: "unsubscribed",
    contactId,
  });
});

test("the log is filtered by type, pattern, contact and time", async () => {
  const [other = ""] = await createContacts(
    api.database.db,
    await api.createCustomer("x").then(({ id }) => id),
    1,
  );
  const left = await happen("topic_left", { at: new Date("2026-01-01T00:00:00Z") });
  const list = async (query: string) => (await get(`/events?${query}`)).body.items.map(({ id }) => id);
  expect(await list("type=topic_left")).toEqual([left]);
  expect((await list("type=topic_*"))[0]).toBe(left);
  expect(await list(`type=topic_left&contactId=${contactId}`)).toEqual([left]);
  expect(await list(`contactId=${other}`)).toEqual([]);
  const before = new Date(Date.now() - 3_600_000).toISOString();
  expect(await list(`type=topic_left&from=${before}`)).toEqual([left]);
  expect(await list(`type=topic_left&to=${before}`)).toEqual([]);
});

test.each([
  ["type=open%25", "type"],
  ["from=yesterday", "from"],
  ["contactId=7", "contactId"],
])("a filter of %s is refused with its field", async (query, field) => {
  const answer = await get(`/events?${query}`);
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
});

test("each endpoint says whether it was told, or why not", async () => {
  const early = await happen("unsubscribed");
  const all = await createEndpoint();
  const hits = await createEndpoint({ eventTypes: ["email_*"] });
  const gathering = await createEndpoint({
    type: "slack",
    url: "https://hooks.slack.com/services/T0000/B0000/XXsecretXX",
    eventTypes: ["*"],
    digestTypes: ["unsubscribed"],
    digestSeconds: 60,
  });
  expect(await fate(early, all)).toBe("not_there");
  const late = await happen("unsubscribed");
  expect(await fate(late, all)).toBe("told");
  expect(await fate(late, hits)).toBe("type");
  expect(await fate(late, gathering)).toBe("gathered");
  expect(await fate(await happen("email_opened", { agent: "scanner" }), hits)).toBe("automatic");
  expect(await fate(await happen("timer_elapsed"), all)).toBe("internal");
});

test("what an endpoint was when the event came counts, not what it is now", async () => {
  const endpoint = await createEndpoint({ eventTypes: ["topic_left"] });
  const event = await happen("unsubscribed");
  await api.call("PATCH", `/api/v1/webhooks/endpoints/${endpoint}`, { body: { eventTypes: ["*"] } });
  expect(await fate(event, endpoint)).toBe("type");
  expect(await fate(await happen("unsubscribed"), endpoint)).toBe("told");
});

test("an endpoint that was disabled says so with the reason, and is not told of that itself", async () => {
  const endpoint = await createEndpoint();
  const watcher = await createEndpoint();
  const body = { reason: "We move." };
  await api.call("POST", `/api/v1/webhooks/endpoints/${endpoint}/disable`, { body });
  await projectAll(api.database.db);
  const [disabled] = (await get("/events?type=endpoint_disabled&limit=1")).body.items;
  expect(await fate(disabled?.id ?? "", endpoint)).toBe("itself");
  expect(await fate(disabled?.id ?? "", watcher)).toBe("told");
  const missed = await happen("unsubscribed");
  const { notSent } = await fateOf(missed, endpoint);
  expect(notSent?.code).toBe("disabled");
  expect(notSent?.reason).toContain("We move.");
});

test("of a campaign that the endpoint is not told of it says so", async () => {
  const { db } = api.database;
  const { rows } = await sql<{ id: string }>`
    insert into campaign (customer_id, id, name, nodes, edges)
    values (${api.customer.id}, new_id(), 'Welcome', '[]', '[]') returning id`.execute(db);
  const campaignId = rows[0]?.id ?? "";
  const endpoint = await createEndpoint({ campaignIds: [campaignId] });
  expect(await fate(await happen("unsubscribed"), endpoint)).toBe("campaign");
  expect(await fate(await happen("unsubscribed", { campaignId }), endpoint)).toBe("told");
});

test("another customer has no such event", async () => {
  const id = await happen("unsubscribed");
  const customer = await api.createCustomer("thief");
  expect((await api.call("GET", `/api/v1/events/${id}`, { customer })).status).toBe(404);
  expect((await api.call("GET", `/api/v1/events/${id}/deliveries`, { customer })).status).toBe(404);
  expect((await api.call("GET", "/api/v1/events", { customer })).body.items).toEqual([]);
});
