import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { createTestApp, type TestApp, type TestCustomer } from "../../test/support/app.ts";
import { uploadFile } from "../../test/support/upload.ts";
import { contactRoutes } from "../contacts/routes.ts";
import { suppressionRoutes } from "../suppressions/routes.ts";
import { refusalRoutes } from "./refusal-routes.ts";
import { importRoutes } from "./routes.ts";
import { workOnImport } from "./run-imports.ts";

const IMPORTS = "/api/v1/suppressions/imports";
let api: TestApp;

beforeAll(async () => {
  api = await createTestApp([
    importRoutes("suppressions"),
    importRoutes("contacts"),
    refusalRoutes("suppressions", { log: { error: () => {} } }),
    suppressionRoutes({ now: () => new Date() }),
    contactRoutes(),
  ]);
});
afterAll(() => api.close());

async function importFile(customer: TestCustomer, file: string, settings: object = {}) {
  const { body } = await uploadFile(api, IMPORTS, file, customer);
  const started = await api.call("POST", `${IMPORTS}/${body.id}/start`, { body: settings, customer });
  expect(started.status).toBe(200);
  while (await workOnImport(api.database.db, 1_000));
  return (await api.call("GET", `${IMPORTS}/${body.id}`, { customer })).body;
}

async function listed(customer: TestCustomer): Promise<string[]> {
  const { items } = (await api.call("GET", "/api/v1/suppressions?limit=200", { customer })).body;
  return items.map(({ channel, address, reason }) => `${channel} ${address} ${reason}`).sort();
}

test("addresses, domains and chats are taken, with reasons as other systems call them", async () => {
  const customer = await api.createCustomer("reasons");
  const file = [
    "Email;Channel;Reason;Created",
    "Ann@Example.com;;Unsubscribed;2025-01-02",
    "bob@example.com;email;hard_bounce;2025-01-02T03:04:05Z",
    "bob@example.com;;spam;",
    "@Blocked.Example;;;",
    "-1001234;telegram;blocked;",
  ].join("\n");
  const { progress } = await importFile(customer, file, { reason: "complaint" });
  expect(progress).toMatchObject({ rows: 5, created: 5, refused: 0 });
  expect(await listed(customer)).toEqual([
    "email @blocked.example complaint",
    "email ann@example.com unsubscribe",
    "email bob@example.com bounce",
    "email bob@example.com complaint",
    "telegram -1001234 blocked",
  ]);
  const { items } = (await api.call("GET", "/api/v1/suppressions?email=ann@example.com", { customer })).body;
  expect(items).toMatchObject([{ createdAt: "2025-01-02T00:00:00.000Z" }]);
});

test("a list of addresses needs no header", async () => {
  const customer = await api.createCustomer("bare list");
  await importFile(customer, "ann@example.com\nbob@example.com\n", { reason: "bounce" });
  expect(await listed(customer)).toEqual(["email ann@example.com bounce", "email bob@example.com bounce"]);
});

test("what is there already, in the list or in the file, is left as it is", async () => {
  const customer = await api.createCustomer("there already");
  await api.call("POST", "/api/v1/suppressions", { body: { email: "ann@example.com" }, customer });
  const { progress } = await importFile(
    customer,
    "email\nANN@example.com\nbob@example.com\nBob@example.com\n",
  );
  expect(progress).toMatchObject({ rows: 3, created: 1, unchanged: 2 });
});

test("a contact's activity will show that it was suppressed, once", async () => {
  const customer = await api.createCustomer("activity");
  const body = { email: "Ann@example.com" };
  const { id } = (await api.call("POST", "/api/v1/contacts", { body, customer })).body;
  for (const _ of [1, 2]) await importFile(customer, "email,reason\nann@example.com,complaint\n");
  const { rows } = await sql`
    select type, data from event_log where customer_id = ${customer.id} and contact_id = ${id}`.execute(
    api.database.db,
  );
  expect(rows).toEqual([{ type: "contact_suppressed", data: { reason: "complaint" } }]);
  expect((await api.call("GET", `/api/v1/contacts/${id}`, { customer })).body.suppressed).toEqual([
    "complaint",
  ]);
});

test("lines that are wrong are refused, naming what is", async () => {
  const customer = await api.createCustomer("wrong");
  const file = [
    "address,channel,reason,createdAt",
    "nobody,,,",
    "@com,,,",
    ",,manual,",
    "ann@example.com,sms,,",
    "ann@example.com,,tired,",
    "ann@example.com,,,yesterday",
    "ann@example.com,telegram,,",
  ].join("\n");
  const { id, progress } = await importFile(customer, file);
  expect(progress).toMatchObject({ rows: 7, created: 0, refused: 7 });
  const { items } = (await api.call("GET", `${IMPORTS}/${id}/refusals`, { customer })).body;
  expect(items.map(({ row, field }) => [row, field])).toEqual([
    [2, "address"],
    [3, "address"],
    [4, "address"],
    [5, "channel"],
    [6, "reason"],
    [7, "createdAt"],
    [8, "address"],
  ]);
});

test("an import of suppressions is not one of contacts", async () => {
  const { body } = await uploadFile(api, IMPORTS, "email\nann@example.com\n");
  expect((await api.call("GET", `/api/v1/contacts/imports/${body.id}`)).status).toBe(404);
  expect((await api.call("POST", `/api/v1/contacts/imports/${body.id}/start`, { body: {} })).status).toBe(
    404,
  );
});
