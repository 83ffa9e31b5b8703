import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { sql } from "kysely";
import { append, createCustomer, projectAll } from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { type Event, type EventType, newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { deleteSuppression } from "../suppressions/queries.ts";

const BEGIN = Date.parse("2026-03-02T12:00:00Z");
const CHAT = 5_823_456_789;

let database: TestDatabase;
let customerId: string;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

beforeEach(async () => {
  customerId = await createCustomer(database.db);
});

const at = (second: number) => new Date(BEGIN + second * 1_000);

function eventAt(type: EventType, second: number, data: Event["data"] = {}): Event {
  const about = { channel: "telegram", chatId: CHAT, ...data };
  return newEvent({ id: newId(), type, at: at(second), customerId, contactId: newId(), data: about });
}

const blocked = (second: number) => eventAt("contact_blocked", second);
const unblocked = (second: number) => eventAt("contact_unblocked", second);

async function tell(...events: Event[]): Promise<void> {
  await append(database.db, ...events);
  await projectAll(database.db);
}

async function suppressions(owner = customerId) {
  const { rows } = await sql<{
    id: string;
    address: string;
    reason: string;
    contactId: string;
    eventId: string;
  }>`
    select id, address, reason, contact_id as "contactId", event_id as "eventId" from suppression
    where customer_id = ${owner} and channel = 'telegram' order by reason`.execute(database.db);
  return rows;
}

const reasons = async () => (await suppressions()).map(({ reason }) => reason);

async function addUnsubscribe(): Promise<void> {
  await sql`
    insert into suppression (customer_id, channel, address, reason, created_at)
    values (${customerId}, 'telegram', ${String(CHAT)}, 'unsubscribe', ${at(0)})`.execute(database.db);
}

describe("a person who blocks the bot", () => {
  test("is suppressed on that channel, and it says whose chat and which event", async () => {
    const event = blocked(1);
    await tell(event);
    expect(await suppressions()).toMatchObject([
      { address: String(CHAT), reason: "blocked", contactId: event.contactId, eventId: event.id },
    ]);
  });

  test("is suppressed for that customer alone", async () => {
    const other = await createCustomer(database.db);
    await tell(blocked(1));
    expect(await suppressions(other)).toEqual([]);
  });

  test("and lets it in again is free of that, and of nothing else", async () => {
    await addUnsubscribe();
    await tell(blocked(1));
    expect(await reasons()).toEqual(["blocked", "unsubscribe"]);
    await tell(unblocked(2));
    expect(await reasons()).toEqual(["unsubscribe"]);
  });

  test("and starts it again is free; what else he writes changes nothing", async () => {
    await tell(blocked(1), eventAt("message_received", 2, { command: null }));
    expect(await reasons()).toEqual(["blocked"]);
    await tell(eventAt("message_received", 3, { command: "start" }));
    expect(await reasons()).toEqual([]);
  });

  test("stays free where somebody lifted it by hand after that was told", async () => {
    const event = blocked(1);
    await tell(event);
    const [found] = await suppressions();
    await deleteSuppression(database.db, customerId, { id: found?.id ?? "", at: at(5) });
    await tell(blocked(3));
    expect(await reasons()).toEqual([]);
    await tell(blocked(6));
    expect(await reasons()).toEqual(["blocked"]);
  });
});

test("mail that is received lifts nothing", async () => {
  await tell(blocked(1), eventAt("message_received", 2, { channel: "email", command: "start" }));
  expect(await reasons()).toEqual(["blocked"]);
});

test("whichever happened last counts, in whatever order and batches it is told", async () => {
  const told = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 50 }), fc.boolean()), {
    minLength: 1,
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(told, async (facts) => {
      customerId = await createCustomer(database.db);
      const batch: Event[] = [];
      for (const [isBlocked, second, isLast] of facts) {
        batch.push(isBlocked ? blocked(second) : unblocked(second));
        if (isLast) await tell(...batch.splice(0));
      }
      await tell(...batch);
      const last = (wanted: boolean) =>
        Math.max(0, ...facts.filter(([isBlocked]) => isBlocked === wanted).map(([, second]) => second));
      expect(await reasons()).toEqual(last(true) > last(false) ? ["blocked"] : []);
    }),
    { numRuns: 60 },
  );
});
