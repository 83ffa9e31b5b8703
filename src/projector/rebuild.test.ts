import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  append,
  beginCampaign,
  createCampaign,
  createCredential,
  createCustomer,
  enroll,
  eventOf,
  listRuns,
  projectAll,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { requeueMessage } from "../messages/history-queries.ts";
import { rebuild } from "./rebuild.ts";

let database: TestDatabase;
let customerId: string;
let campaignId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  const { db } = database;
  customerId = await createCustomer(db);
  const credentialId = await createCredential(db, customerId, {});
  const html = "<a href='https://e.com'>x</a>";
  const node = { id: "hello", type: "message", channel: "email", credentialId, subject: "Hi", html };
  ({ campaignId } = await beginCampaign(db, customerId, { nodes: [node], edges: [] }, 4));
  const runs = await listRuns(db, campaignId);
  const clicked = { agent: "human" as const, data: { clickedUrl: "https://e.com" } };
  await append(
    db,
    ...runs.map((run) => eventOf(run, "message_sent")),
    ...runs.slice(1).map((run) => eventOf(run, "email_opened", { agent: "human" })),
    ...runs.slice(2).map((run) => eventOf(run, "email_clicked", clicked)),
    ...runs.slice(3).map((run) => eventOf(run, "email_opened", { agent: "scanner" })),
  );
  await projectAll(db);
});
afterAll(() => database.close());

/** The tables in which something is not the same, with what of it. */
async function differences() {
  const { tables } = await rebuild(database.db, { limit: 3, onProgress: () => {} });
  return tables
    .map(({ table, missing, extra, different, examples }) => ({ table, missing, extra, different, examples }))
    .filter(({ missing, extra, different }) => missing + extra + different > 0);
}

/** Everything in the database. */
async function contents(): Promise<string> {
  const { rows } = await sql<{ text: string }>`
    select database_to_xml(true, true, '')::text as text`.execute(database.db);
  return rows[0]?.text ?? "";
}

test("what the log says is what is there, and nothing is changed by looking", async () => {
  const before = await contents();
  const seen: number[] = [];
  const { tables, position } = await rebuild(database.db, {
    limit: 3,
    onProgress: (progress) => seen.push(progress.position),
  });
  expect(tables.map(({ missing, extra, different }) => missing + extra + different)).toEqual(
    tables.map(() => 0),
  );
  expect(tables.find(({ table }) => table === "activity")).toMatchObject({ live: 18, rebuilt: 18 });
  expect(seen.at(-1)).toBe(position);
  expect(await contents()).toBe(before);
});

test.each([
  [
    "activity",
    sql`delete from activity where type = 'email_clicked'`,
    { missing: 2, extra: 0, different: 0 },
  ],
  ["counter", sql`update counter set human = human + 1 where type = 'email_opened'`, { different: 1 }],
  [
    "node_run",
    sql`update node_run set output = '{"opened": true}' where output ? 'clicked'`,
    { different: 2 },
  ],
  [
    "run_link",
    sql`insert into run_link select customer_id, new_id(), link, true from run_link`,
    { extra: 2 },
  ],
])("a fault in %s is found, with keys to look at", async (table, fault, expected) => {
  const { db } = database;
  await sql`create table kept as select * from ${sql.table(table)}`.execute(db);
  await fault.execute(db);
  const found = await differences();
  await sql`delete from ${sql.table(table)}`.execute(db);
  await sql`insert into ${sql.table(table)} select * from kept`.execute(db);
  await sql`drop table kept`.execute(db);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatchObject({ table, ...expected });
  expect(found[0]?.examples[0]).toHaveProperty("customer_id", customerId);
  expect(await differences()).toEqual([]);
});

test("a message that was sent again after it failed is told from one that failed", async () => {
  const { db } = database;
  const other = await createCampaign(db, customerId, await graphOf());
  await enroll(db, other, { all: true });
  await projectAll(db);
  const [again, failed] = await listRuns(db, other.campaignId);
  if (again === undefined || failed === undefined || again.messageId === null)
    throw new Error("two runs began");
  const data = { reason: "No such mailbox." };
  await append(db, eventOf(again, "message_failed", { data }), eventOf(failed, "message_failed", { data }));
  await projectAll(db);
  await db.transaction().execute(async (transaction) => {
    await requeueMessage(transaction, customerId, again.messageId ?? "");
  });
  await append(
    db,
    eventOf(again, "message_queued", { data: { retry: true } }),
    eventOf(again, "message_sent"),
  );
  await projectAll(db);
  expect(await differences()).toEqual([]);
});

test("of what is told twice the first in the log stays, in one batch as in two", async () => {
  const { db } = database;
  const other = await createCampaign(db, customerId, await graphOf());
  await enroll(db, other, { all: true });
  await projectAll(db);
  const [run] = await listRuns(db, other.campaignId);
  if (run === undefined) throw new Error("a run began");
  const [first, second] = [new Date("2026-03-06T02:00:00Z"), new Date("2026-03-06T00:00:00Z")];
  const types = ["message_sent", "email_opened", "unsubscribed"] as const;
  const told = (at: Date) =>
    types.map((type) => eventOf(run, type, { at, agent: type === "message_sent" ? null : "human" }));
  await append(db, ...told(first), ...told(second));
  await projectAll(db);
  const [after] = await listRuns(db, other.campaignId);
  const at = "2026-03-06T02:00:00+00:00";
  expect(after?.output).toMatchObject({ sentAt: at, openedAt: at, unsubscribedAt: at });
  expect(await differences()).toEqual([]);
});

test("a customer that keeps its log for a while is compared in the activity of that time only", async () => {
  const { db } = database;
  await sql`update customer set event_retention_days = 30 where customer_id = ${customerId}`.execute(db);
  const { tables } = await rebuild(db, { limit: 1000, onProgress: () => {} });
  expect(tables.map(({ table, live }) => [table, live > 0])).toEqual(
    tables.map(({ table }) => [table, table === "activity"]),
  );
  await sql`update customer set event_retention_days = null where customer_id = ${customerId}`.execute(db);
});

async function graphOf() {
  const { rows } = await sql<{ nodes: unknown[] }>`
    select nodes from campaign where id = ${campaignId}`.execute(database.db);
  return { nodes: rows[0]?.nodes ?? [], edges: [] };
}
