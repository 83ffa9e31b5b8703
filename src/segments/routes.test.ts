import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import { createTestApp, type TestApp, type TestCustomer } from "../../test/support/app.ts";
import { append, projectAll } from "../../test/support/campaigns.ts";
import { contactRoutes } from "../contacts/routes.ts";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { segmentRoutes } from "./routes.ts";

const DAY_MS = 86_400_000;

let api: TestApp;
let thief: TestCustomer;
let people: Record<"ann" | "bea" | "cem", string>;

beforeAll(async () => {
  api = await createTestApp([contactRoutes(), segmentRoutes({ now: () => new Date() })]);
  thief = await api.createCustomer("thief");
  const create = async (name: string, more: object) =>
    (await ok("POST", "/contacts", { email: `${name}@example.com`, ...more })).id;
  people = {
    ann: await create("ann", { tags: ["vip"], attributes: { plan: "pro" } }),
    bea: await create("bea", { attributes: { plan: "pro" } }),
    cem: await create("cem", { tags: ["vip"], attributes: { plan: "free" } }),
  };
  const opened = (contactId: string, daysAgo: number) => {
    const at = new Date(Date.now() - daysAgo * DAY_MS);
    const id = newId(at.getTime());
    const customerId = api.customer.id;
    return newEvent({ id, type: "email_opened", at, customerId, contactId, agent: "human" });
  };
  await append(api.database.db, opened(people.ann, 2), opened(people.bea, 40));
  await projectAll(api.database.db);
});
afterAll(() => api.close());

async function call(method: string, path: string, body?: unknown, customer = api.customer) {
  return await api.call(method, `/api/v1${path}`, { body, customer });
}

async function ok(method: string, path: string, body?: unknown) {
  const answer = await call(method, path, body);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.body;
}

const PRO = { attribute: "plan", is: "equals", value: "pro" };

describe("a segment", () => {
  test("is made, read, listed, changed and deleted", async () => {
    const made = await call("POST", "/segments", { name: "Pro", filter: PRO });
    expect<unknown>([made.status, made.body]).toEqual([
      201,
      {
        id: expect.any(String),
        name: "Pro",
        filter: PRO,
        createdAt: expect.any(String),
        updatedAt: expect.any(String),
      },
    ]);
    const path = `/segments/${made.body.id}`;
    expect(await ok("GET", path)).toEqual(made.body);
    expect((await ok("GET", "/segments?limit=1")).items).toEqual([made.body]);
    const changed = await ok("PATCH", path, { filter: { tag: "vip" } });
    expect(changed).toMatchObject({ name: "Pro", filter: { tag: "vip" } });
    expect(await ok("PATCH", path, { name: "VIP" })).toMatchObject({ name: "VIP", filter: { tag: "vip" } });
    expect((await call("DELETE", path)).status).toBe(204);
    for (const gone of ["", "/count", "/contacts"]) expect((await call("GET", path + gone)).status).toBe(404);
    expect((await call("PATCH", path, { name: "VIP" })).status).toBe(404);
    expect((await call("DELETE", path)).status).toBe(404);
  });

  test("counts and lists who fits, newest first, page by page", async () => {
    const { id } = await ok("POST", "/segments", {
      name: "VIP or pro",
      filter: { any: [{ tag: "vip" }, PRO] },
    });
    expect<unknown>(await ok("GET", `/segments/${id}/count`)).toEqual({ count: 3 });
    const first = await ok("GET", `/segments/${id}/contacts?limit=2`);
    expect(first.items.map((item) => item.id)).toEqual([people.cem, people.bea]);
    const second = await ok("GET", `/segments/${id}/contacts?limit=2&cursor=${first.nextCursor}`);
    expect(second).toMatchObject({
      items: [{ id: people.ann, email: "ann@example.com", tags: ["vip"] }],
      nextCursor: null,
    });
  });

  test.each<[string, unknown, ("ann" | "bea" | "cem")[]]>([
    ["opened in the last 30 days", { event: "email_opened", within: "P30D" }, ["ann"]],
    ["ever opened", { event: "email_opened" }, ["bea", "ann"]],
    ["not opened in the last 30 days", { not: { event: "email_opened", within: "P30D" } }, ["cem", "bea"]],
    [
      "opened something of a campaign that does not exist",
      { event: "email_opened", campaignId: newId() },
      [],
    ],
    ["a name that would end a string", { tag: "' or true --" }, []],
  ])("of who has %s", async (_, filter, expected) => {
    const found = await ok("POST", "/segments/preview", { filter });
    const sample = Array.isArray(found.sample) ? found.sample : [];
    expect([found.count, sample.map((contact) => contact.id)]).toEqual([
      expected.length,
      expected.map((name) => people[name]),
    ]);
  });

  test("shows ten in a preview, and counts all", async () => {
    const customer = await api.createCustomer("many");
    await sql`
      insert into contact (customer_id, id, email) select ${customer.id}, new_id(), 'm' || n || '@example.com'
      from generate_series(1, 15) n`.execute(api.database.db);
    const { body } = await call("POST", "/segments/preview", { filter: { all: [] } }, customer);
    expect([body.count, Array.isArray(body.sample) && body.sample.length]).toEqual([15, 10]);
  });

  test.each([
    ["without a name", { filter: PRO }, "name"],
    ["without a filter", { name: "x" }, "filter"],
    ["with something else", { name: "x", filter: PRO, count: 1 }, "count"],
    [
      "with an operator that is none",
      { name: "x", filter: { any: [{ ...PRO, is: "like" }] } },
      "filter.any.0.is",
    ],
    [
      "that asks what a node gave",
      { name: "x", filter: { not: { node: "hook", output: "status", is: "exists" } } },
      "filter.not.node",
    ],
  ])("%s is refused, and the field named", async (_, body, field) => {
    const answer = await call("POST", "/segments", body);
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
  });

  test("whose stored filter is no longer valid says so when it is used, and can be changed", async () => {
    const { id } = await ok("POST", "/segments", { name: "Old", filter: PRO });
    await sql`update segment set filter = '{"attribute": "plan", "is": "resembles"}' where id = ${id}`.execute(
      api.database.db,
    );
    const answer = await call("GET", `/segments/${id}/count`);
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([409, "filter.is"]);
    expect((await call("GET", `/segments/${id}`)).status).toBe(200);
    await ok("PATCH", `/segments/${id}`, { filter: PRO });
    expect<unknown>(await ok("GET", `/segments/${id}/count`)).toEqual({ count: 2 });
  });

  test("of one customer is not there for another, nor are its contacts", async () => {
    const { id } = await ok("POST", "/segments", { name: "Mine", filter: { all: [] } });
    const path = `/segments/${id}`;
    for (const [method, of, body] of [
      ["GET", path],
      ["PATCH", path, { name: "stolen" }],
      ["DELETE", path],
      ["GET", `${path}/count`],
      ["GET", `${path}/contacts`],
    ] as const) {
      expect((await call(method, of, body, thief)).status).toBe(404);
    }
    expect((await call("GET", "/segments", undefined, thief)).body.items).toEqual([]);
    const { body } = await call("POST", "/segments/preview", { filter: { all: [] } }, thief);
    expect<unknown>(body).toEqual({ count: 0, sample: [] });
    expect(await ok("GET", path)).toMatchObject({ name: "Mine" });
  });
});
