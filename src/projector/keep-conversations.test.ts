import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { sql } from "kysely";
import { createContacts, createCustomer, projectAll } from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { mergeConversations } from "../conversations/merge-queries.ts";
import { type Event, type EventType, newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { appendEvents } from "../events/queries.ts";
import { projectNext } from "./project.ts";

const BEGIN = Date.UTC(2026, 8, 1);

let database: TestDatabase;
let customerId: string;
let contactId: string;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  customerId = await createCustomer(database.db);
  [contactId = ""] = await createContacts(database.db, customerId, 1);
});

/** What somebody does in a conversation; `minute` is when. */
type Fact = {
  minute: number;
  kind: "received" | "answered" | "answer_lost" | "campaign";
  by: "email" | "telegram";
};

const fact = fc.record<Fact>({
  minute: fc.integer({ min: 0, max: 1000 }),
  kind: fc.constantFrom("received", "answered", "answer_lost", "campaign"),
  by: fc.constantFrom("email", "telegram"),
});

const TYPES: Record<Fact["kind"], EventType[]> = {
  received: ["message_received"],
  answered: ["message_queued", "message_sent", "message_delivered"],
  answer_lost: ["message_queued", "message_failed"],
  campaign: ["message_sent"],
};

/** The message of a fact, with what the log says of it. */
function eventsOf({ minute, kind }: Fact, messageId: string): Event[] {
  const about = { customerId, contactId, messageId };
  return TYPES[kind].map((type, place) =>
    newEvent({ ...about, id: newId(), type, at: new Date(BEGIN + minute * 60_000 + place * 1000) }),
  );
}

async function insertMessages(
  facts: readonly Fact[],
  ids: readonly string[],
  contact: string,
): Promise<void> {
  const rows = facts.map(({ minute, kind, by }, place) => ({
    id: ids[place],
    direction: kind === "received" ? "inbound" : "outbound",
    channel: by,
    campaign: kind === "campaign" ? newId() : null,
    status: kind === "received" ? "received" : "queued",
    at: new Date(BEGIN + minute * 60_000),
  }));
  await sql`
    insert into message (customer_id, id, direction, channel, campaign_id, contact_id, credential_id, to_address,
      status, queued_at, sent_at)
    select ${customerId}, id, direction, channel, campaign, ${contact}, new_id(), '', status, at,
      case direction when 'inbound' then at end
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r(id uuid, direction text, channel text, campaign uuid,
      status text, at timestamptz)`.execute(database.db);
}

async function row(contact = contactId) {
  const { rows } = await sql`
    select status, assignee, unread, read_up_to, last_message_id, last_message_at, last_direction, last_channel
    from conversation where customer_id = ${customerId} and contact_id = ${contact}`.execute(database.db);
  return rows[0] ?? null;
}

async function addContact(email: string): Promise<string> {
  const id = newId();
  await sql`
    insert into contact (customer_id, id, email) values (${customerId}, ${id}, ${email})`.execute(
    database.db,
  );
  return id;
}

/** A contact writes at these minutes; nothing is projected yet. @returns the messages */
async function write(minutes: number[], by: Fact["by"], contact = contactId): Promise<string[]> {
  const facts = minutes.map((minute): Fact => ({ minute, kind: "received", by }));
  const ids = facts.map(() => newId());
  await insertMessages(facts, ids, contact);
  const events = facts.flatMap((one, place) => eventsOf(one, ids[place] ?? ""));
  await log(events.map((event) => ({ ...event, contactId: contact })));
  return ids;
}

const log = (events: readonly Event[]) =>
  database.db.transaction().execute((transaction) => appendEvents(transaction, events));

async function forget(): Promise<void> {
  await sql`delete from conversation`.execute(database.db);
  await sql`delete from message`.execute(database.db);
}

/** Two projectors at once, in batches of this size. */
async function projectByTwo(batch: number): Promise<void> {
  await Promise.all([projectAll(database.db, batch), projectAll(database.db, batch)]);
  await projectAll(database.db, batch);
}

describe("the conversation's row", () => {
  test("is the same in whatever order, batches and how often the same is told, by two projectors", async () => {
    const told = fc.array(fact, { minLength: 1, maxLength: 12 }).chain((facts) =>
      fc.record({
        facts: fc.constant(facts),
        order: fc.array(fc.nat(), { minLength: 50, maxLength: 50 }),
        batch: fc.integer({ min: 1, max: 7 }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(told, async ({ facts, order, batch }) => {
        const ids = facts.map(() => newId());
        const events = facts.flatMap((one, place) => eventsOf(one, ids[place] ?? ""));
        const shuffled = events
          .map((event, place) => ({ event, key: order[place % order.length] ?? 0 }))
          .toSorted((a, b) => a.key - b.key)
          .map(({ event }) => event);
        const outcome = async (inOrder: readonly Event[], size: number) => {
          await forget();
          await insertMessages(facts, ids, contactId);
          await log(inOrder.map((event) => ({ ...event, id: newId() })));
          await projectByTwo(size);
          return row();
        };
        const expected = await outcome(events, 1000);
        expect(await outcome([...shuffled, ...shuffled], batch)).toEqual(expected);
        const received = facts.filter(({ kind }) => kind === "received").length;
        if (facts.every(({ kind }) => kind === "campaign")) expect(expected).toBeNull();
        else expect(expected).toMatchObject({ unread: received, status: "open" });
      }),
      { numRuns: 25 },
    );
  }, 60_000);

  test("is not there for what a campaign sends", async () => {
    const id = newId();
    const sent: Fact = { minute: 1, kind: "campaign", by: "email" };
    await insertMessages([sent], [id], contactId);
    await log(eventsOf(sent, id));
    await projectAll(database.db);
    expect(await row()).toBeNull();
  });

  test("is each contact's own where many write in one batch", async () => {
    const contacts = [contactId, await addContact("b@example.com"), await addContact("c@example.com")];
    const last: string[] = [];
    for (const contact of contacts) last.push(String((await write([1, 3, 2], "telegram", contact))[1]));
    await database.db.connection().execute(async (connection) => {
      expect(await projectNext(connection, 1000)).toBe(9);
    });
    for (const [place, contact] of contacts.entries())
      expect(await row(contact)).toMatchObject({ unread: 3, last_message_id: last[place] });
  });
});

describe("conversations of contacts who turn out to be one", () => {
  const merge = (from: string, to: string) =>
    database.db.transaction().execute(async (transaction) => {
      await sql`
        update message set contact_id = ${to} where customer_id = ${customerId} and contact_id = ${from}`.execute(
        transaction,
      );
      await mergeConversations(transaction, [{ customerId, from, to }]);
    });

  test("become one: open if one was, with all that is unread and the newest message last", async () => {
    const other = await addContact("other@example.com");
    await write([1], "email");
    const [, newest] = await write([2, 3], "telegram", other);
    await projectAll(database.db);
    await sql`
      update conversation set status = 'closed', assignee = 'Maria' where contact_id = ${other}`.execute(
      database.db,
    );
    await merge(other, contactId);
    expect(await row(other)).toBeNull();
    expect(await row()).toMatchObject({
      status: "open",
      assignee: "Maria",
      unread: 3,
      last_message_id: newest,
      last_channel: "telegram",
    });
    await write([4], "email");
    await projectAll(database.db);
    expect(await row()).toMatchObject({ unread: 4 });
  });

  test("end with the second when the first's messages are projected only after", async () => {
    const other = await addContact("other@example.com");
    const [id] = await write([1], "telegram", other);
    await merge(other, contactId);
    await projectAll(database.db);
    expect(await row(other)).toBeNull();
    expect(await row()).toMatchObject({ unread: 1, last_message_id: id });
  });
});
