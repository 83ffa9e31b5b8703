import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { sql } from "kysely";
import { createContacts, createCustomer } from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { type Event, newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { openDatabase } from "../storage/pool.ts";
import { resubscribe, type SubscriptionHit, unsubscribe } from "../tracking/queries.ts";
import { drainBatch } from "./drain.ts";
import { type Entry, encodeEntry } from "./entry.ts";
import { openSpool, type Spool } from "./spool.ts";

const NOW_MS = Date.parse("2026-11-20T10:00:00Z");
const ANSWER_WITHIN_MS = 10_000;
const LIMITS = { maxBytes: 1024 ** 3, maxEvents: 1_000_000 };

let database: TestDatabase;
let dataDir = "";
let spool: Spool;
let customerId = "";
const told: { number: number; reason: string }[] = [];
const log = { error: (row: { number: number; reason: string }) => void told.push(row) };

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), "edgr-drain-"));
  spool = openSpool(dataDir, LIMITS, () => NOW_MS);
  customerId = await createCustomer(database.db);
  told.length = 0;
});
afterEach(async () => {
  spool.close();
  await rm(dataDir, { recursive: true, force: true });
});

function opened(more: Partial<Event> = {}): Entry {
  const event = newEvent({ id: newId(), type: "email_opened", at: new Date(NOW_MS), customerId, ...more });
  return { kind: "event", event };
}

async function drainAll(): Promise<void> {
  while (!spool.isEmpty()) await drainBatch(spool, database, ANSWER_WITHIN_MS, log);
}

async function logged(): Promise<{ id: string; type: string }[]> {
  const { rows } = await sql<{ id: string; type: string }>`
    select id, type from event_log where customer_id = ${customerId} order by position`.execute(database.db);
  return rows;
}

const loggedIds = async () => (await logged()).map(({ id }) => id);
const idsOf = (entries: readonly Entry[]) => entries.map((entry) => encodeEntry(entry).id);

/** A message that was sent to somebody. */
async function createMessage(): Promise<string> {
  const messageId = newId();
  const [contactId] = await createContacts(database.db, customerId, 1);
  await sql`
    insert into message (customer_id, id, direction, channel, contact_id, credential_id, to_address)
    values (${customerId}, ${messageId}, 'outbound', 'email', ${contactId}, ${newId()}, 'Ann@example.com')`.execute(
    database.db,
  );
  return messageId;
}

function hitOn(messageId: string, more: Partial<SubscriptionHit> = {}): SubscriptionHit {
  const at = new Date(NOW_MS);
  const visitor = { agent: "human", agentRule: "no-rule", userAgent: null, ip: "203.0.113.7" } as const;
  return { eventId: newId(), customerId, messageId, at, ...visitor, via: "link", ...more };
}

async function suppressed(): Promise<string[]> {
  const { rows } = await sql<{ address: string }>`
    select address from suppression where customer_id = ${customerId}`.execute(database.db);
  return rows.map(({ address }) => address);
}

describe("a drained spool", () => {
  test("is in the log in the order of arrival, over many batches", async () => {
    const entries = Array.from({ length: 12_000 }, () => opened());
    spool.append(entries);
    await drainAll();
    expect(await loggedIds()).toEqual(idsOf(entries));
  });

  test("keeps the order of opens and of what happens to a subscription", async () => {
    const messageId = await createMessage();
    const entries: Entry[] = [
      opened(),
      { kind: "unsubscribe", hit: hitOn(messageId) },
      opened(),
      { kind: "resubscribe", hit: hitOn(messageId) },
      { kind: "unsubscribe", hit: hitOn(messageId) },
      opened(),
    ];
    spool.append(entries);
    await drainAll();
    expect(await loggedIds()).toEqual(idsOf(entries));
    expect(await suppressed()).toEqual(["ann@example.com"]);
  });

  test("stays as it is when the database is away", async () => {
    const entries = [opened(), opened()];
    spool.append(entries);
    const nowhere = openDatabase("postgres://nobody@127.0.0.1:1/nothing", 1);
    await expect(drainBatch(spool, nowhere, ANSWER_WITHIN_MS, log)).rejects.toThrow("ECONNREFUSED");
    await nowhere.close();
    expect(spool.first(10).map(({ id }) => id)).toEqual(idsOf(entries));
  });
});

describe("a process that dies between the database's commit and the spool's", () => {
  class Killed extends Error {}
  const dying = (): Spool => ({
    ...spool,
    settle() {
      throw new Killed();
    },
  });

  test("does the same again, and everything is there once", async () => {
    const messageId = await createMessage();
    const entries: Entry[] = [opened(), { kind: "unsubscribe", hit: hitOn(messageId) }, opened()];
    spool.append(entries);
    await expect(drainBatch(dying(), database, ANSWER_WITHIN_MS, log)).rejects.toBeInstanceOf(Killed);
    expect(await loggedIds()).toEqual(idsOf(entries));
    await drainAll();
    expect(await loggedIds()).toEqual(idsOf(entries));
  });

  test("does not unsubscribe somebody again who has come back meanwhile by another process", async () => {
    const messageId = await createMessage();
    spool.append([{ kind: "unsubscribe", hit: hitOn(messageId) }]);
    await expect(drainBatch(dying(), database, ANSWER_WITHIN_MS, log)).rejects.toBeInstanceOf(Killed);
    expect(await resubscribe(database.db, hitOn(messageId))).toBe("resubscribed");
    await drainAll();
    expect(await suppressed()).toEqual([]);
    expect((await logged()).map(({ type }) => type)).toEqual(["unsubscribed", "resubscribed"]);
  });
});

describe("an entry that the database refuses", () => {
  test("is set aside alone with the reason, wherever it stands, and everything else arrives in order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), async (poisoned) => {
        customerId = await createCustomer(database.db);
        const before = spool.contents().setAside;
        const entries = poisoned.map((bad) => opened(bad ? { userAgent: "a\0b" } : {}));
        spool.append(entries);
        await drainAll();
        expect(await loggedIds()).toEqual(idsOf(entries.filter((_, index) => poisoned[index] !== true)));
        expect(spool.contents().setAside - before).toBe(poisoned.filter((bad) => bad).length);
      }),
      { numRuns: 20 },
    );
    expect(told[0]?.reason).toContain("invalid byte sequence");
  });

  test("may be a change of a subscription, of which nothing is left behind", async () => {
    const messageId = await createMessage();
    const good = opened();
    spool.append([{ kind: "unsubscribe", hit: hitOn(messageId, { ip: "nowhere" }) }, good]);
    await drainAll();
    expect(await loggedIds()).toEqual(idsOf([good]));
    expect(await suppressed()).toEqual([]);
    expect(told.map(({ reason }) => reason)).toEqual([expect.stringContaining("invalid input syntax")]);
  });

  test("may be one that this version can't read", async () => {
    const good = opened();
    const strange = encodeEntry(opened());
    spool.append([opened(), good]);
    const rows = spool.first(2);
    const reading: Spool = {
      ...spool,
      first: () =>
        rows.map((row, index) => (index === 0 ? { ...row, body: strange.body.slice(0, 40) } : row)),
    };
    await drainBatch(reading, database, ANSWER_WITHIN_MS, log);
    expect(await loggedIds()).toEqual(idsOf([good]));
    expect(told.map(({ reason }) => reason)).toEqual([expect.stringContaining("can't be read")]);
  });
});

test("a link that was promised to be enough is, though the customer wants a confirmation by now", async () => {
  const messageId = await createMessage();
  await sql`update customer set confirm_unsubscribe = true where customer_id = ${customerId}`.execute(
    database.db,
  );
  expect(await unsubscribe(database.db, hitOn(messageId))).toBe("confirmation_needed");
  spool.append([{ kind: "unsubscribe", hit: hitOn(messageId) }]);
  await drainAll();
  expect(await suppressed()).toEqual(["ann@example.com"]);
});
