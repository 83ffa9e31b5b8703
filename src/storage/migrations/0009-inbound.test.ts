import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { openDatabaseBefore } from "../../../test/support/migrations.ts";
import { newId } from "../../events/id.ts";
import { migrate } from "../migrate.ts";
import type { Database } from "../pool.ts";

const [first, second] = [newId(), newId()];

let database: Database;

/** A database of the version before, with credentials in it. */
beforeAll(async () => {
  database = await openDatabaseBefore("0009-inbound");
  const { db } = database;
  const add = (customerId: string, settings: object) =>
    sql`
    insert into credential (customer_id, id, type, name, settings, secret)
    values (${customerId}, ${newId()}, 'smtp', 'x', ${JSON.stringify(settings)}::jsonb, '')`.execute(db);
  await add(first, { ses: { topicArns: ["a", "shared"] } });
  await add(first, { ses: { topicArns: ["a"] } });
  await add(second, { ses: { topicArns: ["shared", "b"] } });
  for (const settings of [{}, { ses: null }, { ses: {} }, { ses: { topicArns: null } }])
    await add(second, settings);
  await migrate(db);
});
afterAll(() => database.close());

test("topics that credentials name are allowed, one that two customers name to the first of them", async () => {
  const { rows } = await sql`
    select topic_arn as "topicArn", customer_id as "customerId", subscription from ses_topic
    order by topic_arn`.execute(database.db);
  expect(rows).toEqual([
    { topicArn: "a", customerId: first, subscription: "none" },
    { topicArn: "b", customerId: second, subscription: "none" },
    { topicArn: "shared", customerId: first, subscription: "none" },
  ]);
});
