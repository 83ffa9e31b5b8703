import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Migration, Migrator, sql } from "kysely";
import { createDatabase } from "../../../test/support/database.ts";
import { newId } from "../../events/id.ts";
import { migrate } from "../migrate.ts";
import { type Database, openDatabase } from "../pool.ts";
import * as foundation from "./0001-foundation.ts";
import * as graph from "./0002-graph.ts";
import * as templates from "./0003-templates.ts";
import * as imports from "./0004-imports.ts";
import * as segments from "./0005-segments.ts";
import * as sending from "./0006-sending.ts";
import * as analytics from "./0007-analytics.ts";
import * as webhookCalls from "./0008-webhook-calls.ts";

const before: Record<string, Migration> = {
  "0001-foundation": foundation,
  "0002-graph": graph,
  "0003-templates": templates,
  "0004-imports": imports,
  "0005-segments": segments,
  "0006-sending": sending,
  "0007-analytics": analytics,
  "0008-webhook-calls": webhookCalls,
};
const [first, second] = [newId(), newId()];

let database: Database;

/** A database of the version before, with credentials in it. */
beforeAll(async () => {
  database = openDatabase(await createDatabase("template1"), 2);
  const { db } = database;
  const migrator = new Migrator({ db, provider: { getMigrations: async () => before } });
  await migrator.migrateToLatest();
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
