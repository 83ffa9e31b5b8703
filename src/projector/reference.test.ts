import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { sql } from "kysely";
import {
  append,
  createCampaign,
  createContacts,
  createCredential,
  createCustomer,
  enroll,
  eventOf,
  listRuns,
  projectAll,
  type Run,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { CREDENTIAL_ID, validCampaign } from "../../test/support/graphs.ts";
import { advance, type EnrollmentState, enrolled } from "../../test/support/reference-interpreter.ts";
import { TRIGGERS } from "../campaigns/graph.ts";
import { FIRES_WHEN, type Graph } from "../campaigns/schema.ts";
import { AGENTS, type Event } from "../events/event.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

const CONTACTS = 3;

/** An event of a round: of one of the contacts, at one of the runs he has by then. */
const drawnEvent = fc.record({
  contact: fc.nat({ max: CONTACTS - 1 }),
  run: fc.nat(),
  type: fc.constantFrom(...new Set(FIRES_WHEN.flatMap((firesWhen) => TRIGGERS[firesWhen]))),
  agent: fc.constantFrom(null, ...AGENTS),
  clickedUrl: fc.constantFrom(null, "https://example.com/buy", "http://example.org/"),
  /** Whether the log is told of it twice. */
  isRepeated: fc.boolean(),
});

type DrawnEvent = typeof drawnEvent extends fc.Arbitrary<infer T> ? T : never;

// Events of a round are appended together; what they begin can have events of its own in the next.
const drawnRounds = (maxEvents: number) =>
  fc.array(fc.array(drawnEvent, { minLength: 1, maxLength: maxEvents }), { minLength: 1, maxLength: 4 });

/** A campaign that is played by the projector and, event by event, by the reference. */
async function play(graph: Graph, rounds: DrawnEvent[][], batch: number) {
  const customerId = await createCustomer(database.db);
  const credentialId = await createCredential(database.db, customerId, {});
  const nodes = graph.nodes.map((node) => (node.type === "message" ? { ...node, credentialId } : node));
  const campaign = await createCampaign(database.db, customerId, { ...graph, nodes });
  const contactIds = await createContacts(database.db, customerId, CONTACTS);
  await enroll(database.db, campaign, { all: true });
  await project(batch);
  const states = new Map<string, EnrollmentState>(contactIds.map((id) => [id, enrolled(graph)]));
  const logged: { run: Run; event: Event }[] = [];
  for (const round of rounds) {
    const runs = await listRuns(database.db, campaign.campaignId);
    for (const drawn of round) {
      const run = pickRun(runs, contactIds[drawn.contact], drawn.run);
      const { type, agent } = drawn;
      const data = type === "email_clicked" ? { clickedUrl: drawn.clickedUrl } : {};
      const event = eventOf(run, type, { agent, data });
      await append(database.db, event, ...(drawn.isRepeated ? [event] : []));
      logged.push({ run, event });
      const clickedUrl = type === "email_clicked" ? drawn.clickedUrl : null;
      const state = states.get(run.contactId) ?? enrolled(graph);
      states.set(run.contactId, advance(graph, state, { nodeId: run.nodeId, type, agent, clickedUrl }));
    }
    await project(batch);
  }
  return { ...campaign, contactIds, states, logged };
}

type Played = Awaited<ReturnType<typeof play>>;

/** By two processes at once. */
async function project(batch: number): Promise<void> {
  await Promise.all([projectAll(database.db, batch), projectAll(database.db, batch)]);
  await projectAll(database.db, batch);
}

function pickRun(runs: readonly Run[], contactId: string | undefined, pick: number): Run {
  const own = runs.filter((run) => run.contactId === contactId);
  const run = own[pick % own.length];
  if (run === undefined) throw new Error("an enrollment has no run");
  return run;
}

type Enrollment = {
  active: boolean;
  runs: string[];
  statuses: Record<string, string>;
  fired: string[];
  messagesQueued: string[];
};

/** What the projector made of every contact's enrollment, in the reference's words. */
async function projected({ campaignId, contactIds }: Played): Promise<Enrollment[]> {
  const runs = await listRuns(database.db, campaignId);
  const { rows: fired } = await sql<{ contactId: string; edgeId: string }>`
    select en.contact_id as "contactId", f.edge_id as "edgeId"
    from edge_firing f join enrollment en on en.customer_id = f.customer_id and en.id = f.enrollment_id
    where en.campaign_id = ${campaignId}`.execute(database.db);
  const { rows: active } = await sql<{ contactId: string }>`
    select contact_id as "contactId" from enrollment
    where campaign_id = ${campaignId} and status = 'active'`.execute(database.db);
  return contactIds.map((contactId) => {
    const own = runs.filter((run) => run.contactId === contactId);
    return {
      active: active.some((row) => row.contactId === contactId),
      runs: own.map(({ nodeId }) => nodeId).sort(),
      statuses: Object.fromEntries(own.map(({ nodeId, status }) => [nodeId, status])),
      fired: fired.flatMap((row) => (row.contactId === contactId ? [row.edgeId] : [])).sort(),
      messagesQueued: own.flatMap(({ nodeId, messageId }) => (messageId === null ? [] : [nodeId])).sort(),
    };
  });
}

function expected({ contactIds, states }: Played): Enrollment[] {
  return contactIds.map((contactId) => {
    const state = states.get(contactId);
    if (state === undefined) throw new Error("a contact was never enrolled");
    return {
      active: state.active,
      runs: [...state.runs.keys()].sort(),
      statuses: Object.fromEntries(state.runs),
      fired: [...state.fired].sort(),
      messagesQueued: [...state.messagesQueued].sort(),
    };
  });
}

const withoutStatuses = (enrollments: Enrollment[]) => enrollments.map(({ statuses, ...rest }) => rest);

/** Total, unique and unique human of every kind of hit, summed over nodes and hours. */
async function counted({ campaignId }: Played) {
  const { rows } = await sql<{ type: string; counts: number[] }>`
    select type, array[sum(total), sum(unique_total), sum(unique_human)]::int[] as counts
    from counter where campaign_id = ${campaignId} and type in ('email_opened', 'email_clicked', 'unsubscribed')
    group by type`.execute(database.db);
  return Object.fromEntries(rows.map(({ type, counts }) => [type, counts]));
}

function expectedCounts({ logged }: Played) {
  const counts = ["email_opened", "email_clicked", "unsubscribed"].flatMap((type) => {
    const hits = logged.filter(({ event }) => event.type === type);
    const people = hits.filter(({ event }) => event.agent !== "prefetch" && event.agent !== "scanner");
    const runs = (of: typeof hits) => new Set(of.map(({ run }) => run.id)).size;
    return hits.length === 0 ? [] : [[type, [hits.length, runs(hits), runs(people)]]];
  });
  return Object.fromEntries(counts);
}

async function firings({ campaignId }: Played): Promise<number> {
  const { rows } = await sql<{ fired: number }>`
    select coalesce(sum(fired), 0)::int as fired from edge_counter where campaign_id = ${campaignId}`.execute(
    database.db,
  );
  return rows[0]?.fired ?? -1;
}

test("the projector does what the reference does, in whatever batches and however often it is told", async () => {
  await fc.assert(
    fc.asyncProperty(
      validCampaign({ credentialId: CREDENTIAL_ID, maxNodes: 8 }),
      drawnRounds(12),
      fc.constantFrom(1, 2, 3, 7, 1000),
      async (graph, rounds, batch) => {
        const played = await play(graph, rounds, batch);
        expect(withoutStatuses(await projected(played))).toEqual(withoutStatuses(expected(played)));
        expect(await counted(played)).toEqual(expectedCounts(played));
        const fired = expected(played).reduce((sum, enrollment) => sum + enrollment.fired.length, 0);
        expect(await firings(played)).toBe(fired);
      },
    ),
    { numRuns: 60 },
  );
});

// In a batch with an exit, what came after the exit may still end a run that the exit cancels by itself.
test("event by event, every run ends as in the reference too", async () => {
  await fc.assert(
    fc.asyncProperty(validCampaign({ maxNodes: 6 }), drawnRounds(5), async (graph, rounds) => {
      const played = await play(graph, rounds, 1);
      expect(await projected(played)).toEqual(expected(played));
    }),
    { numRuns: 25 },
  );
});
