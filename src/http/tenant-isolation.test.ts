import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { createTestApp, type TestApp } from "../../test/support/app.ts";
import { contactRoutes } from "../contacts/routes.ts";
import { customerRoutes } from "../customers/routes.ts";
import { suppressionRoutes } from "../suppressions/routes.ts";

let api: TestApp;

beforeAll(async () => {
  api = await createTestApp([
    customerRoutes(),
    contactRoutes(),
    suppressionRoutes({ now: () => new Date() }),
  ]);
});
afterAll(() => api.close());

/** Every route on one thing: how the thing is made, and what another customer then tries with it. */
const things: { path: string; made: object; tries: { method: string; body?: object }[] }[] = [
  {
    path: "/api/v1/contacts",
    made: { email: "mine@example.com", tags: ["mine"] },
    tries: [{ method: "GET" }, { method: "PATCH", body: { tags: ["theirs"] } }, { method: "DELETE" }],
  },
  { path: "/api/v1/suppressions", made: { email: "mine@example.com" }, tries: [{ method: "DELETE" }] },
];

async function contents(customerId: string): Promise<string> {
  const { rows } = await sql`
    select (select json_agg(c) from contact c where customer_id = ${customerId}) as contacts,
      (select json_agg(s) from suppression s where customer_id = ${customerId}) as suppressions,
      (select json_agg(c) from customer c where customer_id = ${customerId}) as customer`.execute(
    api.database.db,
  );
  return JSON.stringify(rows);
}

test("the table above has every route on one thing", async () => {
  const document = await (await api.app.request("/openapi.json")).json();
  const paths: Record<string, object> = document.paths;
  const documented = Object.entries(paths).flatMap(([path, item]) =>
    path.includes("{") ? Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`) : [],
  );
  const tried = things.flatMap(({ path, tries }) => tries.map(({ method }) => `${method} ${path}/{id}`));
  expect(tried.sort()).toEqual(documented.sort());
});

test.each(things)("one customer's $path are not there for another", async ({ path, made, tries }) => {
  const thief = await api.createCustomer(`thief of ${path}`);
  const { body, status } = await api.call("POST", path, { body: made });
  expect(status).toBe(201);
  const before = await contents(api.customer.id);
  for (const { method, body: stolen } of tries) {
    const options = stolen === undefined ? { customer: thief } : { customer: thief, body: stolen };
    expect((await api.call(method, `${path}/${body.id}`, options)).status).toBe(404);
  }
  expect((await api.call("GET", path, { customer: thief })).body.items).toEqual([]);
  expect(await contents(api.customer.id)).toBe(before);
});

test("what one customer has does not stand in another's way", async () => {
  const neighbour = await api.createCustomer("neighbour");
  const body = { email: "shared@example.com", telegramChatId: 77 };
  await api.call("POST", "/api/v1/contacts", { body });
  expect((await api.call("POST", "/api/v1/contacts", { body, customer: neighbour })).status).toBe(201);
  const bulk = { contacts: [{ email: "shared@example.com", tags: ["neighbour"], telegramChatId: 77 }] };
  const answer = await api.call("POST", "/api/v1/contacts/bulk", { body: bulk, customer: neighbour });
  expect(answer.body).toMatchObject({ created: 0, updated: 1, refused: [] });
  const mine = await api.call("GET", "/api/v1/contacts?email=shared@example.com");
  expect(mine.body.items[0]?.tags).toEqual([]);
});

test("a suppression of one customer does not mark another's contact", async () => {
  const neighbour = await api.createCustomer("other neighbour");
  await api.call("POST", "/api/v1/suppressions", { body: { email: "both@example.com" } });
  const { body } = await api.call("POST", "/api/v1/contacts", {
    body: { email: "both@example.com" },
    customer: neighbour,
  });
  const contact = await api.call("GET", `/api/v1/contacts/${body.id}`, { customer: neighbour });
  expect(contact.body.suppressed).toEqual([]);
});

test("a change of the account is a change of one's own", async () => {
  const neighbour = await api.createCustomer("third neighbour");
  await api.call("PATCH", "/api/v1/customer", { body: { ipPolicy: "none" }, customer: neighbour });
  expect((await api.call("GET", "/api/v1/customer")).body.ipPolicy).toBe("whole");
});
