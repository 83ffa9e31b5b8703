import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { sql } from "kysely";
import pino from "pino";
import { append, createCustomer, projectAll } from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { readMessage } from "../../test/support/slack.ts";
import { type Event, newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { closeDueDigests, runDigests } from "./run-digests.ts";

const PUBLIC_URL = "https://edgr.example.com";
const PATTERNS = ["email\\_opened", "email\\_clicked", "run\\_%"];

let database: TestDatabase;
let customerId: string;
let campaignId: string;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

beforeEach(async () => {
  await sql`delete from webhook_digest`.execute(database.db);
  customerId = await createCustomer(database.db);
  campaignId = await newCampaign(customerId, "Welcome");
});

async function newCampaign(customer: string, name: string): Promise<string> {
  const id = newId();
  await sql`
    insert into campaign (customer_id, id, name, nodes, edges) values (${customer}, ${id}, ${name}, '[]', '[]')`.execute(
    database.db,
  );
  return id;
}

type Settings = {
  typePatterns: string[];
  digestPatterns: string[];
  digestSeconds: number | null;
  campaignIds: string[] | null;
  includeAutomatic: boolean;
  status: string;
};

/** A Slack endpoint that is told of everything and gathers opens, clicks and steps for five minutes. */
async function newEndpoint(settings: Partial<Settings> = {}, customer = customerId): Promise<string> {
  const id = newId();
  const { typePatterns, digestPatterns, digestSeconds, campaignIds, includeAutomatic, status } = {
    typePatterns: ["%"],
    digestPatterns: PATTERNS,
    digestSeconds: 300,
    campaignIds: null,
    includeAutomatic: false,
    status: "enabled",
    ...settings,
  };
  const seal = Buffer.from("sealed");
  await sql`
    insert into webhook_endpoint (customer_id, id, type, url, url_shown, description, event_types, type_patterns,
      campaign_ids, include_automatic, header_names, digest_seconds, digest_patterns, digest_types, status,
      disabled_reason, disabled_by, disabled_at, version, public_key, private_key)
    values (${customer}, ${id}, 'slack', ${seal}, 'https://hooks.slack.com/…', '', '{*}', ${typePatterns},
      ${campaignIds}, ${includeAutomatic}, '{}', ${digestSeconds}, ${digestPatterns}, '{}', ${status},
      ${status === "disabled" ? "by hand" : null}, ${status === "disabled" ? "person" : null},
      ${status === "disabled" ? new Date() : null}, 1, 'whpk_', ${seal})`.execute(database.db);
  return id;
}

async function happen(type: Event["type"], about: Partial<Event> = {}): Promise<void> {
  const event = newEvent({ id: newId(), type, at: new Date(), customerId, campaignId, ...about });
  await append(database.db, event);
}

/** Projects what has happened. */
const project = () => projectAll(database.db);

const later = (seconds: number) => new Date(Date.now() + seconds * 1_000);
const close = (now: Date, limit = 100) => closeDueDigests(database.db, { now, publicUrl: PUBLIC_URL, limit });

type Digest = { endpointId: string; kind: string; status: string; payload: string };

async function digests(): Promise<Digest[]> {
  const { rows } = await sql<Digest>`
    select endpoint_id as "endpointId", kind, status, payload from webhook_delivery
    where customer_id = ${customerId} and kind = 'digest' order by event_id`.execute(database.db);
  return rows;
}

/** What is read in each of them, by the endpoint's channel. */
async function shown(): Promise<string[]> {
  return (await digests()).map(({ payload }) => {
    const read = readMessage(payload);
    if (typeof read === "string") throw new Error(read);
    return read.shown.text;
  });
}

test("a thousand opens become one delivery when the interval is over, and nothing before", async () => {
  const endpointId = await newEndpoint();
  for (let batch = 0; batch < 4; batch += 1) {
    await append(
      database.db,
      ...Array.from({ length: 250 }, () =>
        newEvent({ id: newId(), type: "email_opened", at: new Date(), customerId, campaignId }),
      ),
    );
    await project();
  }
  expect(await close(later(290))).toBe(0);
  expect(await close(later(301))).toBe(1);
  expect(await close(later(900))).toBe(0);
  expect(await digests()).toMatchObject([{ endpointId, kind: "digest", status: "pending" }]);
  expect((await shown())[0]).toContain("Welcome\n• Email opened: 1,000");
});

test("only what is gathered is counted, of what endpoints are told of: by type, campaign and who did it", async () => {
  const other = await newCampaign(customerId, "Other");
  const elsewhere = await createCustomer(database.db);
  await newEndpoint({ campaignIds: [campaignId] });
  await happen("email_opened");
  await happen("email_opened", { agent: "scanner" });
  await happen("email_opened", { agent: "human" });
  await happen("email_opened", { campaignId: other });
  await happen("email_opened", { customerId: elsewhere });
  await happen("message_bounced");
  await happen("run_failed");
  await happen("run_completed");
  await project();
  await close(later(301));
  expect(await shown()).toEqual([
    expect.stringMatching(/3 events[\s\S]*Welcome\n• Email opened: 2\n• Step failed: 1\n/),
  ]);
});

test("machines' hits are counted for who wants to be told of them", async () => {
  await newEndpoint({ includeAutomatic: true });
  await happen("email_clicked", { agent: "scanner" });
  await happen("email_clicked", { agent: "human" });
  await project();
  await close(later(301));
  expect((await shown())[0]).toContain("Link clicked: 2");
});

test("what an endpoint is not told of is not gathered, nor anything for one that is disabled or gathers nothing", async () => {
  await newEndpoint({ typePatterns: ["message\\_%"] });
  await newEndpoint({ status: "disabled" });
  await newEndpoint({ digestSeconds: null });
  await happen("email_opened");
  await project();
  expect(await close(later(301))).toBe(0);
});

test("an underscore in a pattern stands for itself", async () => {
  await newEndpoint({ digestPatterns: ["email\\_%"], typePatterns: ["email\\_%"] });
  await happen("message_sent");
  await project();
  expect(await close(later(301))).toBe(0);
});

test("a digest shows the campaign's counters so far, of people where machines are not told of", async () => {
  await newEndpoint();
  await newEndpoint({ includeAutomatic: true });
  await sql`
    insert into breakdown (customer_id, campaign_id, dimension, value, node_id, type, total, unique_total,
      unique_human, human, proxy, prefetch, scanner)
    values (${customerId}, ${campaignId}, 'all', '', 'hello', 'email_opened', 900, 0, 0, 600, 100, 50, 150),
      (${customerId}, ${campaignId}, 'all', '', 'other', 'email_opened', 100, 0, 0, 100, 0, 0, 0)`.execute(
    database.db,
  );
  await happen("email_opened", { agent: "human" });
  await project();
  await close(later(301));
  const texts = (await shown()).map((text) => /Email opened: .*/.exec(text)?.[0]);
  expect(texts.toSorted()).toEqual(["Email opened: 1 (1,000 so far)", "Email opened: 1 (800 so far)"]);
});

test("what is of no campaign, or of one that is gone, is counted too", async () => {
  await newEndpoint();
  await happen("email_opened", { campaignId: null });
  await project();
  await close(later(301));
  expect((await shown())[0]).toContain("Outside of campaigns\n• Email opened: 1");
});

test("after a digest is closed a new one begins", async () => {
  await newEndpoint();
  await happen("email_opened");
  await project();
  await close(later(301));
  await happen("email_opened");
  await happen("email_opened");
  await project();
  expect(await close(later(301))).toBe(1);
  const texts = await shown();
  expect(texts.map((text) => /Email opened: \d+/.exec(text)?.[0])).toEqual([
    "Email opened: 1",
    "Email opened: 2",
  ]);
});

test.each([
  ["disabled", sql`status = 'disabled', disabled_reason = 'x', disabled_by = 'person', disabled_at = now()`],
  ["told of everything at once", sql`digest_seconds = null`],
])("a digest of an endpoint that is %s meanwhile closes at once with what it has", async (_, change) => {
  const id = await newEndpoint();
  await happen("email_opened");
  await project();
  expect(await close(later(0))).toBe(0);
  await sql`update webhook_endpoint set ${change} where customer_id = ${customerId} and id = ${id}`.execute(
    database.db,
  );
  await happen("email_opened");
  await project();
  expect(await close(later(0))).toBe(1);
  expect((await shown())[0]).toContain("Email opened: 1");
});

test("a shorter interval holds for the digest that is open", async () => {
  const id = await newEndpoint();
  await happen("email_opened");
  await project();
  await sql`update webhook_endpoint set digest_seconds = 10 where customer_id = ${customerId} and id = ${id}`.execute(
    database.db,
  );
  expect(await close(later(11))).toBe(1);
});

test("an endpoint that is deleted takes its open digest along", async () => {
  const id = await newEndpoint();
  await happen("email_opened");
  await project();
  await sql`delete from webhook_endpoint where customer_id = ${customerId} and id = ${id}`.execute(
    database.db,
  );
  expect(await close(later(301))).toBe(0);
});

test("several processes make each digest exactly one delivery", async () => {
  for (let number = 0; number < 40; number += 1) await newEndpoint();
  await happen("email_opened");
  await project();
  const closed = await Promise.all(Array.from({ length: 8 }, () => close(later(301), 7)));
  let more = 1;
  while (more > 0) {
    more = await close(later(301), 7);
    closed.push(more);
  }
  expect(closed.reduce((sum, count) => sum + count, 0)).toBe(40);
  expect(new Set((await digests()).map(({ endpointId }) => endpointId)).size).toBe(40);
  expect((await digests()).length).toBe(40);
});

test("while digests are closed and events gathered at once, every event is in exactly one digest", async () => {
  await newEndpoint();
  let isProjecting = true;
  const closing = (async () => {
    while (isProjecting) await close(later(301));
  })();
  for (let sent = 0; sent < 40; sent += 1) {
    await happen("email_opened");
    await project();
  }
  isProjecting = false;
  await closing;
  await close(later(301));
  const counts = (await shown()).map((text) => Number(/Email opened: (\d+)/.exec(text)?.[1]));
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(40);
});

test("the worker closes what became due while nobody ran, and says that there are deliveries", async () => {
  await newEndpoint();
  await happen("email_opened");
  await project();
  const closed = Promise.withResolvers<void>();
  const worker = runDigests({
    db: database.db,
    publicUrl: PUBLIC_URL,
    now: () => later(301).getTime(),
    log: pino({ level: "silent" }),
    onClose: closed.resolve,
  });
  await closed.promise;
  await worker.stop();
  expect((await digests()).length).toBe(1);
});
