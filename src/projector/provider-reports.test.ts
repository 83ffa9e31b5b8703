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
  listFirings,
  listRuns,
  projectAll,
  type Run,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import type { SoftBounceLimit } from "../customers/queries.ts";
import type { Event, EventType } from "../events/event.ts";

const PROPERTY_MS = 240_000;
const DAY_MS = 86_400_000;
const BEGIN = Date.parse("2026-03-02T12:00:00Z");
const CONTACTS = 2;
const CAMPAIGNS = 2;
const FIRING = ["always", "sent", "failed", "delivered", "bounced", "complained"];

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

type Report = { type: EventType; data: Event["data"] };
/** What is reported of one of the messages, and the day it happened on. */
type Told = { message: number; day: number; report: Report };

const REPORTS: readonly Report[] = [
  { type: "message_delivered", data: {} },
  { type: "message_delivered", data: {} },
  { type: "message_delivered", data: {} },
  { type: "message_bounced", data: { bounceType: "Transient", soft: true } },
  { type: "message_bounced", data: { bounceType: "Transient", soft: true } },
  { type: "message_bounced", data: { bounceType: "Transient", soft: true } },
  { type: "message_bounced", data: { bounceType: "Transient", soft: true } },
  { type: "message_bounced", data: { bounceType: "Transient" } },
  { type: "message_bounced", data: { bounceType: "Permanent", suppress: "bounce" } },
  {
    type: "message_bounced",
    data: { bounceType: "Permanent", bounceSubType: "Suppressed", suppress: "bounce" },
  },
  { type: "message_complained", data: { complaintType: "abuse", suppress: "complaint" } },
  { type: "message_complained", data: { complaintType: "not-spam" } },
  {
    type: "message_complained",
    data: { complaintSubType: "OnAccountSuppressionList", suppress: "complaint" },
  },
  { type: "message_rejected", data: { reason: "Bad content" } },
  { type: "message_delayed", data: {} },
  { type: "provider_sent", data: {} },
];

/** Mostly of one contact, so that its soft bounces and deliveries meet. */
const drawnReports = (reports: typeof REPORTS) =>
  fc.array(
    fc.record({
      message: fc.constantFrom(0, 0, 0, 2, 2, 1, 3),
      day: fc.integer({ min: 0, max: 20 }),
      report: fc.constantFrom(...reports),
    }),
    { minLength: 1, maxLength: 16, size: "max" },
  );

/** A hard bounce makes all soft ones of its address meaningless. */
const SOFTLY = REPORTS.filter(({ data }) => data.suppress !== "bounce");

const drawn = fc
  .record({
    reports: fc.oneof(drawnReports(REPORTS), drawnReports(SOFTLY)),
    limit: fc.constantFrom({ bounces: 2, days: 5 }, { bounces: 2, days: 30 }, { bounces: 3, days: 30 }, null),
    sent: fc.uniqueArray(fc.integer({ min: 0, max: CONTACTS * CAMPAIGNS - 1 })),
  })
  .chain(({ reports, limit, sent }) =>
    fc.record({
      limit: fc.constant(limit),
      events: fc.constant([
        ...reports,
        ...sent.map((message) => ({
          message,
          day: 0,
          report: { type: "message_sent" as const, data: { subject: "Hi" } },
        })),
      ]),
      order: fc.array(fc.nat(), {
        minLength: reports.length + sent.length,
        maxLength: reports.length + sent.length,
      }),
      cuts: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 20 }),
      batch: fc.constantFrom(1, 2, 1000),
    }),
  );

type Drawn = typeof drawn extends fc.Arbitrary<infer T> ? T : never;

test(
  "in whatever order and batches a provider's reports come, statuses, outputs, edges and suppressions end up the same",
  async () => {
    await fc.assert(
      fc.asyncProperty(drawn, async ({ events, order, cuts, batch, limit }) => {
        const inOrder = events.toSorted((one, other) => one.day - other.day);
        const shuffled = events
          .map((event, index) => ({ event, place: order[index] ?? 0 }))
          .toSorted((one, other) => one.place - other.place)
          .map(({ event }) => event);
        const expected = await endOf(inOrder, { cuts: [events.length], batch: 1000, limit });
        expect(await endOf(shuffled, { cuts, batch, limit })).toEqual(expected);
      }),
      { numRuns: 30 },
    );
  },
  PROPERTY_MS,
);

const drawnDays = fc.record({
  /** On each of some days, a soft bounce or a delivery, in the order they are told. */
  told: fc.uniqueArray(fc.record({ day: fc.integer({ min: 0, max: 20 }), isDelivery: fc.boolean() }), {
    selector: ({ day }) => day,
    minLength: 4,
    maxLength: 8,
    size: "max",
  }),
  limit: fc.record({ bounces: fc.constantFrom(1, 2, 2, 2, 3, 3), days: fc.constantFrom(2, 5, 10, 20, 20) }),
  cuts: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 8 }),
});

type DrawnDays = typeof drawnDays extends fc.Arbitrary<infer T> ? T : never;

test(
  "soft bounces suppress by the days they and deliveries were on, in whatever order these are told",
  async () => {
    await fc.assert(
      fc.asyncProperty(drawnDays, async ({ told, limit, cuts }) => {
        const events = told.map(
          ({ day, isDelivery }): Told => ({
            message: 0,
            day,
            report: isDelivery
              ? { type: "message_delivered", data: {} }
              : { type: "message_bounced", data: { bounceType: "Transient", soft: true } },
          }),
        );
        const { suppressions } = await endOf(events, { cuts, batch: 1000, limit });
        expect(suppressions).toHaveLength(isReached(told, limit) ? 1 : 0);
      }),
      { numRuns: 40 },
    );
  },
  PROPERTY_MS,
);

/** Whether so many bounces follow each other within so many days. */
function isReached(told: DrawnDays["told"], limit: SoftBounceLimit): boolean {
  let row: number[] = [];
  for (const { day, isDelivery } of told.toSorted((one, other) => one.day - other.day)) {
    row = isDelivery ? [] : [...row, day];
    const first = row.at(-limit.bounces);
    if (!isDelivery && first !== undefined && day - first <= limit.days) return true;
  }
  return false;
}

type Way = Pick<Drawn, "cuts" | "batch"> & { limit: SoftBounceLimit | null };

/** What has become of two contacts who got two messages each, by the events, told in groups of so many. */
async function endOf(events: readonly Told[], { cuts, batch, limit }: Way) {
  const { customerId, runs, campaigns } = await begin(limit);
  const all = events.map(({ message, day, report }) => {
    const run = runs[message];
    if (run === undefined) throw new Error("there is no such message");
    const data = { ...report.data, diagnosticCode: `550 message ${message}` };
    return eventOf(run, report.type, { at: new Date(BEGIN + day * DAY_MS), contactId: run.contactId, data });
  });
  for (let turn = 0, from = 0; from < all.length; turn += 1) {
    const to = from + (cuts[turn % cuts.length] ?? 1);
    await append(database.db, ...all.slice(from, to));
    await projectAll(database.db, batch);
    from = to;
  }
  return { ...(await readEnd(customerId, runs, campaigns)), ...(await readSuppressions(customerId)) };
}

async function begin(limit: Way["limit"]) {
  const customerId = await createCustomer(database.db);
  await sql`
    update customer set soft_bounces = ${limit?.bounces ?? null}, soft_bounce_days = ${limit?.days ?? null}
    where customer_id = ${customerId}`.execute(database.db);
  const credentialId = await createCredential(database.db, customerId, {});
  await createContacts(database.db, customerId, CONTACTS);
  const hello = { id: "hello", type: "message", channel: "email", credentialId, subject: "Hi", html: "Hi" };
  const pauses = FIRING.map((id) => ({ id, type: "wait", duration: "P2D" }));
  const edges = FIRING.map((firesWhen) => ({ id: firesWhen, from: "hello", to: firesWhen, firesWhen }));
  const campaigns: string[] = [];
  const runs: Run[] = [];
  for (let number = 0; number < CAMPAIGNS; number += 1) {
    const campaign = await createCampaign(database.db, customerId, { nodes: [hello, ...pauses], edges });
    await enroll(database.db, campaign, { all: true });
    await projectAll(database.db);
    campaigns.push(campaign.campaignId);
    const begun = await listRuns(database.db, campaign.campaignId);
    runs.push(...begun.toSorted((one, other) => (one.contactId < other.contactId ? -1 : 1)));
  }
  return { customerId, runs, campaigns };
}

async function readEnd(customerId: string, runs: readonly Run[], campaigns: readonly string[]) {
  const { rows } = await sql<{ runId: string }>`
    select m.run_id as "runId", m.status, m.error, m.sent_at, r.status as run, r.output
    from message m join node_run r on r.customer_id = m.customer_id and r.id = m.run_id
    where m.customer_id = ${customerId}`.execute(database.db);
  const fired = await Promise.all(campaigns.map((campaignId) => listFirings(database.db, campaignId)));
  return {
    messages: runs.map(({ id }) => ({ ...rows.find(({ runId }) => runId === id), runId: null })),
    fired: runs.map(({ contactId }, index) => fired[Math.floor(index / CONTACTS)]?.get(contactId)),
  };
}

async function readSuppressions(customerId: string) {
  const { rows } = await sql`
    select channel, address, reason, detail from suppression
    where customer_id = ${customerId} order by channel, address, reason`.execute(database.db);
  return { suppressions: rows };
}
