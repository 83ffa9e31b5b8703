import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { createTestApp, type TestApp, type TestCustomer } from "../../test/support/app.ts";
import { suppressionRoutes } from "../suppressions/routes.ts";
import { mergeAttributes } from "./merge.ts";
import { contactRoutes } from "./routes.ts";
import { MAX_ATTRIBUTES_BYTES } from "./schema.ts";

let api: TestApp;

beforeAll(async () => {
  api = await createTestApp([contactRoutes(), suppressionRoutes({ now: () => new Date() })]);
});
afterAll(() => api.close());

const post = (body: object, customer = api.customer) =>
  api.call("POST", "/api/v1/contacts", { body, customer });
const read = (id: string) => api.call("GET", `/api/v1/contacts/${id}`);
const patch = (id: string, body: object) => api.call("PATCH", `/api/v1/contacts/${id}`, { body });
const bulk = (contacts: unknown[], customer = api.customer) =>
  api.call("POST", "/api/v1/contacts/bulk", { body: { contacts }, customer });
const findByEmail = async (email: string, customer = api.customer) =>
  (await api.call("GET", `/api/v1/contacts?email=${email}`, { customer })).body.items[0];

test("a contact comes back as it was given, with an id and times", async () => {
  const given = {
    email: "Ann@Example.com",
    telegramChatId: 4_815_162_342,
    timeZone: "Europe/Paris",
    attributes: { firstName: "Ann", visits: 3, address: { city: "Paris" }, "naïve 🙂": [1, null] },
    tags: ["vip", "early bird"],
  };
  const created = await post(given);
  expect(created.status).toBe(201);
  expect(created.body).toMatchObject(given);
  expect(created.body.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  expect(created.body.createdAt).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  expect((await read(created.body.id)).body).toEqual({ ...created.body, suppressed: [] });
});

test("tags are trimmed and kept once; an attribute given as null is not kept", async () => {
  const { body } = await post({
    email: "tags@example.com",
    tags: [" a ", "b", "a"],
    attributes: { a: 1, b: null },
  });
  expect(body).toMatchObject({ tags: ["a", "b"], attributes: { a: 1 } });
});

test("a second contact with the same email, in whatever case, is a conflict that names the first", async () => {
  const first = await post({ email: "twice@example.com" });
  const second = await post({ email: "TWICE@example.com" });
  expect(second.status).toBe(409);
  expect(second.body.errors).toEqual([{ field: "email", reason: `belongs to the contact ${first.body.id}` }]);
});

test("a second contact with the same Telegram chat is a conflict", async () => {
  const first = await post({ telegramChatId: 1001 });
  const second = await post({ email: "chat@example.com", telegramChatId: 1001 });
  expect(second.body.errors).toEqual([
    { field: "telegramChatId", reason: `belongs to the contact ${first.body.id}` },
  ]);
});

test("twenty creations of one email at the same moment make one contact", async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => post({ email: "crowd@example.com" })));
  expect(answers.map((answer) => answer.status).sort()).toEqual([201, ...Array(19).fill(409)]);
});

test.each([["a+b@example.co.uk"], ["o'brien@example.com"], ["root@localhost"], ["x@xn--bcher-kva.example"]])(
  "%s is an email address",
  async (email) => {
    expect((await post({ email })).status).toBe(201);
  },
);

test.each([
  ["a@b@example.com"],
  ["a@example"],
  ["@example.com"],
  ["a@-example.com"],
  ["a@.com"],
  ["a b@example.com"],
  ["ann@bücher.example"],
  [`${"a".repeat(65)}@example.com`],
  [`a@${"b.".repeat(130)}com`],
])("%s is not an email address", async (email) => {
  const answer = await post({ email });
  expect(answer.status).toBe(400);
  expect(answer.body.errors[0]?.field).toBe("email");
});

test("a contact shows every reason not to mail it", async () => {
  const { body } = await post({ email: "Reasons@example.com" });
  for (const reason of ["unsubscribe", "bounce"]) {
    await api.call("POST", "/api/v1/suppressions", { body: { email: "reasons@EXAMPLE.com", reason } });
  }
  expect((await read(body.id)).body.suppressed).toEqual(["bounce", "unsubscribe"]);
});

test("a change merges attributes, replaces tags and leaves the rest", async () => {
  const { body } = await post({
    email: "change@example.com",
    attributes: { a: 1, b: { c: 2 } },
    tags: ["old"],
  });
  const changed = await patch(body.id, { attributes: { b: null, d: [4] }, tags: ["new"] });
  expect(changed.status).toBe(200);
  expect(changed.body).toMatchObject({
    email: "change@example.com",
    attributes: { a: 1, d: [4] },
    tags: ["new"],
    createdAt: body.createdAt,
  });
  expect((await patch(body.id, { timeZone: "UTC" })).body).toMatchObject({ tags: ["new"], timeZone: "UTC" });
});

test("changes of different attributes at the same moment all stay", async () => {
  const { body } = await post({ email: "busy@example.com" });
  await Promise.all(Array.from({ length: 10 }, (_, n) => patch(body.id, { attributes: { [`a${n}`]: n } })));
  expect(Object.keys((await read(body.id)).body.attributes ?? {})).toHaveLength(10);
});

test("a change may not leave a contact without an address, take another's, or outgrow the attributes", async () => {
  const rival = await post({ email: "rival@example.com" });
  const { body } = await post({ email: "still@example.com", attributes: { a: "a".repeat(40_000) } });
  expect((await patch(body.id, { email: null })).body.errors[0]?.field).toBe("email");
  const conflict = await patch(body.id, { email: "Rival@example.com" });
  expect(conflict.status).toBe(409);
  expect(conflict.body.errors).toEqual([
    { field: "email", reason: `belongs to the contact ${rival.body.id}` },
  ]);
  expect((await patch(body.id, { attributes: { b: "b".repeat(40_000) } })).body.errors[0]?.field).toBe(
    "attributes",
  );
  expect((await read(body.id)).body).toEqual({ ...body, suppressed: [] });
});

test("a contact may change the case of its own email", async () => {
  const { body } = await post({ email: "case@example.com" });
  expect((await patch(body.id, { email: "Case@example.com" })).body.email).toBe("Case@example.com");
});

test("a deleted contact is gone, and its suppression stays", async () => {
  const { body } = await post({ email: "gone@example.com" });
  await api.call("POST", "/api/v1/suppressions", { body: { email: "gone@example.com" } });
  expect((await api.call("DELETE", `/api/v1/contacts/${body.id}`)).status).toBe(204);
  expect((await read(body.id)).status).toBe(404);
  expect((await patch(body.id, {})).status).toBe(404);
  expect((await api.call("DELETE", `/api/v1/contacts/${body.id}`)).status).toBe(404);
  const again = await post({ email: "gone@example.com" });
  expect((await read(again.body.id)).body.suppressed).toEqual(["manual"]);
});

test("a list is filtered by email, in whatever case, and by tag", async () => {
  const { body } = await post({ email: "Filter@example.com", tags: ["filtered", "x"] });
  expect((await findByEmail("filter@EXAMPLE.com"))?.id).toBe(body.id);
  const tagged = await api.call("GET", "/api/v1/contacts?tag=filtered");
  expect(tagged.body.items.map((item) => item.id)).toEqual([body.id]);
  expect((await api.call("GET", "/api/v1/contacts?tag=filtered&email=other@example.com")).body.items).toEqual(
    [],
  );
});

test("pages go from the newest to the oldest, each contact once, whatever is added meanwhile", async () => {
  const customer = await api.createCustomer("pages");
  const emails = Array.from({ length: 7 }, (_, n) => `page${n}@example.com`);
  for (const email of emails) await post({ email }, customer);
  const seen: unknown[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? "" : `&cursor=${cursor}`;
    const { body } = await api.call("GET", `/api/v1/contacts?limit=3${query}`, { customer });
    seen.push(...body.items.map((item) => item.email));
    cursor = body.nextCursor;
    await post({ email: `late${seen.length}@example.com` }, customer);
  } while (cursor !== null);
  expect(seen.sort()).toEqual(emails);
});

test("a page that just holds the rest is the last", async () => {
  const customer = await api.createCustomer("exact page");
  await bulk([{ email: "a@example.com" }, { email: "b@example.com" }], customer);
  const { body } = await api.call("GET", "/api/v1/contacts?limit=2", { customer });
  expect(body.items).toHaveLength(2);
  expect(body.nextCursor).toBeNull();
});

test("a bulk request creates, updates and refuses row by row", async () => {
  const customer = await api.createCustomer("bulk");
  await post(
    { email: "old@example.com", timeZone: "UTC", tags: ["a", "b"], attributes: { x: 1, y: 2 } },
    customer,
  );
  const answer = await bulk(
    [
      { email: "OLD@example.com", tags: ["c", "a"], attributes: { y: null, z: 3 } },
      { email: "new@example.com", telegramChatId: 5, attributes: { a: null, b: 1 } },
      { email: "not an address" },
      { telegramChatId: 6 },
      "a string",
      { email: "typo@example.com", tgas: [] },
    ],
    customer,
  );
  expect(answer.status).toBe(200);
  expect(answer.body).toEqual(
    expect.objectContaining({
      created: 1,
      updated: 1,
      refused: [
        { index: 2, field: "email", reason: "must be an email address such as ann@example.com" },
        { index: 3, field: "email", reason: "is required" },
        { index: 4, field: "body", reason: "must be of type object, not string" },
        { index: 5, field: "tgas", reason: "is not a known field" },
      ],
    }),
  );
  expect(await findByEmail("old@example.com", customer)).toMatchObject({
    email: "old@example.com",
    timeZone: "UTC",
    tags: ["a", "b", "c"],
    attributes: { x: 1, z: 3 },
  });
  expect(await findByEmail("new@example.com", customer)).toMatchObject({
    telegramChatId: 5,
    attributes: { b: 1 },
  });
});

test("of several rows with one email the last wins", async () => {
  const customer = await api.createCustomer("last wins");
  const rows = [
    { email: "a@example.com", tags: ["first"] },
    { email: "A@example.com", tags: ["last"] },
  ];
  expect((await bulk(rows, customer)).body).toMatchObject({ created: 1, updated: 0, refused: [] });
  expect((await findByEmail("a@example.com", customer))?.tags).toEqual(["last"]);
});

test("a bulk row can't take a chat that belongs to somebody else, there or in the same request", async () => {
  const customer = await api.createCustomer("chats");
  await post({ email: "owner@example.com", telegramChatId: 1 }, customer);
  const rows = [
    { email: "thief@example.com", telegramChatId: 1 },
    { email: "early@example.com", telegramChatId: 2 },
    { email: "late@example.com", telegramChatId: 2 },
  ];
  expect((await bulk(rows, customer)).body).toMatchObject({
    created: 1,
    updated: 0,
    refused: [
      { index: 0, field: "telegramChatId", reason: "belongs to another contact" },
      { index: 1, field: "telegramChatId", reason: "is also that of row 2" },
    ],
  });
  expect((await bulk([{ email: "Owner@example.com", telegramChatId: 1 }], customer)).body.updated).toBe(1);
});

test("a bulk row that would outgrow a contact's limits is refused, the others are taken", async () => {
  const customer = await api.createCustomer("limits");
  const half = "a".repeat(MAX_ATTRIBUTES_BYTES / 2);
  await post({ email: "full@example.com", attributes: { a: half } }, customer);
  await post({ email: "tagged@example.com", tags: Array.from({ length: 100 }, (_, n) => `t${n}`) }, customer);
  const rows = [
    { email: "full@example.com", attributes: { b: half } },
    { email: "tagged@example.com", tags: ["one more"] },
    { email: "fine@example.com" },
  ];
  const { body } = await bulk(rows, customer);
  expect(body).toMatchObject({ created: 1, updated: 0, refused: [{ index: 0 }, { index: 1 }] });
  expect((await findByEmail("full@example.com", customer))?.attributes).toEqual({ a: half });
});

test("bulk requests with the same people in another order, at the same moment, all succeed", async () => {
  const customer = await api.createCustomer("deadlock");
  const rows = Array.from({ length: 300 }, (_, n) => ({ email: `p${n}@example.com`, attributes: { n } }));
  const orders = Array.from({ length: 6 }, (_, n) => (n % 2 === 0 ? rows : rows.toReversed()));
  const answers = await Promise.all(orders.map((order) => bulk(order, customer)));
  expect(answers.map((answer) => answer.status)).toEqual(Array(6).fill(200));
  expect(answers.map((answer) => Number(answer.body.created)).reduce((a, b) => a + b)).toBe(300);
});

test("ten thousand contacts go in one request", async () => {
  const customer: TestCustomer = await api.createCustomer("many");
  const rows = Array.from({ length: 10_000 }, (_, n) => ({
    email: `m${n}@example.com`,
    attributes: { n },
    tags: ["m"],
  }));
  expect((await bulk(rows, customer)).body).toMatchObject({ created: 10_000, updated: 0, refused: [] });
});

test("merging a change of attributes twice is merging it once", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.dictionary(fc.string(), fc.jsonValue()),
      (a, b) => {
        const existing = JSON.parse(JSON.stringify(a));
        const change = JSON.parse(JSON.stringify(b));
        const once = mergeAttributes(existing, change);
        expect(mergeAttributes(once, change)).toEqual(once);
      },
    ),
  );
});
