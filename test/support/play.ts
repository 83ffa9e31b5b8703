import fc from "fast-check";
import { sql } from "kysely";
import { doDueSteps } from "../../src/campaigns/run-steps.ts";
import type { Graph } from "../../src/campaigns/schema.ts";
import { AGENTS, type Event, type EventType } from "../../src/events/event.ts";
import { newId } from "../../src/events/id.ts";
import type { Db } from "../../src/storage/pool.ts";
import {
  append,
  createCampaign,
  createCredential,
  createCustomer,
  enroll,
  eventOf,
  projectAll,
} from "./campaigns.ts";
import type { Fault } from "./faults.ts";
import { drawnContact, LINKS, validCampaign } from "./graphs.ts";
import { readRuns, type StoredRun } from "./outcome.ts";
import type { ReferenceContact } from "./reference-state.ts";

const CONTACTS = 3;
const HITS = ["email_opened", "email_clicked", "unsubscribed"] as const;

/** Something that happens to one of the contacts' runs of messages, or of webhooks. */
const drawnEvent = fc.record({
  run: fc.nat(),
  type: fc.constantFrom<EventType[]>(
    "message_sent",
    "message_sent",
    "message_failed",
    "message_uncertain",
    "contact_suppressed",
    "message_delivered",
    "message_bounced",
    "message_delayed",
    "message_complained",
    "message_rejected",
    "message_received",
    "email_opened",
    "email_opened",
    "email_clicked",
    "unsubscribed",
  ),
  agent: fc.constantFrom(null, ...AGENTS),
  clickedUrl: fc.constantFrom(...LINKS),
  answer: fc.integer({ min: 0, max: 9 }),
  /** Whether the log is told of it twice. */
  isRepeated: fc.boolean(),
});

type DrawnEvent = typeof drawnEvent extends fc.Arbitrary<infer T> ? T : never;

const drawnFault: fc.Arbitrary<Fault> = fc.record({
  kind: fc.constantFrom("rollback", "drop"),
  statement: fc.integer({ min: 1, max: 25 }),
});

/** Events of a round are appended together; what they begin can have events of its own in the next. */
const drawnRound = fc.record({
  events: fc.array(drawnEvent, { minLength: 1, maxLength: 12 }),
  /** Whether so much time passes that every wait and timer is due. */
  timePasses: fc.boolean(),
  /** How many steps a worker takes at once. */
  steps: fc.constantFrom(1, 2, 1000),
  projectorFault: drawnFault,
  workerFault: drawnFault,
});

export type Round = typeof drawnRound extends fc.Arbitrary<infer T> ? T : never;

export const drawnPlay = fc.record({
  graph: validCampaign({ maxNodes: 8 }),
  contacts: fc.array(drawnContact, { minLength: CONTACTS, maxLength: CONTACTS }),
  rounds: fc.array(drawnRound, { minLength: 1, maxLength: 4 }),
  batch: fc.constantFrom(1, 2, 3, 7, 1000),
});

export type Play = typeof drawnPlay extends fc.Arbitrary<infer T> ? T : never;
export type Played = {
  graph: Graph;
  customerId: string;
  campaignId: string;
  contacts: readonly ReferenceContact[];
};

/** A campaign that is played by the projector and the workers. */
export async function play(
  db: Db,
  drawn: Play,
  happen: (round: Round, batch: number) => Promise<void>,
): Promise<Played> {
  const customerId = await createCustomer(db);
  const credentialId = await createCredential(db, customerId, {});
  const nodes = drawn.graph.nodes.map((node) => (node.type === "message" ? { ...node, credentialId } : node));
  const graph = { ...drawn.graph, nodes };
  const campaign = await createCampaign(db, customerId, graph);
  const contacts = await insertContacts(db, customerId, drawn.contacts);
  await enroll(db, campaign, { all: true });
  await projectAll(db, drawn.batch);
  for (const round of drawn.rounds) {
    await appendEvents(db, campaign.campaignId, round.events);
    if (round.timePasses) await makeAllDue(db, campaign.campaignId);
    await happen(round, drawn.batch);
  }
  await settle(db, drawn.batch, 1000);
  return { graph, ...campaign, contacts };
}

/** Nothing is left to project or to do; what a worker does, it does with all projected before. */
export async function settle(db: Db, batch: number, steps: number): Promise<void> {
  do await projectAll(db, batch);
  while ((await doDueSteps(db, { now: new Date(), limit: steps })) > 0);
}

async function insertContacts(
  db: Db,
  customerId: string,
  drawn: Play["contacts"],
): Promise<ReferenceContact[]> {
  const contacts = drawn.map((contact, number) => ({
    id: newId(),
    email: `c${number}@example.com`,
    createdAt: new Date(),
    updatedAt: new Date(),
    ...contact,
  }));
  for (const { id, email, timeZone, attributes, tags } of contacts) {
    await sql`
      insert into contact (customer_id, id, email, time_zone, attributes, tags)
      values (${customerId}, ${id}, ${email}, ${timeZone}, ${JSON.stringify(attributes)}::jsonb,
        ${tags}::text[])`.execute(db);
  }
  return contacts;
}

async function appendEvents(db: Db, campaignId: string, drawn: readonly DrawnEvent[]): Promise<void> {
  const runs = await readRuns(db, campaignId);
  const asked = runs.filter((run) => run.nodeType === "webhook" && run.dueAt !== null);
  const answerable = runs.filter((run) => run.nodeType === "message").concat(asked);
  const answered = new Set<StoredRun>();
  const events: Event[] = [];
  for (const one of drawn) {
    const run = answerable[one.run % answerable.length];
    if (run === undefined || answered.has(run)) continue;
    if (run.nodeType === "webhook") answered.add(run);
    const event = run.nodeType === "webhook" ? answerTo(run, one) : messageEvent(run, one);
    events.push(event, ...(one.isRepeated ? [event] : []));
  }
  // Twice in one call and again in the next: the log has each once.
  await append(db, ...events);
  await append(db, ...events);
  const ids = [...answered].map(({ id }) => id);
  await sql`update node_run set due_at = null where id = any (${ids}::uuid[])`.execute(db);
}

function messageEvent(run: StoredRun, { type, agent, clickedUrl, answer }: DrawnEvent): Event {
  const isHit = HITS.some((hit) => hit === type);
  const data: Partial<Record<EventType, Event["data"]>> = {
    message_sent: { subject: "Hi" },
    message_failed: { reason: `55${answer}` },
    message_bounced: { bounceType: answer < 5 ? "Permanent" : "Transient" },
    message_complained: { complaintType: answer < 5 ? "abuse" : null },
    message_rejected: { reason: `bad content ${answer}` },
    email_clicked: { clickedUrl },
  };
  return eventOf(run, type, { agent: isHit ? agent : null, data: data[type] ?? {} });
}

function answerTo(run: StoredRun, { answer }: DrawnEvent): Event {
  return answer < 5
    ? eventOf(run, "run_completed", { data: { status: 200, output: { score: answer } } })
    : eventOf(run, "run_failed", { data: { status: answer < 7 ? 500 : null, reason: "no luck" } });
}

async function makeAllDue(db: Db, campaignId: string): Promise<void> {
  await sql`
    update node_run set due_at = now() - interval '1 year'
    where campaign_id = ${campaignId} and due_at is not null and node_type <> 'webhook'`.execute(db);
  await sql`update edge_timer set due_at = now() - interval '1 year' where campaign_id = ${campaignId}`.execute(
    db,
  );
}
