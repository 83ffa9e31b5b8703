import { sql } from "kysely";
import { type Audience, enrollContacts, inAudience } from "../../src/campaigns/enroll-queries.ts";
import { compileGraph } from "../../src/campaigns/graph.ts";
import { insertVersion } from "../../src/campaigns/queries.ts";
import { doDueSteps } from "../../src/campaigns/run-steps.ts";
import { type Campaign, campaignInput } from "../../src/campaigns/schema.ts";
import { sealSecret } from "../../src/credentials/secret-box.ts";
import { type Event, newEvent } from "../../src/events/event.ts";
import { newId } from "../../src/events/id.ts";
import { appendEvents } from "../../src/events/queries.ts";
import { projectNext } from "../../src/projector/project.ts";
import type { Db } from "../../src/storage/pool.ts";

export const TEST_ENCRYPTION_KEY = Buffer.alloc(32, 7);

/** A customer with nothing in it. */
export async function createCustomer(db: Db): Promise<string> {
  const customerId = newId();
  await sql`insert into customer (customer_id, name) values (${customerId}, ${customerId})`.execute(db);
  return customerId;
}

/** An SMTP credential; `settings` override a server on loopback that asks for no password. */
export async function createCredential(
  db: Db,
  customerId: string,
  settings: Record<string, unknown>,
): Promise<string> {
  const id = newId();
  const complete = { host: "127.0.0.1", port: 25, fromEmail: "news@example.com", ...settings };
  const secret = sealSecret(TEST_ENCRYPTION_KEY, `${customerId}/${id}`, "");
  await sql`
    insert into credential (customer_id, id, type, name, settings, secret)
    values (${customerId}, ${id}, 'smtp', 'test', ${JSON.stringify(complete)}::jsonb, ${secret})`.execute(db);
  return id;
}

/** `count` contacts c0@example.com, c1@example.com, … */
export async function createContacts(db: Db, customerId: string, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => newId());
  await sql`
    insert into contact (customer_id, id, email)
    select ${customerId}, id, 'c' || (number - 1) || '@example.com'
    from unnest(${ids}::uuid[]) with ordinality as c(id, number)`.execute(db);
  return ids;
}

type CampaignSettings = Pick<
  Campaign,
  "countAutomaticHits" | "maxRounds" | "exitOn" | "reenrollAfter" | "timeZone"
>;

/** A running campaign of these nodes and edges, in the form the API takes them. */
export async function createCampaign(
  db: Db,
  customerId: string,
  graph: { nodes: unknown[]; edges: unknown[] } & Partial<CampaignSettings>,
): Promise<{ customerId: string; campaignId: string; version: number }> {
  const input = campaignInput.parse({ name: "Test", ...graph });
  const campaign = { customerId, campaignId: newId(), version: 1 };
  await sql`
    insert into campaign (customer_id, id, name, status, nodes, edges, count_automatic_hits, max_rounds, exit_on,
      reenroll_after, time_zone, version)
    values (${customerId}, ${campaign.campaignId}, ${input.name}, 'active', ${JSON.stringify(input.nodes)}::jsonb,
      ${JSON.stringify(input.edges)}::jsonb, ${input.countAutomaticHits}, ${input.maxRounds},
      ${input.exitOn}::text[], ${input.reenrollAfter}::interval, ${input.timeZone}, 1)`.execute(db);
  const { nodes, edges } = compileGraph(input);
  await insertVersion(db, campaign, nodes, edges);
  return campaign;
}

export async function enroll(
  db: Db,
  campaign: { customerId: string; campaignId: string; version: number },
  audience: Audience,
): Promise<void> {
  await db.transaction().execute((trx) => enrollContacts(trx, campaign, inAudience(audience)));
}

export async function append(db: Db, ...events: Event[]): Promise<void> {
  await db.transaction().execute((trx) => appendEvents(trx, events));
}

/** A running campaign in which `contacts` have just begun. */
export async function beginCampaign(
  db: Db,
  customerId: string,
  graph: Parameters<typeof createCampaign>[2],
  contacts = 1,
): Promise<{ customerId: string; campaignId: string; version: number; contactIds: string[] }> {
  const campaign = await createCampaign(db, customerId, graph);
  const contactIds = await createContacts(db, customerId, contacts);
  await enroll(db, campaign, { contactIds });
  await projectAll(db);
  return { ...campaign, contactIds };
}

/** As if all the time had passed that a campaign's waits and timers have to wait. */
export async function passTime(db: Db, campaignId: string): Promise<void> {
  await sql`
    update node_run set due_at = now() - interval '1 second'
    where campaign_id = ${campaignId} and due_at is not null`.execute(db);
  await sql`
    update edge_timer set due_at = now() - interval '1 second' where campaign_id = ${campaignId}`.execute(db);
}

/** Does what is due and projects what comes of it, until nothing is. */
export async function doSteps(db: Db): Promise<void> {
  do await projectAll(db);
  while ((await doDueSteps(db, { now: new Date(), limit: 1_000 })) > 0);
}

/** The edges that have fired, by contact, each as often as it has. */
export async function listFirings(db: Db, campaignId: string): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ contactId: string; edgeId: string }>`
    select en.contact_id as "contactId", f.edge_id as "edgeId"
    from edge_firing f join enrollment en on en.customer_id = f.customer_id and en.id = f.enrollment_id
    where en.campaign_id = ${campaignId} order by f.edge_id, f.round`.execute(db);
  const byContact = Map.groupBy(rows, ({ contactId }) => contactId);
  return new Map([...byContact].map(([id, fired]) => [id, fired.map(({ edgeId }) => edgeId)]));
}

/** Projects until the log has nothing new. */
export async function projectAll(db: Db, batch = 1000): Promise<void> {
  await db.connection().execute(async (connection) => {
    while ((await projectNext(connection, batch)) > 0);
  });
}

export type Run = {
  customerId: string;
  id: string;
  nodeId: string;
  contactId: string;
  enrollmentId: string;
  campaignId: string;
  messageId: string | null;
  status: string;
  output: Record<string, unknown>;
};

/** Every run of a campaign, in the order they began. */
export async function listRuns(db: Db, campaignId: string): Promise<Run[]> {
  const { rows } = await sql<Run>`
    select r.customer_id as "customerId", r.id, r.node_id as "nodeId", r.contact_id as "contactId",
      r.enrollment_id as "enrollmentId", r.campaign_id as "campaignId", m.id as "messageId", r.status, r.output
    from node_run r left join message m on m.customer_id = r.customer_id and m.run_id = r.id
    where r.campaign_id = ${campaignId} order by r.id`.execute(db);
  return rows;
}

/** An event that concerns a run. */
export function eventOf(run: Run, type: Event["type"], more: Partial<Event> = {}): Event {
  return newEvent({
    id: newId(),
    type,
    at: new Date(),
    customerId: run.customerId,
    campaignId: run.campaignId,
    runId: run.id,
    messageId: run.messageId,
    ...more,
  });
}
