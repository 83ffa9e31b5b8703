import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { append, eventOf, listRuns, projectAll } from "../../../test/support/campaigns.ts";
import { openDatabaseBefore } from "../../../test/support/migrations.ts";
import { hasUnactivatedChanges } from "../../campaigns/activate.ts";
import { findCampaign } from "../../campaigns/campaign-queries.ts";
import { doDueSteps } from "../../campaigns/run-steps.ts";
import { newId } from "../../events/id.ts";
import { migrate } from "../migrate.ts";
import type { Database } from "../pool.ts";

let database: Database;
const customerId = newId();
const campaignId = newId();
const contactIds = [newId(), newId(), newId()];

const nodes = [
  {
    id: "hello",
    type: "message",
    channel: "email",
    credentialId: newId(),
    from: null,
    replyTo: null,
    subject: "Hi",
    html: "<p>Hi</p>",
    text: null,
    unsubscribeLink: true,
    trackOpens: true,
    trackClicks: true,
  },
  { id: "pause", type: "wait", duration: "P2D" },
  { id: "end", type: "exit" },
];
const edges = [
  { id: "e1", from: "hello", to: "pause", firesWhen: "always", url: null },
  { id: "e2", from: "hello", to: "end", firesWhen: "opened", url: null },
  { id: "e3", from: "pause", to: "end", firesWhen: "always", url: null },
];

/** A database of the version before, with a campaign under way, and what has come of it after the migration. */
beforeAll(async () => {
  database = await openDatabaseBefore("0002-graph");
  await writeOldRows();
  await migrate(database.db);
});

afterAll(() => database.close());

test("a campaign under way goes on where it was", async () => {
  const { db } = database;
  await sql`update node_run set due_at = now() where due_at is not null`.execute(db);
  expect(await doDueSteps(db, { now: new Date(), limit: 10 })).toBe(1);
  const [, opened] = await listRuns(db, campaignId);
  if (opened === undefined) throw new Error("the runs are gone");
  await append(db, eventOf(opened, "email_opened", { agent: "human", agentRule: "browser" }));
  await projectAll(db);
  const { rows } = await sql`
    select contact_id as "contactId", status, attempt, completed_reason as reason from enrollment
    where campaign_id = ${campaignId} order by contact_id`.execute(db);
  expect(rows).toEqual(
    contactIds.map((contactId) => ({ contactId, status: "completed", attempt: 1, reason: "exit" })),
  );
  const runs = await listRuns(db, campaignId);
  expect(runs.map(({ nodeId, status }) => `${nodeId} ${status}`).sort()).toEqual([
    "end completed",
    "end completed",
    "hello completed",
    "hello completed",
    "pause completed",
  ]);
});

test("a graph from before has the fields of now, and nothing in it counts as changed", async () => {
  const campaign = await findCampaign(database.db, customerId, campaignId);
  if (campaign === null) throw new Error("the campaign is gone");
  expect(campaign).toMatchObject({
    nodes: [{ ...nodes[0], format: "html" }, nodes[1], nodes[2]],
    edges: edges.map((edge) => ({ ...edge, within: null, variant: null })),
    maxRounds: 10,
    exitOn: [],
    reenrollAfter: null,
    timeZone: "UTC",
    quietHours: null,
  });
  expect(await hasUnactivatedChanges(database.db, customerId, campaign)).toBe(false);
});

async function writeOldRows(): Promise<void> {
  const { db } = database;
  await sql`insert into customer (customer_id, name) values (${customerId}, 'Old')`.execute(db);
  await sql`
    insert into contact (customer_id, id, email)
    select ${customerId}, id, id || '@example.com' from unnest(${contactIds}::uuid[]) as c(id)`.execute(db);
  await sql`
    insert into campaign (customer_id, id, name, status, nodes, edges, version)
    values (${customerId}, ${campaignId}, 'Old', 'active', ${JSON.stringify(nodes)}::jsonb,
      ${JSON.stringify(edges)}::jsonb, 1)`.execute(db);
  await writeOldVersion();
  await writeOldEnrollments();
}

async function writeOldVersion(): Promise<void> {
  const { db } = database;
  await sql`
    insert into campaign_node (customer_id, campaign_id, version, node_id, type, is_entry, credential_id, wait, settings)
    select ${customerId}, ${campaignId}, 1, n->>'id', n->>'type', n->>'id' = 'hello', (n->>'credentialId')::uuid,
      (n->>'duration')::interval, n - 'id' - 'type'
    from jsonb_array_elements(${JSON.stringify(nodes)}::jsonb) as n`.execute(db);
  const always = [
    "run_completed",
    "message_sent",
    "message_failed",
    "message_uncertain",
    "contact_suppressed",
  ];
  await sql`
    insert into campaign_edge (customer_id, campaign_id, version, edge_id, from_node, to_node, event_types, url)
    select ${customerId}, ${campaignId}, 1, e->>'id', e->>'from', e->>'to',
      case e->>'firesWhen' when 'always' then ${always}::text[] else array['email_opened'] end, null
    from jsonb_array_elements(${JSON.stringify(edges)}::jsonb) as e`.execute(db);
}

/** The first is at the wait, the second has been sent the message, the third is through. */
async function writeOldEnrollments(): Promise<void> {
  const { db } = database;
  const enrollmentIds = contactIds.map(() => newId());
  const runIds = contactIds.map(() => newId());
  await sql`
    insert into enrollment (customer_id, id, campaign_id, version, contact_id, status, completed_at)
    select ${customerId}, e.id, ${campaignId}, 1, e.contact_id,
      case e.number when 3 then 'completed' else 'active' end, case e.number when 3 then now() end
    from unnest(${enrollmentIds}::uuid[], ${contactIds}::uuid[]) with ordinality as e(id, contact_id, number)`.execute(
    db,
  );
  await sql`
    insert into node_run (customer_id, id, enrollment_id, contact_id, campaign_id, version, node_id, status, output,
      due_at, finished_at)
    select ${customerId}, r.id, r.enrollment_id, r.contact_id, ${campaignId}, 1,
      case r.number when 1 then 'pause' else 'hello' end, case r.number when 1 then 'waiting' else 'completed' end,
      case r.number when 1 then '{}' else '{"sent": true, "sentAt": "2026-03-06T20:00:26.893Z"}'::jsonb end,
      case r.number when 1 then now() + interval '1 day' end, case r.number when 1 then null else now() end
    from unnest(${runIds}::uuid[], ${enrollmentIds}::uuid[], ${contactIds}::uuid[]) with ordinality
      as r(id, enrollment_id, contact_id, number)`.execute(db);
}
