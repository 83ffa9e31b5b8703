import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { createTestApp, type TestApp } from "../../test/support/app.ts";
import { contactRoutes } from "../contacts/routes.ts";
import { customerRoutes } from "../customers/routes.ts";
import { suppressionRoutes } from "../suppressions/routes.ts";

const KIB = 1024;
let api: TestApp;
let before: string;

beforeAll(async () => {
  api = await createTestApp([
    customerRoutes(),
    contactRoutes(),
    suppressionRoutes({ now: () => new Date() }),
  ]);
  await api.call("POST", "/api/v1/contacts", { body: { email: "there@example.com" } });
  before = await contents();
});
afterAll(() => api.close());

/** Everything a request could have written. */
async function contents(): Promise<string> {
  const { rows } = await sql`
    select (select json_agg(c) from contact c) as contacts, (select json_agg(s) from suppression s) as suppressions,
      (select json_agg(c) from customer c) as customers, (select json_agg(k) from idempotency_key k) as keys,
      (select count(*) from event_log) as events`.execute(api.database.db);
  return JSON.stringify(rows);
}

const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
const attributes = (json: string) => `{"email":"a@example.com","attributes":${json}}`;

const bodies: [
  name: string,
  method: string,
  path: string,
  body: unknown,
  status: number,
  field: string | null,
][] = [
  ["a NUL in a name", "PATCH", "/customer", { name: "a\0b" }, 400, "name"],
  ["a NUL deep inside", "POST", "/contacts", attributes('{"a":[{"b":"x\\u0000"}]}'), 400, "attributes.a.0.b"],
  ["a NUL in a key", "POST", "/contacts", attributes('{"x\\u0000":1}'), 400, "attributes.x\0"],
  ["half a surrogate pair", "POST", "/contacts", attributes('{"a":"\\ud800"}'), 400, "attributes.a"],
  [
    "half a surrogate pair in a tag",
    "POST",
    "/contacts",
    '{"email":"a@b.co","tags":["\\udfff"]}',
    400,
    "tags.0",
  ],
  ["__proto__", "POST", "/contacts", attributes('{"__proto__":{"admin":true}}'), 400, "attributes.__proto__"],
  [
    "constructor",
    "POST",
    "/contacts",
    attributes('{"a":{"constructor":1}}'),
    400,
    "attributes.a.constructor",
  ],
  ["prototype at the top", "POST", "/suppressions", '{"prototype":1}', 400, "prototype"],
  ["33 levels", "POST", "/contacts", attributes(nested(32)), 400, `attributes${".a".repeat(31)}`],
  ["100,000 levels", "POST", "/contacts", attributes(nested(100_000)), 400, `attributes${".a".repeat(31)}`],
  ["an open bracket 500,000 times", "POST", "/contacts", "[".repeat(500_000), 400, "body"],
  ["a number beyond all bounds", "POST", "/contacts", attributes('{"n":1e999}'), 400, "attributes.n"],
  ["a megabyte as a name", "PATCH", "/customer", { name: "a".repeat(1_000_000) }, 400, "name"],
  [
    "a megabyte as an email",
    "POST",
    "/contacts",
    { email: `${"a".repeat(1_000_000)}@example.com` },
    400,
    "email",
  ],
  ["a megabyte as a key", "POST", "/contacts", { ["k".repeat(1_000_000)]: 1 }, 400, "k".repeat(200)],
  [
    "65 KiB of attributes",
    "POST",
    "/contacts",
    attributes(JSON.stringify({ a: "a".repeat(65 * KIB) })),
    400,
    "attributes",
  ],
  [
    "more than a MiB",
    "POST",
    "/contacts",
    attributes(JSON.stringify({ a: "a".repeat(1024 * KIB) })),
    413,
    null,
  ],
  ["more than 10 MiB in bulk", "POST", "/contacts/bulk", `"${"a".repeat(10 * 1024 * KIB)}"`, 413, null],
  ["10,001 contacts", "POST", "/contacts/bulk", { contacts: Array(10_001).fill(0) }, 400, "contacts"],
  ["no contacts", "POST", "/contacts/bulk", { contacts: [] }, 400, "contacts"],
  ["CRLF in a name", "PATCH", "/customer", { name: "a\r\nBcc: victim@example.com" }, 400, "name"],
  [
    "a carriage return in an address",
    "PATCH",
    "/customer",
    { postalAddress: "Street\r\nBcc: x" },
    400,
    "postalAddress",
  ],
  ["a line separator in a name", "PATCH", "/customer", { name: "a\u2028b" }, 400, "name"],
  ["CRLF in an email", "POST", "/contacts", { email: "a@example.com\r\nBcc: b@example.com" }, 400, "email"],
  [
    "two addresses in an email",
    "POST",
    "/suppressions",
    { email: "a@example.com, b@example.com" },
    400,
    "email",
  ],
  ["a name with the address", "POST", "/contacts", { email: "Ann <a@example.com>" }, 400, "email"],
  ["an email without a domain", "POST", "/contacts", { email: "ann" }, 400, "email"],
  ["CRLF in a tag", "POST", "/contacts", { email: "a@example.com", tags: ["a\r\nb"] }, 400, "tags.0"],
  ["an unknown field", "POST", "/contacts", { email: "a@example.com", admin: true }, 400, "admin"],
  ["a number as an email", "POST", "/contacts", { email: 1 }, 400, "email"],
  ["an object as tags", "POST", "/contacts", { email: "a@example.com", tags: { 0: "a" } }, 400, "tags"],
  [
    "a list as attributes",
    "POST",
    "/contacts",
    { email: "a@example.com", attributes: [] },
    400,
    "attributes",
  ],
  ["a fraction as a chat", "POST", "/contacts", { telegramChatId: 1.5 }, 400, "telegramChatId"],
  [
    "a chat beyond 53 bits",
    "POST",
    "/contacts",
    '{"telegramChatId":9007199254740993}',
    400,
    "telegramChatId",
  ],
  [
    "an offset as a time zone",
    "POST",
    "/contacts",
    { email: "a@example.com", timeZone: "+01:00" },
    400,
    "timeZone",
  ],
  [
    "an unknown time zone",
    "POST",
    "/contacts",
    { email: "a@example.com", timeZone: "Mars/Olympus" },
    400,
    "timeZone",
  ],
  ["neither email nor chat", "POST", "/contacts", {}, 400, "email"],
  [
    "an unknown reason",
    "POST",
    "/suppressions",
    { email: "a@example.com", reason: "because" },
    400,
    "reason",
  ],
  [
    "a reason that is Telegram's",
    "POST",
    "/suppressions",
    { email: "a@example.com", reason: "blocked" },
    400,
    "reason",
  ],
  ["a list as the body", "POST", "/contacts", "[]", 400, "body"],
  ["null as the body", "POST", "/contacts", "null", 400, "body"],
  ["a string as the body", "PATCH", "/customer", '"name"', 400, "body"],
  ["an empty body", "POST", "/contacts", "", 400, "email"],
  ["no JSON", "POST", "/contacts", '{"email": "a@example.com",}', 400, "body"],
  ["two documents", "POST", "/contacts", '{"email":"a@example.com"}{}', 400, "body"],
];

test.each(bodies)("%s is refused, and the field named", async (_, method, path, body, status, field) => {
  const answer = await api.call(method, `/api/v1${path}`, { body });
  expect(answer.status).toBe(status);
  expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
  expect(answer.body.errors[0]?.field ?? null).toBe(field);
  expect(await contents()).toBe(before);
});

const UNKNOWN = "01989c2a-7d3c-7cc3-98c4-dc0c0c07398f";
const addresses: [method: string, path: string, field: string][] = [
  ["GET", "/contacts/1", "id"],
  ["GET", "/contacts/01989C2A-7D3C-7CC3-98C4-DC0C0C07398F", "id"],
  ["PATCH", `/contacts/${"a".repeat(10_000)}`, "id"],
  ["DELETE", "/contacts/%00", "id"],
  ["DELETE", "/suppressions/'%20or%20true--", "id"],
  ["GET", "/contacts?limit=0", "limit"],
  ["GET", "/contacts?limit=201", "limit"],
  ["GET", "/contacts?limit=-1", "limit"],
  ["GET", "/contacts?limit=1e2", "limit"],
  ["GET", "/contacts?limit=", "limit"],
  ["GET", "/contacts?limit=99999999999999999999", "limit"],
  ["GET", "/contacts?cursor=", "cursor"],
  ["GET", "/contacts?cursor=abc", "cursor"],
  ["GET", `/suppressions?cursor=${"A".repeat(1_000)}`, "cursor"],
  ["GET", "/contacts?cursor=AAAAAAAAAAAAAAAAAAAAAB", "cursor"],
  ["GET", "/contacts?limit=1&limit=2", "limit"],
  ["GET", "/contacts?tag=a&tag=b", "tag"],
  ["GET", "/contacts?tag=a%00b", "tag"],
  ["GET", "/contacts?tag=a%0d%0ab", "tag"],
  ["GET", "/contacts?emial=a@example.com", "emial"],
  ["GET", "/contacts?__proto__=1", "__proto__"],
  ["GET", "/customer?limit=1", "limit"],
  ["DELETE", `/contacts/${UNKNOWN}?really=yes`, "really"],
  ["GET", "/suppressions?reason=because", "reason"],
  ["GET", "/suppressions?email=nobody", "email"],
];

test.each(addresses)("%s %s is refused, and the parameter named", async (method, path, field) => {
  const answer = await api.call(method, `/api/v1${path}`, method === "PATCH" ? { body: {} } : {});
  expect(answer.status).toBe(400);
  expect(answer.body.errors[0]?.field).toBe(field);
  expect(await contents()).toBe(before);
});

test.each([
  ["text/plain"],
  ["application/x-www-form-urlencoded"],
  ["multipart/form-data; boundary=x"],
  ["application/json; charset=latin1"],
])("a body of %s is a 415", async (type) => {
  const answer = await api.call("POST", "/api/v1/contacts", {
    body: '{"email":"a@example.com"}',
    headers: { "Content-Type": type },
  });
  expect(answer.status).toBe(415);
  expect(await contents()).toBe(before);
});

test("a body that is not UTF-8 is refused", async () => {
  const headers = { Authorization: `Bearer ${api.customer.key}`, "Content-Type": "application/json" };
  const body = new Uint8Array([0x22, 0xff, 0xfe, 0x22]);
  const answer = await api.app.request("/api/v1/contacts", { method: "POST", headers, body }, { ip: null });
  expect(answer.status).toBe(400);
  expect(await answer.text()).toContain("not valid UTF-8");
});

test("a parameter given twice is called that", async () => {
  const { body } = await api.call("GET", "/api/v1/contacts?tag=a&tag=b");
  expect(body.errors).toEqual([{ field: "tag", reason: "is given more than once" }]);
});

test("JSON that is not says where it stops being JSON", async () => {
  const answer = await api.call("POST", "/api/v1/contacts", { body: '{\n  "email": "a@example.com",\n}' });
  expect(answer.body.errors[0]?.reason).toBe("is not valid JSON: unexpected text at line 3, column 1");
});

test("a thousand wrong fields get an answer of a sane size", async () => {
  const body = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`field${n}`, 1]));
  const answer = await api.call("POST", "/api/v1/contacts", { body });
  expect(answer.body.errors).toHaveLength(100);
});
