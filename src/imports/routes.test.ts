import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import iconv from "iconv-lite";
import { sql } from "kysely";
import {
  type Answer,
  type Body,
  createTestApp,
  type TestApp,
  type TestCustomer,
} from "../../test/support/app.ts";
import { uploadFile } from "../../test/support/upload.ts";
import { contactRoutes } from "../contacts/routes.ts";
import { newId } from "../events/id.ts";
import { expireImports } from "./queries.ts";
import { refusalRoutes } from "./refusal-routes.ts";
import { importRoutes } from "./routes.ts";
import { workOnImport } from "./run-imports.ts";

const IMPORTS = "/api/v1/contacts/imports";
let api: TestApp;

beforeAll(async () => {
  const log = { error: () => {} };
  api = await createTestApp([importRoutes("contacts"), refusalRoutes("contacts", { log }), contactRoutes()]);
});
afterAll(() => api.close());

const upload = (file: string | Uint8Array, query = "", customer?: TestCustomer) =>
  uploadFile(api, `${IMPORTS}${query}`, file, customer);

const start = (id: string, body: object = {}, customer = api.customer) =>
  api.call("POST", `${IMPORTS}/${id}/start`, { body, customer });

const read = async (id: string, customer = api.customer) =>
  (await api.call("GET", `${IMPORTS}/${id}`, { customer })).body;

async function workAll(): Promise<void> {
  while (await workOnImport(api.database.db, 1_000));
}

/** Uploads, starts and finishes. */
async function importFile(
  file: string | Uint8Array,
  settings: object = {},
  customer = api.customer,
): Promise<Body> {
  const { body } = await upload(file, "", customer);
  const started = await start(body.id, settings, customer);
  expect(started.status).toBe(200);
  await workAll();
  return read(body.id, customer);
}

const contactsOf = async (customer: TestCustomer) =>
  (await api.call("GET", "/api/v1/contacts?limit=200", { customer })).body.items.toReversed();

async function countChunks(importId: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from import_chunk where import_id = ${importId}`.execute(api.database.db);
  return rows[0]?.count ?? 0;
}

const fieldsOf = (answer: Answer) => answer.body.errors.map(({ field }) => field);

describe("an upload", () => {
  test("is read by itself: encoding, separator, columns, what they most likely are, the first rows", async () => {
    const file = iconv.encode(
      "E-Mail;Vorname;Tags\r\njörg@example.com;x;y\r\nann@example.com;Jörg;a,b\r\n",
      "windows-1252",
    );
    const { status, body } = await upload(file);
    expect(status).toBe(201);
    expect(body).toMatchObject({
      status: "uploaded",
      encoding: "windows-1252",
      separator: "semicolon",
      hasHeader: true,
      columns: ["E-Mail", "Vorname", "Tags"],
      proposedMapping: { "E-Mail": "email", Vorname: "attributes.firstName", Tags: "tags" },
      sample: [
        ["jörg@example.com", "x", "y"],
        ["ann@example.com", "Jörg", "a,b"],
      ],
      progress: { rows: 0, bytesDone: 0, bytesTotal: file.length },
      startedAt: null,
      settings: null,
    });
    expect(await read(body.id)).toEqual(body);
  });

  test("can be read another way before it is started", async () => {
    const { body } = await upload(iconv.encode("email;name\nann@example.com;Łucja\n", "windows-1250"));
    const reread = await api.call("PATCH", `${IMPORTS}/${body.id}`, { body: { encoding: "windows-1250" } });
    expect(reread.body).toMatchObject({ encoding: "windows-1250", sample: [["ann@example.com", "Łucja"]] });
    const comma = await api.call("PATCH", `${IMPORTS}/${body.id}`, { body: { separator: "comma" } });
    expect(comma.body).toMatchObject({ encoding: "windows-1250", columns: ["email;name"] });
  });

  test.each([
    ["", "body"],
    ["\n\n", "body"],
    [Array.from({ length: 1_001 }, (_, n) => `c${n}`).join(","), "body"],
  ])("that reads as nothing is refused and not kept", async (file, field) => {
    const customer = await api.createCustomer(`nothing ${file.length}`);
    const answer = await upload(file, "", customer);
    expect([answer.status, fieldsOf(answer)]).toEqual([400, [field]]);
    expect((await api.call("GET", IMPORTS, { customer })).body.items).toEqual([]);
  });

  test("that breaks off is not kept", async () => {
    const customer = await api.createCustomer("breaks off");
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from("email\nann@example.com\n"));
        controller.error(new Error("gone"));
      },
    });
    const headers = { Authorization: `Bearer ${customer.key}`, "Content-Type": "text/csv" };
    const response = await api.app.request(IMPORTS, { method: "POST", headers, body }, { ip: null });
    expect(response.status).toBe(400);
    expect((await api.call("GET", IMPORTS, { customer })).body.items).toEqual([]);
  });

  test("must be a file, and not of more than 1 GiB", async () => {
    expect((await api.call("POST", IMPORTS, { body: {} })).status).toBe(415);
    const headers = { "Content-Type": "text/csv", "Content-Length": String(1024 ** 3 + 1) };
    expect((await api.call("POST", IMPORTS, { body: "email\n", headers })).status).toBe(413);
  });

  test("takes no Idempotency-Key, which would have to hold the file", async () => {
    const headers = { "Content-Type": "text/csv", "Idempotency-Key": "one" };
    const answer = await api.call("POST", IMPORTS, { body: "email\n", headers });
    expect([answer.status, fieldsOf(answer)]).toEqual([400, ["Idempotency-Key"]]);
  });

  test("can be started with the same request", async () => {
    const customer = await api.createCustomer("one step");
    const { status, body } = await upload("email,Plan\nann@example.com,pro\n", "?start=true", customer);
    expect([status, body.status]).toEqual([201, "running"]);
    await workAll();
    expect(await contactsOf(customer)).toMatchObject([
      { email: "ann@example.com", attributes: { plan: "pro" } },
    ]);
  });
});

describe("an import", () => {
  test("merges rows into the contacts there, and empty cells leave what is there", async () => {
    const customer = await api.createCustomer("merge");
    const body = {
      email: "Ann@Example.com",
      timeZone: "Europe/Paris",
      attributes: { plan: "free", city: "Lyon" },
      tags: ["old"],
    };
    await api.call("POST", "/api/v1/contacts", { body, customer });
    const done = await importFile(
      "email,timeZone,plan,city,age,tags\nann@example.com,,pro,,42,new|old\nbob@example.com,UTC,,,,\n",
      {
        mapping: {
          email: "email",
          timeZone: "timeZone",
          plan: "attributes.plan",
          city: "attributes.city",
          age: "attributes.age:number",
          tags: "tags",
        },
        tagsSeparator: "|",
        addTags: ["fair"],
      },
      customer,
    );
    expect(done).toMatchObject({
      status: "completed",
      progress: { rows: 2, created: 1, updated: 1, refused: 0 },
    });
    expect(await contactsOf(customer)).toMatchObject([
      {
        email: "Ann@Example.com",
        timeZone: "Europe/Paris",
        attributes: { plan: "pro", city: "Lyon", age: 42 },
        tags: ["old", "fair", "new"],
      },
      { email: "bob@example.com", timeZone: "UTC", attributes: {}, tags: ["fair"] },
    ]);
  });

  test("of the same file again changes nothing, not even when a contact was changed", async () => {
    const customer = await api.createCustomer("again");
    const file = "email,plan,tags\nann@example.com,pro,a\nbob@example.com,free,b\n";
    await importFile(file, {}, customer);
    const before = await contactsOf(customer);
    const { progress } = await importFile(file, {}, customer);
    expect(progress).toMatchObject({ rows: 2, created: 0, updated: 0, unchanged: 2 });
    expect(await contactsOf(customer)).toEqual(before);
  });

  test("skips who is there, if told to", async () => {
    const customer = await api.createCustomer("skip");
    await importFile("email,plan\nann@example.com,free\n", {}, customer);
    const file = "email,plan\nANN@example.com,pro\nbob@example.com,first\nbob@example.com,second\n";
    const { progress } = await importFile(file, { onExisting: "skip" }, customer);
    expect(progress).toMatchObject({ created: 1, updated: 0, unchanged: 2 });
    expect(await contactsOf(customer)).toMatchObject([
      { attributes: { plan: "free" } },
      { attributes: { plan: "first" } },
    ]);
  });

  test("takes rows of one email in their order, and counts each for what it did", async () => {
    const customer = await api.createCustomer("order");
    const file = "email,a,b\nann@example.com,1,\nAnn@example.com,2,x\nann@example.com,2,\n";
    const { progress } = await importFile(file, {}, customer);
    expect(progress).toMatchObject({ rows: 3, created: 1, updated: 1, unchanged: 1 });
    expect(await contactsOf(customer)).toMatchObject([{ attributes: { a: "2", b: "x" } }]);
  });

  test("of any rows is what taking them one after the other would be", async () => {
    const cell = fc.constantFrom("", "1", "2");
    const rows = fc.array(
      fc.tuple(fc.constantFrom("a", "A", "b", "c"), cell, cell, fc.constantFrom("", "x", "y,x")),
      {
        maxLength: 12,
      },
    );
    await fc.assert(
      fc.asyncProperty(rows, rows, fc.constantFrom("update", "skip"), async (before, after, onExisting) => {
        const customer = await api.createCustomer(newId());
        const model = new Map<string, { x: string; y: string; tags: string[] }>();
        for (const [file, policy] of [
          [before, "update"],
          [after, onExisting],
        ] as const) {
          const counts = { created: 0, updated: 0, unchanged: 0 };
          for (const [name, x, y, tags] of file) {
            const old = model.get(name.toLowerCase());
            const was = old ?? { x: "", y: "", tags: [] };
            const is = {
              x: x || was.x,
              y: y || was.y,
              tags: [...new Set([...was.tags, ...tags.split(",").filter((tag) => tag !== "")])],
            };
            if (old === undefined) counts.created += 1;
            else if (policy === "skip" || isDeepStrictEqual(was, is)) counts.unchanged += 1;
            else counts.updated += 1;
            if (old === undefined || policy === "update") model.set(name.toLowerCase(), is);
          }
          const lines = file.map(([name, x, y, tags]) => `${name}@example.com;${x};${y};${tags}\n`);
          const { progress } = await importFile(
            `email;x;y;tags\n${lines.join("")}`,
            { onExisting: policy },
            customer,
          );
          expect(progress).toMatchObject({ ...counts, refused: 0 });
        }
        const there = (await contactsOf(customer)).map(({ email, attributes, tags }) => [
          String(email).toLowerCase(),
          { x: "", y: "", ...Object(attributes), tags },
        ]);
        expect(Object.fromEntries(there)).toEqual(
          Object.fromEntries([...model].map(([name, contact]) => [`${name}@example.com`, contact])),
        );
      }),
      { numRuns: 40 },
    );
  });

  test("refuses what would outgrow a contact, and chats of others", async () => {
    const customer = await api.createCustomer("limits");
    const half = "a".repeat(33_000);
    const post = (body: object) => api.call("POST", "/api/v1/contacts", { body, customer });
    await post({ email: "big@example.com", attributes: { a: half } });
    await post({ email: "owner@example.com", telegramChatId: 7 });
    const done = await importFile(
      `email,b,telegramChatId\nbig@example.com,${half},\nthief@example.com,,7\nowner@example.com,,7\none@example.com,,8\ntwo@example.com,,8\n`,
      {},
      customer,
    );
    expect(done.progress).toMatchObject({ created: 1, updated: 0, unchanged: 1, refused: 3 });
    const refusals = (await api.call("GET", `${IMPORTS}/${done.id}/refusals`, { customer })).body.items;
    expect(refusals).toMatchObject([
      { row: 2, field: "attributes" },
      { row: 3, field: "telegramChatId" },
      { row: 6, field: "telegramChatId" },
    ]);
    expect(refusals.map(({ isCut }) => isCut)).toEqual([true, false, false]);
  });

  test("goes over many batches and chunks, and its upload is gone at the end", async () => {
    const customer = await api.createCustomer("many");
    const lines = Array.from({ length: 12_000 }, (_, n) => `m${n}@example.com,"${"x".repeat(40)}, ${n}"\n`);
    const { body } = await upload(`email,note\n${lines.join("")}`, "", customer);
    expect(await countChunks(body.id)).toBeGreaterThan(2);
    await start(body.id, {}, customer);
    // A turn of no time is one batch, so that each goes on where another has ended.
    let turns = 0;
    while (await workOnImport(api.database.db, 0)) turns += 1;
    expect(turns).toBeGreaterThanOrEqual(6);
    const done = await read(body.id, customer);
    expect(done).toMatchObject({
      status: "completed",
      progress: { created: 12_000, updated: 0, refused: 0, secondsLeft: null },
    });
    expect(done.progress).toHaveProperty("bytesDone", Buffer.byteLength(`email,note\n${lines.join("")}`));
    expect(await countChunks(body.id)).toBe(0);
  });
});

describe("refused lines", () => {
  test("are told with row, field and reason; the others are imported", async () => {
    const customer = await api.createCustomer("refused");
    const file = [
      "email,timeZone,note",
      "ann@example.com,Europe/Paris,fine",
      "not an address,,x",
      "",
      "bob@example.com,Mars/Base,x",
      'carol@example.com,,"never closed',
      "dora@example.com,,a,b",
      'erin@example.com,,"a" b',
      "fay@example.com,,nul\0",
      "gus@example.com,UTC,fine",
    ].join("\r\n");
    const done = await importFile(file, {}, customer);
    expect(done.progress).toMatchObject({ rows: 8, created: 2, refused: 6 });
    const { items } = (await api.call("GET", `${IMPORTS}/${done.id}/refusals`, { customer })).body;
    expect(items.map(({ row, field, line }) => [row, field, line])).toEqual([
      [3, "email", "not an address,,x"],
      [5, "timeZone", "bob@example.com,Mars/Base,x"],
      [6, "line", 'carol@example.com,,"never closed'],
      [7, "line", "dora@example.com,,a,b"],
      [8, "line", 'erin@example.com,,"a" b'],
      [9, "line", "fay@example.com,,nul\ufffd"],
    ]);
    expect((await contactsOf(customer)).map(({ email }) => email)).toEqual([
      "ann@example.com",
      "gus@example.com",
    ]);
  });

  test("come in pages, in the order of the file", async () => {
    const { id } = await importFile(`email\n${Array.from({ length: 5 }, (_, n) => `bad${n}\n`).join("")}`);
    const page = (query: string) => api.call("GET", `${IMPORTS}/${id}/refusals?${query}`);
    const first = (await page("limit=3")).body;
    const second = (await page(`limit=3&cursor=${first.nextCursor}`)).body;
    expect([...first.items, ...second.items].map(({ line }) => line)).toEqual([
      "bad0",
      "bad1",
      "bad2",
      "bad3",
      "bad4",
    ]);
    expect(second.nextCursor).toBeNull();
    expect((await page("cursor=x")).status).toBe(400);
  });

  test("can be downloaded, mended and imported again", async () => {
    const customer = await api.createCustomer("mend");
    const { id } = await importFile("email;plan\nann@;pro\nbob@example.com;free\n", {}, customer);
    const report = await api.call("GET", `${IMPORTS}/${id}/refusals.csv`, { customer });
    expect(report.headers.get("Content-Type")).toBe("text/csv; charset=utf-8");
    expect(report.text.split("\n")).toEqual([
      "refusedRow;refusedField;refusedReason;email;plan",
      "2;email;must be an email address such as ann@example.com;ann@;pro",
      "",
    ]);
    const done = await importFile(report.text.replace("ann@;", "ann@example.com;"), {}, customer);
    expect(done.progress).toMatchObject({ created: 1, refused: 0 });
    expect((await contactsOf(customer)).map(({ email, attributes }) => [email, attributes])).toEqual([
      ["bob@example.com", { plan: "free" }],
      ["ann@example.com", { plan: "pro" }],
    ]);
  });
});

describe("the life of an import", () => {
  test("a start with the same settings changes nothing, another is refused", async () => {
    const { body } = await upload("email\nann@example.com\n");
    const first = await start(body.id, { addTags: ["a"] });
    const again = await start(body.id, { addTags: ["a"] });
    expect([first.status, again.status]).toEqual([200, 200]);
    expect(again.body).toEqual(first.body);
    expect((await start(body.id, { addTags: ["b"] })).status).toBe(409);
    await workAll();
    expect((await start(body.id, { addTags: ["a"] })).body.status).toBe("completed");
    expect((await api.call("POST", `${IMPORTS}/${body.id}/cancel`)).status).toBe(409);
  });

  test("ten starts at the same moment are one", async () => {
    const customer = await api.createCustomer("ten starts");
    const { body } = await upload("email\nann@example.com\n", "", customer);
    const answers = await Promise.all(Array.from({ length: 10 }, () => start(body.id, {}, customer)));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    await Promise.all(Array.from({ length: 4 }, () => workOnImport(api.database.db, 1_000)));
    await workAll();
    expect((await read(body.id, customer)).progress).toMatchObject({ rows: 1, created: 1 });
  });

  test.each([
    [{ mapping: { email: "attributes.email" } }, "mapping"],
    [{ mapping: { email: "email", phone: "attributes.phone" } }, "mapping.phone"],
    [{ mapping: { email: "e-mail" } }, "mapping.email"],
    [{ onExisting: "replace" }, "onExisting"],
    [{ addTags: [""] }, "addTags.0"],
    [{ reason: "manual" }, "reason"],
  ])("a start with %j is refused, naming the field", async (body, field) => {
    const uploaded = await upload("email\nann@example.com\n");
    const answer = await start(uploaded.body.id, body);
    expect([answer.status, fieldsOf(answer)]).toEqual([400, [field]]);
    expect((await read(uploaded.body.id)).status).toBe("uploaded");
  });

  test("paused it rests, resumed it goes on, cancelled it ends and what was imported stays", async () => {
    const customer = await api.createCustomer("pause");
    const lines = Array.from({ length: 6_000 }, (_, n) => `p${n}@example.com\n`);
    const { body } = await upload(`email\n${lines.join("")}`, "", customer);
    const change = async (verb: string) =>
      (await api.call("POST", `${IMPORTS}/${body.id}/${verb}`, { customer })).body.status;
    await start(body.id, {}, customer);
    await workOnImport(api.database.db, 0);
    expect(await change("pause")).toBe("paused");
    expect(await change("pause")).toBe("paused");
    expect(await workOnImport(api.database.db, 0)).toBe(false);
    expect((await read(body.id, customer)).progress).toMatchObject({ rows: 500, created: 500 });
    expect(await change("resume")).toBe("running");
    await workOnImport(api.database.db, 0);
    expect(await change("cancel")).toBe("cancelled");
    expect(await change("cancel")).toBe("cancelled");
    expect(await workOnImport(api.database.db, 0)).toBe(false);
    expect(await countChunks(body.id)).toBe(0);
    const { rows } =
      await sql`select count(*) as count from contact where customer_id = ${customer.id}`.execute(
        api.database.db,
      );
    expect(rows).toEqual([{ count: 1_000 }]);
    expect(await change("resume")).toBe(409);
  });

  test("a cancel while it is being worked on takes effect with the batch under way", async () => {
    const customer = await api.createCustomer("cancel");
    const lines = Array.from({ length: 60_000 }, (_, n) => `c${n}@example.com\n`);
    const { body } = await upload(`email\n${lines.join("")}`, "", customer);
    await start(body.id, {}, customer);
    const working = workOnImport(api.database.db, 60_000);
    const cancelled = await api.call("POST", `${IMPORTS}/${body.id}/cancel`, { customer });
    await working;
    const after = await read(body.id, customer);
    expect(after.status).toBe("cancelled");
    expect(after.progress).toEqual(cancelled.body.progress);
    expect(cancelled.body.status).toBe("cancelled");
  });

  test("nobody else sees it, works on it or ends it", async () => {
    const thief = await api.createCustomer("thief of imports");
    const { body } = await upload("email\nbad\n");
    await start(body.id);
    await workAll();
    const before = await read(body.id);
    const document = await (await api.app.request("/openapi.json")).json();
    const paths: Record<string, object> = document.paths;
    const tried = Object.entries(paths).filter(([path]) => path.startsWith(`${IMPORTS}/{id}`));
    expect(tried.flatMap(([, item]) => Object.keys(item))).toHaveLength(8);
    for (const [path, item] of tried) {
      for (const method of Object.keys(item)) {
        const options = method === "get" ? { customer: thief } : { customer: thief, body: {} };
        const answer = await api.call(method.toUpperCase(), path.replace("{id}", body.id), options);
        expect([path, answer.status]).toEqual([path, 404]);
      }
    }
    expect((await api.call("GET", IMPORTS, { customer: thief })).body.items).toEqual([]);
    expect(await read(body.id)).toEqual(before);
  });

  test("what nobody finishes or starts is deleted in time, and an import under way is not", async () => {
    const { db } = api.database;
    const customer = await api.createCustomer("expiry");
    const forgotten = (await upload("email\nann@example.com\n", "", customer)).body.id;
    const fresh = (await upload("email\nann@example.com\n", "", customer)).body.id;
    const broken = (await upload("email\nann@example.com\n", "", customer)).body.id;
    const old = sql`created_at - interval '8 days'`;
    await sql`update import set created_at = ${old}, worked_at = ${old} where id = ${forgotten}`.execute(db);
    await sql`update import set created_at = ${old}, status = 'uploading' where id = ${broken}`.execute(db);
    await expireImports(db);
    expect((await read(forgotten, customer)).status).toBe("expired");
    expect([await countChunks(forgotten), await countChunks(fresh), await countChunks(broken)]).toEqual([
      0, 1, 0,
    ]);
    expect((await start(forgotten, {}, customer)).status).toBe(409);
    expect((await api.call("GET", `${IMPORTS}/${broken}`, { customer })).status).toBe(404);
  });
});
