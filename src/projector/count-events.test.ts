import { afterAll, beforeAll, expect, test } from "bun:test";
import { isDeepStrictEqual } from "node:util";
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
import { AGENTS, type Event, type EventType } from "../events/event.ts";
import { rebuild } from "./rebuild.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const CONTACTS = 3;
const HITS: readonly EventType[] = ["email_opened", "email_clicked", "unsubscribed"];
const ONCE: readonly EventType[] = [
  "message_delivered",
  "message_bounced",
  "message_complained",
  "message_received",
];
const URLS = ["https://example.com/buy", "https://example.com/look", "http://example.org/"];
const BOUNCES = [
  { data: { bounceType: "Permanent", bounceSubType: "General" }, kind: "hard" },
  { data: { bounceType: "Permanent", bounceSubType: "Suppressed" }, kind: "provider_suppressed" },
  { data: { bounceType: "Transient", bounceSubType: "MailboxFull" }, kind: "soft" },
  { data: {}, kind: "other" },
];
const DEVICES: Record<string, string> = {
  "Mozilla/5.0 (Windows NT 10.0; rv:120.0) Gecko/20100101 Firefox/120.0": "windows/firefox",
  "Mozilla/5.0": "proxy/apple-mail-privacy",
  "curl/8.0": "other/other",
};

const drawnEvent = fc.record({
  run: fc.nat({ max: CONTACTS - 1 }),
  type: fc.constantFrom<EventType>(...HITS, ...HITS, ...ONCE, "message_sent", "message_failed"),
  agent: fc.constantFrom(...AGENTS),
  userAgent: fc.constantFrom(...Object.keys(DEVICES)),
  url: fc.constantFrom(...URLS),
  hour: fc.nat({ max: 2 }),
  bounce: fc.constantFrom(...BOUNCES),
});

type DrawnEvent = typeof drawnEvent extends fc.Arbitrary<infer T> ? T : never;
type Counts = { total: number; unique: number; uniqueHuman: number; human: number };

/** A campaign of one message to three contacts of two domains, and what happened with them. */
async function play(drawn: readonly DrawnEvent[], batch: number) {
  const { db } = database;
  const customerId = await createCustomer(db);
  const credentialId = await createCredential(db, customerId, {});
  const message = { type: "message", channel: "email", credentialId, subject: "Hi", html: "<p>Hi</p>" };
  const campaign = await createCampaign(db, customerId, { nodes: [{ id: "hello", ...message }], edges: [] });
  const contactIds = await createContacts(db, customerId, CONTACTS);
  await sql`update contact set email = 'c@Other.example' where id = ${contactIds[0]}`.execute(db);
  await enroll(db, campaign, { all: true });
  await projectAll(db);
  const runs = await listRuns(db, campaign.campaignId);
  const logged = drawn.map((event) => toEvent(event, runs));
  for (const { event } of logged) await append(db, event);
  await projectAll(db, batch);
  return { ...campaign, logged, otherContactId: contactIds[0] ?? "" };
}

function toEvent(drawn: DrawnEvent, runs: readonly Run[]): { event: Event; run: Run } {
  const run = runs[drawn.run];
  if (run === undefined) throw new Error("there is no such run");
  const isHit = HITS.includes(drawn.type);
  const event = eventOf(run, drawn.type, {
    at: new Date(Date.UTC(2026, 2, 6, drawn.hour, 30)),
    agent: isHit ? drawn.agent : null,
    userAgent: isHit ? drawn.userAgent : null,
    data: dataOf(drawn),
  });
  return { event, run };
}

function dataOf({ type, url, bounce }: DrawnEvent): Event["data"] {
  if (type === "message_bounced") return { ...bounce.data };
  return type === "email_clicked" ? { clickedUrl: url } : {};
}

type Played = Awaited<ReturnType<typeof play>>;

/** The counters of what was drawn; those of enrolling are the database's own time. */
async function counted({ campaignId }: Played): Promise<Map<string, Counts>> {
  const drawn = [...HITS, ...ONCE, "message_sent", "message_failed"];
  const numbers = sql`total::int, unique_total::int as "unique", unique_human::int as "uniqueHuman",
    (human + proxy)::int as human`;
  const { rows } = await sql<Counts & { key: string }>`
    select concat_ws(' ', type, to_char(hour at time zone 'UTC', 'HH24')) as key, ${numbers}
    from counter where campaign_id = ${campaignId} and type = any (${drawn}::text[])
    union all
    select concat_ws(' ', type, 'campaign', to_char(hour at time zone 'UTC', 'HH24')) as key, ${numbers}
    from campaign_hour where campaign_id = ${campaignId} and type = any (${drawn}::text[])
    union all
    select concat_ws(' ', b.type, b.dimension, coalesce(v.url, nullif(b.value, ''))), ${numbers}
    from breakdown b
    left join breakdown_value v on v.customer_id = b.customer_id and v.campaign_id = b.campaign_id
      and v.dimension = b.dimension and v.value = b.value
    where b.campaign_id = ${campaignId} and b.type = any (${drawn}::text[])`.execute(database.db);
  return new Map(rows.map(({ key, ...counts }) => [key, counts]));
}

/** The same, from the events one by one. */
function expected({ logged, otherContactId }: Played): Map<string, Counts> {
  const counts = new Map<string, Counts>();
  const seen = new Set<string>();
  const isFirst = (...key: string[]) => !seen.has(key.join()) && seen.add(key.join()) !== undefined;
  for (const { event, run } of logged) {
    const { type, agent } = event;
    const isHit = HITS.includes(type);
    const byPerson = agent === null || agent === "human" || agent === "proxy";
    const remembers = isHit || ONCE.includes(type);
    const hour = event.at.toISOString().slice(11, 13);
    const domain = run.contactId === otherContactId ? "other.example" : "example.com";
    const unique = remembers && isFirst(run.id, type);
    const uniqueHuman = remembers && byPerson && isFirst(run.id, type, "person");
    const keys = [`${type} ${hour}`, `${type} campaign ${hour}`, `${type} all`, `${type} domain ${domain}`];
    if (isHit) {
      keys.push(`${type} device ${agent === "scanner" ? "bot/bot" : DEVICES[event.userAgent ?? ""]}`);
    }
    if (type === "message_bounced") {
      keys.push(`${type} bounce ${BOUNCES.find(({ data }) => isDeepStrictEqual(data, event.data))?.kind}`);
    }
    for (const key of keys) add(counts, key, { unique, uniqueHuman, human: isHit && byPerson });
    if (type !== "email_clicked") continue;
    const url = String(event.data.clickedUrl);
    const ofLink = {
      unique: isFirst(run.id, url),
      uniqueHuman: byPerson && isFirst(run.id, url, "person"),
      human: byPerson,
    };
    add(counts, `${type} link ${url}`, ofLink);
  }
  return counts;
}

function add(
  counts: Map<string, Counts>,
  key: string,
  is: Record<"unique" | "uniqueHuman" | "human", boolean>,
) {
  const before = counts.get(key) ?? { total: 0, unique: 0, uniqueHuman: 0, human: 0 };
  counts.set(key, {
    total: before.total + 1,
    unique: before.unique + Number(is.unique),
    uniqueHuman: before.uniqueHuman + Number(is.uniqueHuman),
    human: before.human + Number(is.human),
  });
}

const sorted = (counts: Map<string, Counts>) => [...counts].sort(([a], [b]) => (a < b ? -1 : 1));

test("every counter is what the events say one by one, in whatever batches, and so again from the log", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(drawnEvent, { maxLength: 30 }),
      fc.constantFrom(1, 2, 5, 1000),
      async (drawn, batch) => {
        const played = await play(drawn, batch);
        expect(sorted(await counted(played))).toEqual(sorted(expected(played)));
      },
    ),
    { numRuns: 40 },
  );
  const { tables } = await rebuild(database.db, { limit: 77, onProgress: () => {} });
  for (const { missing, extra, different } of tables) expect([missing, extra, different]).toEqual([0, 0, 0]);
});
