import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { sql } from "kysely";
import { createTestApp, type TestApp, type TestCustomer } from "../../test/support/app.ts";
import { uploadFile } from "../../test/support/upload.ts";
import { contactRoutes } from "../contacts/routes.ts";
import { refusalRoutes } from "../imports/refusal-routes.ts";
import { importRoutes } from "../imports/routes.ts";
import { workOnImport } from "../imports/run-imports.ts";
import { segmentRoutes } from "../segments/routes.ts";
import { suppressionRoutes } from "../suppressions/routes.ts";
import { exportRoutes } from "./routes.ts";

const NOW = new Date("2026-03-01T12:00:00.000Z");
let api: TestApp;
let customers = 0;

beforeAll(async () => {
  const now = () => NOW;
  const log = { error: () => {} };
  api = await createTestApp([
    exportRoutes({ now, log }),
    importRoutes("contacts"),
    importRoutes("suppressions"),
    refusalRoutes("suppressions", { log }),
    contactRoutes(),
    segmentRoutes({ now }),
    suppressionRoutes({ now }),
  ]);
});
afterAll(() => api.close());

const newCustomer = () => api.createCustomer(`customer ${++customers}`);

const exportOf = async (kind: "contacts" | "suppressions", query: string, customer: TestCustomer) =>
  (await api.call("GET", `/api/v1/${kind}/export${query}`, { customer })).text;

async function importInto(customer: TestCustomer, kind: "contacts" | "suppressions", file: string) {
  const { body } = await uploadFile(api, `/api/v1/${kind}/imports?start=true`, file, customer);
  while (await workOnImport(api.database.db, 1_000));
  return (await api.call("GET", `/api/v1/${kind}/imports/${body.id}`, { customer })).body;
}

type Row = { email: string; timeZone: string | null; tags: string[]; attributes: { [key: string]: unknown } };

async function save(customer: TestCustomer, contacts: readonly Partial<Row>[]): Promise<void> {
  const body = { contacts };
  const answer = await api.call("POST", "/api/v1/contacts/bulk", { body, customer });
  expect(answer.body.refused).toEqual([]);
}

async function contactsOf(customer: TestCustomer) {
  const { rows } = await sql`
    select email, time_zone, telegram_chat_id, tags, attributes from contact
    where customer_id = ${customer.id} order by email`.execute(api.database.db);
  return rows;
}

test("contacts are one line each, oldest first, with a column for each attribute", async () => {
  const customer = await newCustomer();
  const contact = (body: object) => api.call("POST", "/api/v1/contacts", { body, customer });
  await contact({
    email: "ann@example.com",
    timeZone: "Europe/Paris",
    tags: ["a", "b"],
    attributes: { name: 'A "x"' },
  });
  await contact({ telegramChatId: 5, attributes: { score: 1.5, name: "B, C" } });
  const answer = await api.call("GET", "/api/v1/contacts/export", { customer });
  expect(answer.text.split("\r\n")).toEqual([
    "email,timeZone,telegramChatId,tags,attributes.name,attributes.score:json",
    'ann@example.com,Europe/Paris,,"a,b","A ""x""",',
    ',,5,,"B, C",1.5',
    "",
  ]);
  expect(answer.headers.get("Content-Type")).toBe("text/csv; charset=utf-8");
  expect(answer.headers.get("Content-Disposition")).toBe('attachment; filename="contacts.csv"');
});

test("a column is JSON when not all of its values are texts that say something", async () => {
  const customer = await newCustomer();
  await save(customer, [
    { email: "a@example.com", attributes: { plan: "5", note: "", "x:json": "y" }, tags: ["one,two"] },
    { email: "b@example.com", attributes: { plan: 5 } },
  ]);
  expect((await exportOf("contacts", "?separator=tab", customer)).split("\r\n")).toEqual([
    "email\ttimeZone\ttelegramChatId\ttags:json\tattributes.note:json\tattributes.plan:json\tattributes.x:json:json",
    'a@example.com\t\t\t"[""one,two""]"\t""""""\t"""5"""\t"""y"""',
    "b@example.com\t\t\t\t\t5\t",
    "",
  ]);
});

test("an export can be of a tag, of a segment, or of both", async () => {
  const customer = await newCustomer();
  await save(customer, [
    { email: "a@example.com", tags: ["vip"], attributes: { plan: "pro" } },
    { email: "b@example.com", tags: ["vip"], attributes: { plan: "free", old: "yes" } },
    { email: "c@example.com", attributes: { plan: "pro" } },
  ]);
  const body = { name: "Pros", filter: { attribute: "plan", is: "equals", value: "pro" } };
  const { id } = (await api.call("POST", "/api/v1/segments", { body, customer })).body;
  const emails = async (query: string) =>
    [...(await exportOf("contacts", query, customer)).matchAll(/^(\w)@/gm)].map(([, name]) => name);
  expect(await emails("?tag=vip")).toEqual(["a", "b"]);
  expect(await emails(`?segmentId=${id}`)).toEqual(["a", "c"]);
  expect(await emails(`?segmentId=${id}&tag=vip`)).toEqual(["a"]);
  expect(await exportOf("contacts", "?tag=vip", customer)).toContain("attributes.old");
  expect(await exportOf("contacts", `?segmentId=${id}`, customer)).not.toContain("attributes.old");
});

test("another customer's segment is not there, and its contacts are in no export but its own", async () => {
  const [customer, other] = [await newCustomer(), await newCustomer()];
  await save(other, [{ email: "secret@example.com", attributes: { secret: "x" } }]);
  const body = { name: "Mine", filter: { all: [] } };
  const { id } = (await api.call("POST", "/api/v1/segments", { body, customer: other })).body;
  expect((await api.call("GET", `/api/v1/contacts/export?segmentId=${id}`, { customer })).status).toBe(404);
  expect(await exportOf("contacts", "", customer)).toBe("email,timeZone,telegramChatId,tags\r\n");
  await api.call("POST", "/api/v1/suppressions", { body: { email: "x@example.com" }, customer: other });
  expect(await exportOf("suppressions", "", customer)).toBe("address,channel,reason,createdAt\r\n");
});

test("for a spreadsheet nobody's data is a formula, otherwise every cell is what is stored", async () => {
  const customer = await newCustomer();
  await save(customer, [{ email: "a@example.com", attributes: { name: "=1+1", note: "@x" } }]);
  expect(await exportOf("contacts", "", customer)).toEndWith("\r\na@example.com,,,,=1+1,@x\r\n");
  const safe = await api.app.request(
    "/api/v1/contacts/export?spreadsheet=true",
    { headers: { Authorization: `Bearer ${customer.key}` } },
    { ip: null },
  );
  const bytes = Buffer.from(await safe.arrayBuffer());
  expect(bytes.subarray(0, 3)).toEqual(Buffer.from([0xef, 0xbb, 0xbf]));
  expect(bytes.toString("utf8")).toEndWith("\r\na@example.com,,,,'=1+1,'@x\r\n");
});

const text = fc.string({
  unit: fc.constantFrom(
    "a",
    "5",
    '"',
    ",",
    ";",
    "'",
    " ",
    "\n",
    "\r",
    "\t",
    "=",
    "é",
    "\u00a0",
    "😀",
    ":",
    ".",
  ),
  maxLength: 8,
});
const key = fc.oneof(
  fc.constantFrom("name", "plan", "x:json", "x:number", "", "a.b", " ", "constructor1", "email", "a@b.com"),
  text,
);
const contact = fc.record({
  email: fc.stringMatching(/^[A-Za-z0-9]{1,6}@(example|Other)\.com$/),
  timeZone: fc.constantFrom(null, "Europe/Paris", "UTC"),
  tags: fc.array(
    text.filter((tag) => tag.trim() !== "" && !/[\p{Cc}\u2028\u2029]/u.test(tag.trim())),
    { maxLength: 3 },
  ),
  attributes: fc.dictionary(key, fc.oneof(text, fc.jsonValue({ maxDepth: 2 })), { maxKeys: 4 }),
});

test("what is exported and imported by another customer is the same", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(contact, { selector: ({ email }) => email.toLowerCase(), maxLength: 8 }),
      fc.constantFrom("comma", "semicolon", "tab", "pipe"),
      async (given, separator) => {
        const contacts: Row[] = JSON.parse(JSON.stringify(given));
        const [from, to] = [await newCustomer(), await newCustomer()];
        if (contacts.length > 0) await save(from, contacts);
        const file = await exportOf("contacts", `?separator=${separator}`, from);
        const first = await importInto(to, "contacts", file);
        expect(first.progress).toMatchObject({ created: contacts.length, refused: 0 });
        expect(await contactsOf(to)).toEqual(await contactsOf(from));
        const again = await importInto(from, "contacts", file);
        expect(again.progress).toMatchObject({ unchanged: contacts.length, rows: contacts.length });
      },
    ),
    { numRuns: 40 },
  );
});

test("with more attributes than may be columns, all are in one", async () => {
  const [from, to] = [await newCustomer(), await newCustomer()];
  const attributes = Object.fromEntries(Array.from({ length: 501 }, (_, n) => [`k${n}`, n]));
  await save(from, [{ email: "a@example.com", attributes }]);
  const file = await exportOf("contacts", "", from);
  expect(file).toStartWith("email,timeZone,telegramChatId,tags,attributes:json\r\n");
  await importInto(to, "contacts", file);
  expect(await contactsOf(to)).toEqual(await contactsOf(from));
});

test("more contacts than are read at a time are all there, once", async () => {
  const customer = await newCustomer();
  const contacts = Array.from({ length: 2_500 }, (_, n) => ({ email: `n${n}@example.com` }));
  await save(customer, contacts);
  const lines = (await exportOf("contacts", "", customer)).trimEnd().split("\r\n").slice(1);
  expect(new Set(lines).size).toBe(2_500);
  expect(lines).toHaveLength(2_500);
});

test("a download that is given up gives its place to the next", async () => {
  const customer = await newCustomer();
  await save(
    customer,
    Array.from({ length: 5_000 }, (_, n) => ({ email: `n${n}@example.com`, attributes: { n } })),
  );
  for (let number = 0; number < 10; number += 1) {
    const response = await api.app.request(
      "/api/v1/contacts/export",
      { headers: { Authorization: `Bearer ${customer.key}` } },
      { ip: null },
    );
    expect(response.status).toBe(200);
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
  }
});

test("suppressions go out and in with their reasons and times", async () => {
  const [from, to] = [await newCustomer(), await newCustomer()];
  const suppress = (body: object) => api.call("POST", "/api/v1/suppressions", { body, customer: from });
  await suppress({ email: "Ann@example.com", reason: "bounce" });
  await suppress({ email: "ann@example.com", reason: "unsubscribe" });
  await suppress({ domain: "blocked.example" });
  const file = await exportOf("suppressions", "", from);
  expect(file.replaceAll(/\d{4}-\S+Z/g, "TIME").split("\r\n")).toEqual([
    "address,channel,reason,createdAt",
    "ann@example.com,email,bounce,TIME",
    "ann@example.com,email,unsubscribe,TIME",
    "@blocked.example,email,manual,TIME",
    "",
  ]);
  expect((await importInto(to, "suppressions", file)).progress).toMatchObject({ created: 3, refused: 0 });
  expect((await exportOf("suppressions", "", to)).split("\r\n").sort()).toEqual(file.split("\r\n").sort());
  expect((await importInto(to, "suppressions", file)).progress).toMatchObject({ created: 0, unchanged: 3 });
});
