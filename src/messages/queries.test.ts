import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
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
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { listMessages } from "../../test/support/sending.ts";
import { LOCKS } from "../storage/locks.ts";
import { claimMessages } from "./claim-queries.ts";
import { listCredentialsWithWork, releaseMessage, reportUncertainMessages } from "./queries.ts";

const WORKER = 7;
const TODAY = { day: "2026-11-25", ceiling: null };

let database: TestDatabase;
let customerId: string;
let credentialId: string;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

beforeEach(async () => {
  customerId = await createCustomer(database.db);
  credentialId = await createCredential(database.db, customerId, {});
});

const hello = () => ({
  id: "hello",
  type: "message",
  channel: "email",
  credentialId,
  subject: "Hi",
  html: '<a href="https://example.com/buy">buy</a>',
});

/** A running campaign with its messages queued for everybody. */
async function queue(graph: { nodes?: object[]; edges?: object[] } = {}) {
  const campaign = await createCampaign(database.db, customerId, {
    nodes: [hello(), ...(graph.nodes ?? [])],
    edges: graph.edges ?? [],
  });
  await enroll(database.db, campaign, { all: true });
  await projectAll(database.db);
  return campaign;
}

async function dueAt(campaign: { campaignId: string }, secondsAgo: number, contact = "%"): Promise<void> {
  await sql`
    update message set due_at = now() - make_interval(secs => ${secondsAgo})
    where campaign_id = ${campaign.campaignId} and to_address like ${contact}`.execute(database.db);
}

const claim = (limit: number, worker = WORKER) =>
  claimMessages(database.db, { customerId, credentialId }, { worker, limit, look: limit, ...TODAY });
const deferred = (dueAt: Date) => ({ dueAt, error: "451 Later", countAttempt: true, wasHandedOver: true });
const recover = () => database.db.transaction().execute(reportUncertainMessages);
const messages = (campaign: { campaignId: string }) => listMessages(database, campaign.campaignId);

describe("claiming", () => {
  test("takes the oldest first, over all campaigns", async () => {
    await createContacts(database.db, customerId, 3);
    const [one, two] = [await queue(), await queue()];
    await dueAt(one, 10);
    await dueAt(two, 20);
    await dueAt(one, 30, "c1@%");
    const first = await claim(4);
    expect(first.messages.map(({ campaignId }) => campaignId)).toEqual([
      one.campaignId,
      ...Array(3).fill(two.campaignId),
    ]);
  });

  test("gives each message to one worker, however many ask at the same moment", async () => {
    await createContacts(database.db, customerId, 300);
    await queue();
    async function claimAll(worker: number): Promise<string[]> {
      const { messages: claimed } = await claim(5, worker);
      const ids = claimed.map(({ id }) => id);
      return ids.length === 0 ? [] : [...ids, ...(await claimAll(worker))];
    }
    const claimed = (await Promise.all(Array.from({ length: 8 }, (_, worker) => claimAll(worker)))).flat();
    expect(new Set(claimed).size).toBe(claimed.length);
    while ((await claim(50)).messages.length > 0);
    const { rows } = await sql<{ attempts: number; count: number }>`
      select attempts, count(*)::int as count from message
      where customer_id = ${customerId} group by attempts`.execute(database.db);
    expect(rows).toEqual([{ attempts: 1, count: 300 }]);
  });

  test("counts the attempt, and gives what composing needs", async () => {
    await createContacts(database.db, customerId, 1);
    await sql`update contact set attributes = '{"name": "Ann"}', tags = '{vip}' where customer_id = ${customerId}`.execute(
      database.db,
    );
    const campaign = await queue();
    const { messages: claimed } = await claim(10);
    expect(claimed[0]).toMatchObject({
      ...campaign,
      campaignName: "Test",
      nodeId: "hello",
      toAddress: "c0@example.com",
      attempts: 1,
      attributes: { name: "Ann" },
      tags: ["vip"],
      postalAddress: null,
    });
  });

  test("leaves what is not due yet, paused, or another credential's", async () => {
    await createContacts(database.db, customerId, 1);
    const [later, paused] = [await queue(), await queue()];
    await dueAt(later, -60);
    await sql`update campaign set status = 'paused' where id = ${paused.campaignId}`.execute(database.db);
    credentialId = await createCredential(database.db, customerId, {});
    const other = await queue();
    expect((await claim(10)).messages.map(({ campaignId }) => campaignId)).toEqual([other.campaignId]);
    const withWork = await listCredentialsWithWork(database.db);
    expect(withWork.filter((ref) => ref.customerId === customerId)).toEqual([]);
  });

  test("lists the credentials that have something to send, once each", async () => {
    await createContacts(database.db, customerId, 3);
    await queue();
    await queue();
    const withWork = await listCredentialsWithWork(database.db);
    expect(withWork.filter((ref) => ref.customerId === customerId)).toEqual([
      { customerId, credentialId, type: "smtp", revision: expect.any(String) },
    ]);
  });

  test("withdraws a message that comes back after its enrollment is over", async () => {
    await createContacts(database.db, customerId, 1);
    const campaign = await queue({
      nodes: [
        { ...hello(), id: "next" },
        { id: "end", type: "exit" },
      ],
      edges: [
        { id: "o", from: "hello", to: "next", firesWhen: "opened" },
        { id: "c", from: "hello", to: "end", firesWhen: "clicked" },
      ],
    });
    const [run] = await listRuns(database.db, campaign.campaignId);
    if (run === undefined) throw new Error("nothing was enrolled");
    await append(database.db, eventOf(run, "message_sent"), eventOf(run, "email_opened", { agent: "human" }));
    await projectAll(database.db);
    const [next] = (await claim(10)).messages;
    if (next === undefined) throw new Error("nothing was claimed");
    const clicked = { agent: "human", data: { clickedUrl: "https://example.com/buy" } } as const;
    await append(database.db, eventOf(run, "email_clicked", clicked));
    await projectAll(database.db);
    await releaseMessage(database.db, next, deferred(new Date()));
    expect(await claim(10)).toEqual({ messages: [], left: 1, isFull: false });
    expect((await messages(campaign)).find(({ id }) => id === next.id)).toMatchObject({
      status: "cancelled",
      runStatus: "cancelled",
      isClaimed: false,
    });
    expect(await claim(10)).toEqual({ messages: [], left: 0, isFull: false });
  });
});

describe("a message that came back", () => {
  test("has used up an attempt only if the server asked for another", async () => {
    await createContacts(database.db, customerId, 1);
    const campaign = await queue();
    for (const [counts, attempts] of [
      [true, 1],
      [false, 1],
      [true, 2],
    ] as const) {
      const [message] = (await claim(1)).messages;
      if (message === undefined) throw new Error("nothing was claimed");
      const release = { dueAt: new Date(0), error: "why", countAttempt: counts, wasHandedOver: counts };
      await releaseMessage(database.db, message, release);
      expect((await messages(campaign))[0]).toMatchObject({ attempts, isClaimed: false, error: "why" });
    }
  });
});

describe("recovery", () => {
  beforeEach(async () => {
    await recover();
    await projectAll(database.db);
  });

  /** As a sending worker does, for as long as `work` goes on. */
  async function whileAlive(worker: number, work: () => Promise<void>): Promise<void> {
    const client = await database.pool.connect();
    await client.query("select pg_advisory_lock($1, $2)", [LOCKS.sender, worker]);
    await work();
    await client.query("select pg_advisory_unlock_all()");
    client.release();
  }

  test("says of a dead worker's messages that nobody knows, once, and never queues them again", async () => {
    await createContacts(database.db, customerId, 2);
    const campaign = await queue();
    await claim(1);
    expect(await recover()).toBe(1);
    expect(await recover()).toBe(0);
    await projectAll(database.db);
    expect(await recover()).toBe(0);
    const rows = await messages(campaign);
    expect(rows.map(({ status }) => status).sort()).toEqual(["queued", "uncertain"]);
    expect(rows.find(({ status }) => status === "uncertain")).toMatchObject({
      isClaimed: false,
      runStatus: "completed",
      error: expect.stringContaining("may have been sent"),
    });
    expect((await claim(10)).messages).toHaveLength(1);
  });

  test("leaves a living worker's messages alone", async () => {
    await createContacts(database.db, customerId, 1);
    await queue();
    await claim(1, 12);
    await whileAlive(12, async () => expect(await recover()).toBe(0));
    expect(await recover()).toBe(1);
  });

  test("leaves alone what the worker told the log before it died", async () => {
    await createContacts(database.db, customerId, 1);
    const campaign = await queue();
    await claim(1);
    const [run] = await listRuns(database.db, campaign.campaignId);
    if (run === undefined) throw new Error("nothing was enrolled");
    await append(database.db, eventOf(run, "message_sent"));
    expect(await recover()).toBe(0);
    await projectAll(database.db);
    expect((await messages(campaign))[0]?.status).toBe("sent");
  });

  test("by two processes at the same moment reports each message once", async () => {
    await createContacts(database.db, customerId, 20);
    await queue();
    await claim(20);
    const counts = await Promise.all([recover(), recover(), recover()]);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(20);
  });
});
