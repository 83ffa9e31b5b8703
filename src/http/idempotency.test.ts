import { afterAll, beforeAll, expect, test } from "bun:test";
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { sql } from "kysely";
import { createTestApp, type TestApp } from "../../test/support/app.ts";
import { insertContact } from "../contacts/queries.ts";
import { contactRoutes } from "../contacts/routes.ts";
import { newId } from "../events/id.ts";
import type { ApiEnv, ApiRoutes } from "./env.ts";
import { json } from "./openapi.ts";
import { purgeIdempotencyKeys } from "./queries.ts";

let api: TestApp;

beforeAll(async () => {
  api = await createTestApp([contactRoutes(), crashingRoutes()]);
});
afterAll(() => api.close());

/** Writes, then fails: what a crash in the middle of a request looks like to the database. */
function crashingRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();
  const route = createRoute({ method: "post", path: "/crash", responses: { 200: json(z.null(), "Never") } });
  routes.openapi(route, async (c) => {
    await insertContact(c.var.db, c.var.customerId, contact("crash@example.com"));
    throw new Error("the process died here");
  });
  return routes;
}

const contact = (email: string) => ({
  id: newId(),
  email,
  telegramChatId: null,
  timeZone: null,
  attributes: {},
  tags: [],
});

const create = (email: string, key: string, customer = api.customer) =>
  api.call("POST", "/api/v1/contacts", { body: { email }, headers: { "Idempotency-Key": key }, customer });

async function count(email: string): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*) as n from contact where email = ${email}`.execute(
    api.database.db,
  );
  return rows[0]?.n ?? 0;
}

async function isRemembered(key: string): Promise<boolean> {
  const { rows } = await sql`select key from idempotency_key where key = ${key}`.execute(api.database.db);
  return rows.length > 0;
}

test("the same request with the same key is answered again and not done again", async () => {
  const first = await create("once@example.com", "k1");
  const second = await create("once@example.com", "k1");
  expect(first.status).toBe(201);
  expect(first.headers.has("Idempotency-Replayed")).toBe(false);
  expect(second.status).toBe(201);
  expect(second.headers.get("Idempotency-Replayed")).toBe("true");
  expect(second.text).toBe(first.text);
  expect(await count("once@example.com")).toBe(1);
});

test("twenty requests at the same moment with the same key are one", async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => create("race@example.com", "k2")));
  expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
  expect(answers.map((answer) => answer.status)).toEqual(Array(20).fill(201));
  expect(answers.filter((answer) => !answer.headers.has("Idempotency-Replayed"))).toHaveLength(1);
});

test("another request with the same key is refused and not done", async () => {
  await create("one@example.com", "k3");
  const other = await create("two@example.com", "k3");
  expect(other.status).toBe(422);
  expect(other.body.errors[0]?.field).toBe("Idempotency-Key");
  expect(await count("two@example.com")).toBe(0);
});

test("a handler that dies after its write leaves neither the write nor the key", async () => {
  const answer = await api.call("POST", "/api/v1/crash", { headers: { "Idempotency-Key": "k4" } });
  expect(answer.status).toBe(500);
  expect(await count("crash@example.com")).toBe(0);
  expect(await isRemembered("k4")).toBe(false);
});

test("a refusal is not remembered: the key works once the request is right", async () => {
  await create("taken@example.com", "k5");
  expect((await create("taken@example.com", "k6")).status).toBe(409);
  expect(await isRemembered("k6")).toBe(false);
  expect((await create("free@example.com", "k6")).status).toBe(201);
});

test("what is kept of an answer can be read by nobody who reads the database", async () => {
  const answer = await create("sealed@example.com", "k10");
  const { rows } = await sql<{ row: string }>`
    select concat(k::text, encode(k.sealed, 'escape')) as row from idempotency_key k where key = 'k10'`.execute(
    api.database.db,
  );
  expect(rows).toHaveLength(1);
  for (const told of ["sealed@example.com", answer.body.id, '"attributes"']) {
    expect(rows[0]?.row).not.toContain(told);
  }
});

test("an answer put in another's place is not given away: the repeat is told that it was done", async () => {
  await create("mine@example.com", "k11");
  await create("other@example.com", "k12");
  await sql`
    update idempotency_key set sealed = (select sealed from idempotency_key where key = 'k12')
    where key = 'k11'`.execute(api.database.db);
  const repeat = await create("mine@example.com", "k11");
  expect(repeat.status).toBe(409);
  expect(repeat.body.errors[0]?.field).toBe("Idempotency-Key");
  expect(repeat.text).not.toContain("other@example.com");
  expect(await count("mine@example.com")).toBe(1);
});

test("an answer that was kept before answers were sealed is given again", async () => {
  const first = await create("old@example.com", "k13");
  await sql`
    update idempotency_key set sealed = null, body = ${first.text} where key = 'k13'`.execute(
    api.database.db,
  );
  const repeat = await create("old@example.com", "k13");
  expect(repeat.status).toBe(201);
  expect(repeat.text).toBe(first.text);
});

test("two customers may use the same key", async () => {
  const other = await api.createCustomer("other");
  const mine = await create("same@example.com", "k7");
  const theirs = await create("same@example.com", "k7", other);
  expect(theirs.status).toBe(201);
  expect(theirs.body.id).not.toBe(mine.body.id);
});

test.each([["k".repeat(256)], ["clé"], [""]])("the key %p is refused", async (key) => {
  const answer = await create("never@example.com", key);
  expect(answer.status).toBe(400);
  expect(answer.body.errors[0]?.field).toBe("Idempotency-Key");
});

test("keys are forgotten after a day", async () => {
  await create("yesterday@example.com", "k8");
  await create("today@example.com", "k9");
  await sql`update idempotency_key set created_at = now() - interval '25 hours' where key = 'k8'`.execute(
    api.database.db,
  );
  expect(await purgeIdempotencyKeys(api.database.db)).toBe(1);
  expect([await isRemembered("k8"), await isRemembered("k9")]).toEqual([false, true]);
});
