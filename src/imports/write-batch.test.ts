import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { createCustomer } from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { newId } from "../events/id.ts";
import { changeImport, startUploaded } from "./change-import.ts";
import { findImport } from "./queries.ts";
import type { Batch, Cursor } from "./reader.ts";
import { storeUpload } from "./upload.ts";
import { batchWriter } from "./write-batch.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

/** A running import of one address, and what a worker does that has read it. */
async function underWay() {
  const { db } = database;
  const key = { customerId: await createCustomer(db), id: newId(), kind: "contacts" as const };
  async function* file() {
    yield Buffer.from("email\nann@example.com\nbob@example.com\n");
  }
  await storeUpload(db, key, file(), { encoding: null, separator: null, hasHeader: null });
  const job = await startUploaded(db, key, { tagsSeparator: ",", addTags: [], onExisting: "update" });
  if (job.format === null) throw new Error("the upload has no format");
  const from: Cursor = { chunk: job.nextChunk, offset: job.nextOffset, row: job.nextRow };
  const batch: Batch = {
    rows: [{ row: 2, line: "ann@example.com", isCut: false, cells: ["ann@example.com"] }],
    cursor: { chunk: 0, offset: from.offset + 16, row: 3 },
    doneBytes: from.offset + 16,
    isLast: false,
  };
  const write = batchWriter(job, job.format);
  return {
    key,
    write: () => write(db, batch, from, 0, () => 1),
    created: async () => (await findImport(db, key))?.created,
    contacts: async () =>
      (await sql`select email from contact where customer_id = ${key.customerId}`.execute(db)).rows,
  };
}

test("a batch that two have read is written once", async () => {
  const { write, created, contacts } = await underWay();
  expect(new Set(await Promise.all([write(), write()]))).toEqual(new Set([0, null]));
  expect(await write()).toBeNull();
  expect(await created()).toBe(1);
  expect(await contacts()).toEqual([{ email: "ann@example.com" }]);
});

test.each(["pause", "cancel"] as const)(
  "nothing is written after a %s, though it was read before",
  async (change) => {
    const { key, write, contacts } = await underWay();
    await changeImport(database.db, key, change);
    expect(await write()).toBeNull();
    expect(await contacts()).toEqual([]);
  },
);
