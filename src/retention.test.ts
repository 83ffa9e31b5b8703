import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { sql } from "kysely";
import pino from "pino";
import { createCustomer } from "../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../test/support/database.ts";
import { newId } from "./events/id.ts";
import { createRetentionPass } from "./retention.ts";
import { KEPT_TABLES, type KeptTable } from "./storage/retention.ts";

const NOW = new Date("2020-06-15T12:00:00Z");
const DAY_MS = 86_400_000;
const SILENT = pino({ level: "silent" });

let database: TestDatabase;
let ann: string;
let bea: string;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

beforeEach(async () => {
  const { db } = database;
  for (const table of KEPT_TABLES) {
    await sql`truncate ${sql.id(table)}`.execute(db);
    for (const month of ["2020-01", "2020-02", "2020-03", "2020-04", "2020-05", "2020-06"]) {
      await sql`
        do $do$ begin
          execute format('create table if not exists %I partition of %I for values from (%L) to (%L)',
            ${sql.lit(`${table}_old_${month}`)}, ${sql.lit(table)}, first_id_at(${sql.lit(`${month}-01Z`)}::timestamptz),
            first_id_at((${sql.lit(`${month}-01`)}::timestamp + interval '1 month') at time zone 'UTC'));
        exception when invalid_object_definition then null;
        end $do$`.execute(db);
    }
  }
  await sql`delete from customer`.execute(db);
  ann = await createCustomer(db);
  bea = await createCustomer(db);
});

/** One row of each table a day, back to 150 days ago: for two contacts in turn. */
async function fill(customerId: string): Promise<void> {
  const contacts = [newId(), newId()];
  const rows = Array.from({ length: 150 }, (_, days) => {
    const at = new Date(NOW.getTime() - (days + 0.5) * DAY_MS);
    return { id: newId(at.getTime()), at, contactId: contacts[days % 2] };
  });
  const input = sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r(id uuid, at timestamptz, "contactId" uuid)`;
  await sql`
    insert into activity (customer_id, contact_id, id, type, at, data)
    select ${customerId}, "contactId", id, 'email_opened', at, '{}' from ${input}`.execute(database.db);
  await sql`
    insert into event_log (customer_id, id, type, at) select ${customerId}, id, 'email_opened', at from ${input}`.execute(
    database.db,
  );
  await sql`
    insert into webhook_delivery (customer_id, endpoint_id, event_id, id, kind, event_type, event_at, position, status,
      finished_at)
    select ${customerId}, "contactId", id, id, 'event', 'email_opened', at, 1, 'delivered', at from ${input}`.execute(
    database.db,
  );
  await sql`
    insert into webhook_attempt (customer_id, id, delivery_id, endpoint_id, event_id, number, trigger, started_at,
      finished_at, outcome)
    select ${customerId}, id, id, "contactId", id, 1, 'automatic', at, at, 'delivered' from ${input}`.execute(
    database.db,
  );
  await sql`update projector_cursor set position = (select last_value from event_log_position)`.execute(
    database.db,
  );
}

async function keep(
  customerId: string,
  activityDays: number | null,
  eventDays: number | null,
): Promise<void> {
  await sql`
    update customer set activity_retention_days = ${activityDays}, event_retention_days = ${eventDays}
    where customer_id = ${customerId}`.execute(database.db);
}

async function runPass(): Promise<void> {
  const pass = createRetentionPass(database.db, () => NOW, SILENT, 7);
  while ((await pass()) === "more");
}

async function kept(table: KeptTable, customerId: string) {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from ${sql.id(table)} where customer_id = ${customerId}`.execute(database.db);
  return rows[0]?.count;
}

async function months(table: KeptTable): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select inhrelid::regclass::text as name from pg_inherits
    where inhparent = ${table}::regclass and inhrelid::regclass::text like '%old%' order by name`.execute(
    database.db,
  );
  return rows.map((row) => row.name.replaceAll(/"|.*_old_/g, ""));
}

test("everything is kept for ever by default", async () => {
  await fill(ann);
  await runPass();
  expect([await kept("activity", ann), await kept("event_log", ann)]).toEqual([150, 150]);
  expect(await months("activity")).toContain("2020-02");
});

test("each customer keeps what it says and no more, of activity and of events", async () => {
  await fill(ann);
  await fill(bea);
  await keep(ann, 10, 100);
  await keep(bea, null, 40);
  await runPass();
  expect([await kept("activity", ann), await kept("event_log", ann)]).toEqual([10, 100]);
  expect([await kept("activity", bea), await kept("event_log", bea)]).toEqual([150, 40]);
});

test("a month is dropped whole once no customer needs it, and empty months too", async () => {
  await fill(ann);
  await fill(bea);
  await keep(ann, 40, 40);
  await keep(bea, 100, null);
  await runPass();
  // 100 days reach back into March.
  expect(await months("activity")).toEqual(["2020-03", "2020-04", "2020-05", "2020-06"]);
  expect((await months("event_log")).filter((month) => month >= "2020-02")).toHaveLength(5);
  expect([await kept("activity", ann), await kept("activity", bea)]).toEqual([40, 100]);
});

test("an event that is not projected yet is kept, and its month with it", async () => {
  await fill(ann);
  await keep(ann, null, 30);
  await keep(bea, null, 30);
  await sql`update projector_cursor set position = 0`.execute(database.db);
  await runPass();
  expect(await kept("event_log", ann)).toBe(150);
  await sql`update projector_cursor set position = (select last_value from event_log_position)`.execute(
    database.db,
  );
  await runPass();
  expect(await kept("event_log", ann)).toBe(30);
});

async function keepDeliveries(customerId: string, days: number | null): Promise<void> {
  await sql`update customer set delivery_retention_days = ${days} where customer_id = ${customerId}`.execute(
    database.db,
  );
}

test("the log of deliveries is kept for 90 days, or as long as the customer says", async () => {
  await fill(ann);
  await fill(bea);
  await keepDeliveries(bea, 10);
  await runPass();
  expect([await kept("webhook_delivery", ann), await kept("webhook_attempt", ann)]).toEqual([90, 90]);
  expect([await kept("webhook_delivery", bea), await kept("webhook_attempt", bea)]).toEqual([10, 10]);
  expect(await months("webhook_attempt")).toEqual(["2020-03", "2020-04", "2020-05", "2020-06"]);
});

test("what is still owed of an old event is kept, and what was delivered of one lately", async () => {
  await fill(ann);
  await keepDeliveries(ann, 10);
  await keepDeliveries(bea, 10);
  const old = sql`customer_id = ${ann} and event_id < first_id_at(${new Date(NOW.getTime() - 100 * DAY_MS)})`;
  const { rows } = await sql<{ id: string }>`select id from webhook_delivery where ${old} limit 2`.execute(
    database.db,
  );
  const [owed, late] = rows.map(({ id }) => id);
  await sql`
    update webhook_delivery set status = 'pending', due_at = now(), finished_at = null
    where customer_id = ${ann} and id = ${owed}`.execute(database.db);
  await sql`update webhook_delivery set finished_at = ${NOW} where customer_id = ${ann} and id = ${late}`.execute(
    database.db,
  );
  await runPass();
  expect(await kept("webhook_delivery", ann)).toBe(12);
});

test("a month that somebody reads is left for the next time, and nobody waits for it", async () => {
  await fill(ann);
  await keep(ann, 30, null);
  await keep(bea, 30, null);
  await database.db.transaction().execute(async (reader) => {
    await sql`select count(*) from activity`.execute(reader);
    await runPass();
    expect(await months("activity")).toContain("2020-03");
  });
  await runPass();
  expect(await months("activity")).not.toContain("2020-03");
  expect(await kept("activity", ann)).toBe(30);
});
