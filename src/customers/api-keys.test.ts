import { afterAll, beforeEach, expect, test } from "bun:test";
import { sql } from "kysely";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { createApiKey, ensureFirstCustomer, hashApiKey, listApiKeys, revokeApiKey } from "./api-keys.ts";
import { findCustomerByKey, touchApiKey } from "./queries.ts";

const SECRET = "a-key-the-operator-chose";
const database: TestDatabase = await createTestDatabase();
const { db } = database;

beforeEach(async () => {
  await sql`truncate api_key, customer cascade`.execute(db);
});
afterAll(() => database.close());

async function customers(): Promise<unknown[]> {
  const { rows } = await sql<{ name: string }>`select name from customer order by customer_id`.execute(db);
  return rows.map((row) => row.name);
}

test("a key is 32 random bytes after edgr_, and only its hash is kept", async () => {
  const { key } = await createApiKey(db, { customerName: "acme", name: "laptop" });
  expect(key).toMatch(/^edgr_[A-Za-z0-9_-]{43}$/);
  const { rows } = await sql`select to_jsonb(k) as row from api_key k`.execute(db);
  expect(JSON.stringify(rows)).not.toContain(key);
  expect(await findCustomerByKey(db, hashApiKey(key))).not.toBeNull();
});

test("a key makes its customer when there is none of that name", async () => {
  const first = await createApiKey(db, { customerName: "acme", name: "laptop" });
  const second = await createApiKey(db, { customerName: "acme", name: "server" });
  expect([first.customerCreated, second.customerCreated]).toEqual([true, false]);
  expect(await customers()).toEqual(["acme"]);
  expect(await listApiKeys(db)).toMatchObject([
    { id: first.id, customerName: "acme", name: "laptop", prefix: first.key.slice(0, 12), revokedAt: null },
    { id: second.id, name: "server" },
  ]);
});

test("the same key can't be made twice", async () => {
  await createApiKey(db, { customerName: "acme", name: "first", key: SECRET });
  const again = createApiKey(db, { customerName: "other", name: "second", key: SECRET });
  await expect(again).rejects.toMatchObject({ code: "conflict" });
});

test("a short key shows no more than a quarter of itself", async () => {
  await createApiKey(db, { customerName: "acme", name: "short", key: "0123456789abcdef" });
  expect(await listApiKeys(db)).toMatchObject([{ prefix: "0123" }]);
});

test("a key is revoked by its id or its prefix and then belongs to nobody", async () => {
  const one = await createApiKey(db, { customerName: "acme", name: "one" });
  const two = await createApiKey(db, { customerName: "acme", name: "two" });
  await revokeApiKey(db, one.id);
  await revokeApiKey(db, two.key.slice(0, 12));
  expect(await findCustomerByKey(db, hashApiKey(one.key))).toBeNull();
  expect(await findCustomerByKey(db, hashApiKey(two.key))).toBeNull();
});

test("a prefix of several keys, or of none, revokes nothing", async () => {
  const { key } = await createApiKey(db, { customerName: "acme", name: "one" });
  await createApiKey(db, { customerName: "acme", name: "two" });
  for (const prefix of ["edgr_", "", "other", "%"]) {
    await expect(revokeApiKey(db, prefix)).rejects.toThrow();
  }
  expect(await findCustomerByKey(db, hashApiKey(key))).not.toBeNull();
});

test("the first start makes the customer default with the operator's key", async () => {
  await ensureFirstCustomer(db, SECRET);
  expect(await customers()).toEqual(["default"]);
  expect(await listApiKeys(db)).toMatchObject([{ customerName: "default", name: "EDGR_API_KEY" }]);
  expect(await findCustomerByKey(db, hashApiKey(SECRET))).not.toBeNull();
});

test("ten first starts at the same moment make one customer and one key", async () => {
  await Promise.all(Array.from({ length: 10 }, () => ensureFirstCustomer(db, SECRET)));
  await ensureFirstCustomer(db, SECRET);
  expect(await customers()).toEqual(["default"]);
  expect(await listApiKeys(db)).toHaveLength(1);
});

test("a later start adds a new operator's key to the first customer, whatever it is called by now", async () => {
  await ensureFirstCustomer(db, null);
  await sql`update customer set name = 'renamed'`.execute(db);
  await ensureFirstCustomer(db, SECRET);
  expect(await customers()).toEqual(["renamed"]);
  expect(await listApiKeys(db)).toMatchObject([{ customerName: "renamed" }]);
});

test("a restart does not bring a revoked key back", async () => {
  await ensureFirstCustomer(db, SECRET);
  const [key] = await listApiKeys(db);
  await revokeApiKey(db, key?.id ?? "");
  await ensureFirstCustomer(db, SECRET);
  expect(await findCustomerByKey(db, hashApiKey(SECRET))).toBeNull();
});

test("when a key was last used is noted at most once a minute", async () => {
  await createApiKey(db, { customerName: "acme", name: "used", key: SECRET });
  await touchApiKey(db, hashApiKey(SECRET));
  const [first] = await listApiKeys(db);
  await touchApiKey(db, hashApiKey(SECRET));
  expect((await listApiKeys(db))[0]?.lastUsedAt).toEqual(first?.lastUsedAt ?? null);
  await sql`update api_key set last_used_at = now() - interval '61 seconds'`.execute(db);
  const [before] = await listApiKeys(db);
  await touchApiKey(db, hashApiKey(SECRET));
  expect((await listApiKeys(db))[0]?.lastUsedAt).not.toEqual(before?.lastUsedAt ?? null);
});
