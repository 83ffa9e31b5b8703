import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { openDatabaseBefore } from "../../../test/support/migrations.ts";
import { newId } from "../../events/id.ts";
import { migrate } from "../migrate.ts";
import type { Database } from "../pool.ts";

const customerId = newId();
const campaignId = newId();

let database: Database;

/** A database of the version before, with something in it, and what has come of that after the migration. */
beforeAll(async () => {
  database = await openDatabaseBefore("0010-bounces");
  const { db } = database;
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
