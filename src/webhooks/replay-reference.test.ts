import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { sql } from "kysely";
import { createReplayBench, type ReplayBench, replayAll } from "../../test/support/replays.ts";
import { newId } from "../events/id.ts";
import { CATALOGUE_TYPES } from "./catalogue-types.ts";
import { typesOf } from "./event-pattern.ts";

// What a replay opens, said once more in plain TypeScript from the words of the API, and compared for random logs,
// endpoints, deliveries and filters.

let bench: ReplayBench;
let now: Date;

beforeAll(async () => {
  bench = await createReplayBench(() => now);
  await sql`
    insert into campaign (customer_id, id, name, nodes, edges)
    select ${bench.api.customer.id}, id, id, '[]', '[]' from unnest(${CAMPAIGNS}::uuid[]) as c(id)`.execute(
    bench.db,
  );
});
afterAll(() => bench.api.close());

const CAMPAIGNS = [newId(), newId()];
const CONTACTS = [newId(), newId()];
const MESSAGES = [newId(), newId()];
const TYPES = [
  "email_opened",
  "email_clicked",
  "unsubscribed",
  "timer_elapsed",
  "endpoint_disabled",
] as const;
const ENDPOINTS = 3;

/** Null as often as not; of what narrows a replay, mostly: together they would leave nothing to compare. */
const maybe = <Value>(of: readonly Value[]) => fc.option(fc.constantFrom(...of), { freq: 2 });
const rarely = <Value>(of: readonly Value[]) =>
  fc.tuple(fc.constantFrom(...of), fc.nat(5)).map(([value, number]) => (number === 0 ? value : null));

const anEvent = fc.record({
  type: fc.constantFrom(...TYPES),
  campaign: maybe(CAMPAIGNS),
  contact: maybe(CONTACTS),
  message: maybe(MESSAGES),
  agent: fc.constantFrom(null, "human", "proxy", "prefetch", "scanner"),
  about: fc.nat(ENDPOINTS - 1),
  /** Of its run, where it has one: they count more than its own. */
  run: maybe([{ campaign: CAMPAIGNS[1] ?? "", contact: CONTACTS[1] ?? "" }]),
  isProjected: fc.nat(9).map((number) => number > 0),
});

const anEndpoint = fc.record({
  eventTypes: fc.constantFrom(["*"], ["*"], ["email_*", "unsub*"], ["endpoint_disabled", "email_opened"]),
  campaigns: maybe([[CAMPAIGNS[0] ?? ""], [CAMPAIGNS[1] ?? ""]]),
  includeAutomatic: fc.boolean(),
  digestTypes: rarely([["email_*"], ["*"]]),
});

const aStatus = maybe(["pending", "delivered", "failed", "cancelled"]);

const aCase = fc.record({
  events: fc.array(fc.record({ event: anEvent, statuses: fc.tuple(aStatus, aStatus, aStatus) }), {
    minLength: 15,
    maxLength: 25,
  }),
  endpoints: fc.tuple(anEndpoint, anEndpoint, anEndpoint),
  asked: fc.record({
    which: fc.constantFrom("failed" as const, "missing" as const, "all" as const),
    ratePerSecond: fc.constantFrom(null, 0.1, 0.5, 3),
    endpoints: fc.uniqueArray(fc.nat(ENDPOINTS - 1), { minLength: 1 }),
    eventTypes: rarely([["email_*"], ["unsubscribed", "endpoint_*"]]),
    campaigns: rarely([[CAMPAIGNS[0] ?? ""], CAMPAIGNS]),
    contact: rarely(CONTACTS),
    message: rarely(MESSAGES),
    from: rarely([3, 5]),
    to: rarely([18, 20]),
    named: rarely([[0, 2, 4, 6, 8, 10, 12, 14]]),
  }),
});

type Case = typeof aCase extends fc.Arbitrary<infer Value> ? Value : never;
type Event = Case["events"][number]["event"];
type Endpoint = Case["endpoints"][number];

const isOneOf = (patterns: readonly string[], type: string) =>
  patterns.some((pattern) => typesOf(pattern).some((known) => known === type));

/** Whether an event that is told now would be told to an endpoint. */
function wouldBeTold(event: Event, endpoint: Endpoint, number: number, isNamed: boolean): boolean {
  const campaign = event.run?.campaign ?? event.campaign;
  const isMachine = event.agent === "prefetch" || event.agent === "scanner";
  if (!isOneOf(endpoint.eventTypes, event.type)) return false;
  if (endpoint.campaigns !== null && (campaign === null || !endpoint.campaigns.includes(campaign)))
    return false;
  if (isMachine && !endpoint.includeAutomatic) return false;
  if (event.type === "endpoint_disabled" && event.about === number) return false;
  return isNamed || endpoint.digestTypes === null || !isOneOf(endpoint.digestTypes, event.type);
}

function fits({ asked }: Case, event: Event, index: number): boolean {
  const campaign = event.run?.campaign ?? event.campaign;
  const contact = event.run?.contact ?? event.contact;
  return (
    event.isProjected &&
    CATALOGUE_TYPES.some((type) => type === event.type) &&
    (asked.from === null || index >= asked.from) &&
    (asked.to === null || index < asked.to) &&
    (asked.eventTypes === null || isOneOf(asked.eventTypes, event.type)) &&
    (asked.campaigns === null || (campaign !== null && asked.campaigns.includes(campaign))) &&
    (asked.contact === null || contact === asked.contact) &&
    (asked.message === null || event.message === asked.message) &&
    (asked.named === null || asked.named.includes(index))
  );
}

/** `endpoint event` of everything a replay opens. */
function expectedOf(of: Case): string[] {
  const { which, endpoints, named } = of.asked;
  const opened: string[] = [];
  for (const [index, { event, statuses }] of of.events.entries()) {
    if (!fits(of, event, index)) continue;
    for (const number of endpoints) {
      const status = statuses[number] ?? null;
      const endpoint = of.endpoints[number];
      if (endpoint === undefined) continue;
      const isFailed = status === "failed" || status === "cancelled";
      const isMissing = status === null && wouldBeTold(event, endpoint, number, named !== null);
      const isOpened = {
        failed: isFailed,
        missing: isMissing,
        all: isFailed || isMissing || status === "delivered",
      }[which];
      if (isOpened) opened.push(`${number} ${index}`);
    }
  }
  return opened.toSorted();
}

/** Writes a case into the empty tables; event n is of the nth second. */
async function write(of: Case, start: number): Promise<{ eventIds: string[]; endpointIds: string[] }> {
  const { db } = bench;
  const customerId = bench.api.customer.id;
  const endpointIds: string[] = [];
  for (const { eventTypes, campaigns, includeAutomatic, digestTypes } of of.endpoints) {
    const digest = digestTypes === null ? { digestSeconds: null } : { digestSeconds: 60, digestTypes };
    const url = "https://hooks.slack.com/services/T000/B000/XXXX";
    endpointIds.push(
      await bench.createEndpoint({
        type: "slack",
        url,
        eventTypes,
        campaignIds: campaigns,
        includeAutomatic,
        ...digest,
      }),
    );
  }
  const rows = of.events.map(({ event, statuses }, index) => ({
    id: newId(start + index * 1_000),
    position: event.isProjected ? index + 1 : index + 1_000,
    type: event.type,
    campaign_id: event.campaign,
    contact_id: event.contact,
    message_id: event.message,
    agent: event.agent,
    run_id: event.run === null ? null : newId(),
    run_campaign: event.run?.campaign ?? null,
    run_contact: event.run?.contact ?? null,
    about: endpointIds[event.about] ?? "",
    statuses,
  }));
  await sql`
    insert into event_log (customer_id, id, position, type, at, campaign_id, contact_id, message_id, agent, run_id, data)
    select ${customerId}, id, position, type, now(), campaign_id, contact_id, message_id, agent, run_id,
      jsonb_build_object('endpointId', about)
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as e(id uuid, position bigint, type text, campaign_id uuid,
      contact_id uuid, message_id uuid, agent text, run_id uuid, about text)`.execute(db);
  await sql`
    insert into node_run (customer_id, id, enrollment_id, campaign_id, version, node_id, contact_id, status,
      node_type)
    select ${customerId}, run_id, new_id(), run_campaign, 1, 'n', run_contact, 'completed', 'message'
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as e(run_id uuid, run_campaign uuid, run_contact uuid)
    where run_id is not null`.execute(db);
  const deliveries = rows.flatMap(({ id, type, statuses }) =>
    endpointIds.map((endpoint, number) => ({ id, type, endpoint, status: statuses[number] ?? null })),
  );
  await sql`
    insert into webhook_delivery (customer_id, endpoint_id, event_id, kind, event_type, event_at, position, status,
      due_at, finished_at)
    select ${customerId}, endpoint, id, 'event', type, now(), 1, status, case when status = 'pending' then now() end,
      case when status <> 'pending' then now() end
    from jsonb_to_recordset(${JSON.stringify(deliveries)}::jsonb) as d(id uuid, type text, endpoint uuid, status text)
    where status is not null`.execute(db);
  await sql`update projector_cursor set position = 999 where name = 'projector'`.execute(db);
  return { eventIds: rows.map(({ id }) => id), endpointIds };
}

async function clear(): Promise<void> {
  for (const table of ["webhook_replay", "webhook_delivery", "node_run", "event_log", "webhook_endpoint"]) {
    await sql`delete from ${sql.table(table)}`.execute(bench.db);
  }
}

test("a replay opens what the words of the API say, and a dry run counts just that", async () => {
  const property = fc.asyncProperty(aCase, async (of) => {
    now = new Date();
    const start = now.getTime() - 60_000;
    await clear();
    const { eventIds, endpointIds } = await write(of, start);
    const { asked } = of;
    const at = (second: number | null) =>
      second === null ? null : new Date(start + second * 1_000).toISOString();
    const named = asked.named?.flatMap((index) => eventIds[index] ?? []) ?? null;
    const body = {
      filter: {
        from: at(asked.from),
        to: at(asked.to),
        eventTypes: asked.eventTypes,
        campaignIds: asked.campaigns,
        contactId: asked.contact,
        messageId: asked.message,
        eventIds: named === null || named.length > 0 ? named : [newId()],
      },
      endpointIds: asked.endpoints.map((number) => endpointIds[number]),
      which: asked.which,
      ratePerSecond: asked.ratePerSecond,
    };
    const counted: { matched: { byEndpoint: { toOpen: number }[] } } = JSON.parse(
      (await bench.start({ ...body, dryRun: true })).text,
    );
    const { id } = (await bench.start(body)).body;
    // A tenth a second: a chunk opens one at each endpoint.
    for (let second = 0; second < 400; second += 10)
      await replayAll(bench.db, new Date(now.getTime() + second * 1_000));

    const { rows } = await sql<{ endpointId: string; eventId: string }>`
      select endpoint_id as "endpointId", event_id as "eventId" from webhook_delivery
      where replay_id = ${id} and status = 'pending'`.execute(bench.db);
    const opened = rows.map(
      ({ endpointId, eventId }) => `${endpointIds.indexOf(endpointId)} ${eventIds.indexOf(eventId)}`,
    );
    const expected = expectedOf(of);
    expect(opened.toSorted()).toEqual(expected);
    expect(await bench.read(id)).toMatchObject({ status: "completed", opened: expected.length });
    const toOpen = counted.matched.byEndpoint.reduce((sum, endpoint) => sum + endpoint.toOpen, 0);
    expect(toOpen).toBe(expected.length);
  });
  await fc.assert(property, { numRuns: 40 });
}, 120_000);
