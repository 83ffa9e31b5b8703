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
import * as inbound from "./0009-inbound.ts";

const before: Record<string, Migration> = {
  "0001-foundation": foundation,
  "0002-graph": graph,
  "0003-templates": templates,
  "0004-imports": imports,
  "0005-segments": segments,
  "0006-sending": sending,
  "0007-analytics": analytics,
  "0008-webhook-calls": webhookCalls,
  "0009-inbound": inbound,
};
const customerId = newId();
const campaignId = newId();

let database: Database;

/** A database of the version before, with something in it, and what has come of that after the migration. */
beforeAll(async () => {
  database = openDatabase(await createDatabase("template1"), 2);
  const { db } = database;
  const migrator = new Migrator({ db, provider: { getMigrations: async () => before } });
  await migrator.migrateToLatest();
  await sql`insert into customer (customer_id, name) values (${customerId}, 'Old')`.execute(db);
  for (const [edge, fires, types] of [
    ["f", "failed", ["message_failed"]],
    ["w", "failed", ["run_failed"]],
    ["a", "always", ["message_sent", "message_failed"]],
  ] as const) {
    await sql`
      insert into campaign_edge (customer_id, campaign_id, version, edge_id, from_node, to_node, event_types, fires_when)
      values (${customerId}, ${campaignId}, 1, ${edge}, 'a', 'b', ${types}::text[], ${fires})`.execute(db);
  }
  await sql`
    insert into suppression (customer_id, channel, address, reason)
    values (${customerId}, 'email', 'ann@example.com', 'bounce')`.execute(db);
  await migrate(db);
});

afterAll(() => database.close());

test("the edges of campaigns under way that fire when a message fails fire when it is rejected, and no other", async () => {
  const { rows } = await sql<{ edge: string; types: string[] }>`
    select edge_id as edge, event_types as types from campaign_edge order by edge_id`.execute(database.db);
  expect(rows).toEqual([
    { edge: "a", types: ["message_sent", "message_failed"] },
    { edge: "f", types: ["message_failed", "message_rejected"] },
    { edge: "w", types: ["run_failed"] },
  ]);
});

test("suppressions stay, and every account begins with three soft bounces in thirty days", async () => {
  const { rows } = await sql`
    select s.address, s.reason, s.detail, s.event_id as "eventId", c.soft_bounces as bounces, c.soft_bounce_days as days
    from suppression s join customer c on c.customer_id = s.customer_id`.execute(database.db);
  expect(rows).toEqual([
    { address: "ann@example.com", reason: "bounce", detail: null, eventId: null, bounces: 3, days: 30 },
  ]);
});
