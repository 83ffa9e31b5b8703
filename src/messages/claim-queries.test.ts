import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  createCampaign,
  createContacts,
  createCredential,
  createCustomer,
  enroll,
  projectAll,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { queueReply } from "../../test/support/sending.ts";
import { newId } from "../events/id.ts";
import { type ClaimRequest, claimMessages } from "./claim-queries.ts";
import { giveAttemptBack, releaseMessage } from "./queries.ts";

const HOUR_MS = 3_600_000;
const TODAY = "2026-11-25";

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

/** A running campaign of one message, queued for everybody. */
async function queue(credential = credentialId): Promise<string> {
  const hello = {
    id: "hello",
    type: "message",
    channel: "email",
    credentialId: credential,
    subject: "Hi",
    html: "<p>Hi</p>",
  };
  const campaign = await createCampaign(database.db, customerId, { nodes: [hello], edges: [] });
  await enroll(database.db, campaign, { all: true });
  await projectAll(database.db);
  return campaign.campaignId;
}

function claim(request: Partial<ClaimRequest> = {}, credential = credentialId) {
  const asked = { worker: 7, limit: 100, look: 100, day: TODAY, ceiling: null, ...request };
  return claimMessages(database.db, { customerId, credentialId: credential }, asked);
}

async function claimed(request: Partial<ClaimRequest> = {}) {
  const { messages, left } = await claim(request);
  return { campaigns: messages.map(({ campaignId }) => campaignId), left };
}

const reply = (contactId: string) =>
  queueReply(database, { customerId, credentialId, contactId, address: "c0@example.com" });

type Row = {
  id: string;
  to: string;
  campaignId: string | null;
  contactId: string;
  status: string;
  attempts: number;
  dueAt: Date;
  handedAt: Date | null;
  reason: string | null;
};

async function rows(): Promise<Row[]> {
  const { rows } = await sql<Row>`
    select id, to_address as "to", campaign_id as "campaignId", contact_id as "contactId", status, attempts,
      due_at as "dueAt", handed_at as "handedAt", postponed_reason as reason
    from message where customer_id = ${customerId} order by id`.execute(database.db);
  return rows;
}

const cap = (messages: number, per: string) =>
  sql`
  update customer set frequency_cap_messages = ${messages}, frequency_cap_per = ${per}
  where customer_id = ${customerId}`.execute(database.db);
const set = (campaignId: string, what: ReturnType<typeof sql>) =>
  sql`update campaign set ${what} where id = ${campaignId}`.execute(database.db);
const change = (what: ReturnType<typeof sql>) =>
  sql`update message set ${what} where customer_id = ${customerId}`.execute(database.db);

async function sentToday(): Promise<number> {
  const { rows } = await sql<{ sent: number }>`
    select sent from credential_day where credential_id = ${credentialId} and day = ${TODAY}`.execute(
    database.db,
  );
  return rows[0]?.sent ?? 0;
}

describe("a frequency cap", () => {
  test("puts off who has had as many as it allows, until the oldest leaves the window, and then lets him have it", async () => {
    await createContacts(database.db, customerId, 1);
    await cap(1, "PT24H");
    const first = await queue();
    expect((await claimed()).campaigns).toEqual([first]);
    await change(sql`handed_at = handed_at - interval '5 hours'`);
    const second = await queue();
    expect(await claimed()).toEqual({ campaigns: [], left: 1 });
    const [sent, waiting] = await rows();
    expect(waiting).toMatchObject({ status: "queued", attempts: 0, reason: "frequency_cap", handedAt: null });
    expect(waiting?.dueAt.getTime()).toBe((sent?.handedAt?.getTime() ?? 0) + 24 * HOUR_MS);
    expect(await claimed()).toEqual({ campaigns: [], left: 0 });
    await change(sql`handed_at = handed_at - interval '19 hours', due_at = due_at - interval '19 hours'`);
    expect((await claimed()).campaigns).toEqual([second]);
    expect((await rows())[1]?.reason).toBeNull();
  });

  test("holds for several messages of a contact in one claim, the oldest first", async () => {
    const [contact] = await createContacts(database.db, customerId, 2);
    await cap(2, "P1D");
    const campaigns = [await queue(), await queue(), await queue()];
    const { messages, left } = await claim();
    const mine = messages.filter(({ contactId }) => contactId === contact);
    expect(mine.map(({ campaignId }) => campaignId)).toEqual(campaigns.slice(0, 2));
    expect([messages.length, left]).toEqual([4, 2]);
    expect(
      (await rows()).filter(({ reason }) => reason !== null).map(({ campaignId }) => campaignId),
    ).toEqual(Array(2).fill(campaigns[2]));
  });

  test("counts what nobody knows about, and not what was refused or came back", async () => {
    await createContacts(database.db, customerId, 3);
    await cap(1, "P1D");
    await queue();
    const { messages } = await claim();
    const [first, second, third] = messages;
    if (first === undefined || second === undefined || third === undefined) throw new Error("three are due");
    const finish = (id: string, status: string) =>
      sql`
      update message set status = ${status}, claimed_by = null, claimed_at = null where id = ${id}`.execute(
        database.db,
      );
    await finish(first.id, "uncertain");
    await finish(second.id, "failed");
    const tomorrow = new Date(Date.now() + 24 * HOUR_MS);
    const release = { dueAt: tomorrow, error: "451 Later", countAttempt: true, wasHandedOver: true };
    await releaseMessage(database.db, third, release);
    await queue();
    const again = await claim();
    expect(again.messages.map(({ contactId }) => contactId).sort()).toEqual(
      [second.contactId, third.contactId].sort(),
    );
    expect(again.left).toBe(1);
  });

  test("is not heeded by a campaign that ignores it, whose messages count all the same", async () => {
    await createContacts(database.db, customerId, 1);
    await cap(1, "P1D");
    const plain = await queue();
    const urgent = [await queue(), await queue()];
    for (const campaignId of urgent) await set(campaignId, sql`ignore_frequency_cap = true`);
    expect(await claimed()).toEqual({ campaigns: urgent, left: 1 });
    expect((await rows()).find(({ campaignId }) => campaignId === plain)?.reason).toBe("frequency_cap");
  });

  test("is never exceeded, however many credentials claim the same contacts' messages at the same moment", async () => {
    const contacts = await createContacts(database.db, customerId, 12);
    await cap(3, "P1D");
    const credentials = [];
    for (let number = 0; number < 8; number += 1) {
      const credential = await createCredential(database.db, customerId, {});
      await queue(credential);
      credentials.push(credential);
    }
    const claimAll = async (credential: string, worker: number): Promise<string[]> => {
      const { messages, left } = await claim({ worker, limit: 3, look: 3 }, credential);
      const ids = messages.map(({ contactId }) => contactId);
      return messages.length + left === 0 ? [] : [...ids, ...(await claimAll(credential, worker))];
    };
    const claims = (await Promise.all(credentials.map(claimAll))).flat();
    const counts = contacts.map((contact) => claims.filter((id) => id === contact).length);
    expect(counts).toEqual(contacts.map(() => 3));
    const reasons = (await rows()).map(({ reason }) => reason);
    expect(reasons.filter((reason) => reason === "frequency_cap")).toHaveLength(12 * 5);
  });
});

describe("quiet hours", () => {
  /** From an hour ago to in an hour by the clock of UTC, which shows another time in Kathmandu. */
  async function quietNow(campaignId: string): Promise<void> {
    await set(
      campaignId,
      sql`quiet_from = (now() at time zone 'UTC' - interval '1 hour')::time,
        quiet_to = date_trunc('minute', now() at time zone 'UTC' + interval '1 hour')::time`,
    );
  }

  test("put a message off to their end, in the contact's own zone", async () => {
    await createContacts(database.db, customerId, 3);
    const zone = (zone: string, email: string) =>
      sql`update contact set time_zone = ${zone} where customer_id = ${customerId} and email = ${email}`.execute(
        database.db,
      );
    await zone("Asia/Kathmandu", "c0@example.com");
    await zone("no such zone", "c1@example.com");
    await quietNow(await queue());
    expect(await claimed()).toMatchObject({ campaigns: [expect.any(String)], left: 2 });
    for (const row of await rows()) {
      expect([row.to, row.reason]).toEqual([row.to, row.to === "c0@example.com" ? null : "quiet_hours"]);
      const waitsMs = row.dueAt.getTime() - Date.now();
      if (row.reason !== null) expect(Math.round(waitsMs / (HOUR_MS / 30))).toBeWithin(29, 31);
    }
    expect(await claimed()).toEqual({ campaigns: [], left: 0 });
  });

  test("use nothing of the cap", async () => {
    await createContacts(database.db, customerId, 1);
    await cap(1, "P1D");
    await quietNow(await queue());
    const loud = await queue();
    expect(await claimed()).toEqual({ campaigns: [loud], left: 1 });
  });

  test("let a claim go on to what may go, when it looks further than it claims", async () => {
    await createContacts(database.db, customerId, 10);
    await quietNow(await queue());
    const loud = await queue();
    expect(await claimed({ limit: 3, look: 20 })).toEqual({ campaigns: Array(3).fill(loud), left: 10 });
    expect(await sentToday()).toBe(3);
    expect((await rows()).filter(({ attempts }) => attempts > 0)).toHaveLength(3);
  });
});

describe("a day's ceiling", () => {
  test("is what is claimed on it at most, by two workers at once too", async () => {
    await createContacts(database.db, customerId, 40);
    await queue();
    const asked = { limit: 5, look: 5, ceiling: 12 };
    const claims = await Promise.all(
      Array.from({ length: 6 }, (_, number) => claim({ ...asked, worker: number })),
    );
    expect(claims.reduce((sum, { messages }) => sum + messages.length, 0)).toBe(12);
    expect(await claim(asked)).toEqual({ messages: [], left: 0, isFull: true });
    expect((await claim({ ...asked, day: "2026-11-26" })).messages).toHaveLength(5);
  });

  test("gets back what was never handed over, once", async () => {
    await createContacts(database.db, customerId, 3);
    await queue();
    const { messages } = await claim();
    const [unreachable, deferred, uncomposed] = messages;
    if (unreachable === undefined || deferred === undefined || uncomposed === undefined)
      throw new Error("three are due");
    expect(await sentToday()).toBe(3);
    const dueAt = new Date();
    const notHandedOver = { dueAt, error: "no", countAttempt: false, wasHandedOver: false };
    for (const _ of [1, 2]) await releaseMessage(database.db, unreachable, notHandedOver);
    expect(await sentToday()).toBe(2);
    for (const _ of [1, 2]) await giveAttemptBack(database.db, uncomposed);
    expect(await sentToday()).toBe(1);
    await releaseMessage(database.db, deferred, {
      ...notHandedOver,
      countAttempt: true,
      wasHandedOver: true,
    });
    expect(await sentToday()).toBe(1);
    expect((await rows()).filter(({ handedAt }) => handedAt !== null)).toEqual([]);
  });

  test("is not touched by a release that comes after the message was claimed anew", async () => {
    await createContacts(database.db, customerId, 1);
    await queue();
    const [first] = (await claim()).messages;
    if (first === undefined) throw new Error("one is due");
    const release = { dueAt: new Date(0), error: "no", countAttempt: false, wasHandedOver: false };
    await releaseMessage(database.db, first, release);
    expect((await claim({ worker: 8 })).messages).toHaveLength(1);
    await releaseMessage(database.db, first, release);
    expect(await claim({ worker: 9 })).toMatchObject({ messages: [], left: 0 });
    expect(await sentToday()).toBe(1);
  });
});

describe("who must not be sent to", () => {
  const events = async () => {
    const { rows } = await sql<{ to: string; reason: string }>`
      select m.to_address as "to", e.data->>'reason' as reason
      from event_log e join message m on m.customer_id = e.customer_id and m.id = e.message_id
      where e.customer_id = ${customerId} and e.type = 'contact_suppressed' order by 1`.execute(database.db);
    return rows;
  };

  test("for his domain's sake leaves the queue, and nobody of a longer or shorter name", async () => {
    const emails = ["ann@Example.com", "bob@mail.example.com", "eve@notexample.com", "joe@example.com.org"];
    for (const email of emails) {
      await sql`insert into contact (customer_id, id, email) values (${customerId}, ${newId()}, ${email})`.execute(
        database.db,
      );
    }
    await sql`
      insert into suppression (customer_id, channel, address, reason)
      values (${customerId}, 'email', '@example.com', 'manual')`.execute(database.db);
    await queue();
    const { messages, left } = await claim();
    expect(messages.map(({ toAddress }) => toAddress).sort()).toEqual(emails.slice(1).sort());
    expect(left).toBe(1);
    expect(await events()).toEqual([{ to: "ann@Example.com", reason: "manual" }]);
    expect(await sentToday()).toBe(3);
    await projectAll(database.db);
    expect((await rows()).find(({ to }) => to === "ann@Example.com")).toMatchObject({
      status: "suppressed",
      attempts: 0,
    });
  });

  test("on a topic he has left leaves the queue of its campaigns only", async () => {
    const [left, stays] = await createContacts(database.db, customerId, 2);
    const [topic, other] = [newId(), newId()];
    for (const [id, name] of [
      [topic, "News"],
      [other, "Offers"],
    ]) {
      await sql`insert into topic (customer_id, id, name, description) values (${customerId}, ${id}, ${name}, '')`.execute(
        database.db,
      );
    }
    await sql`
      insert into contact_topic_left (customer_id, contact_id, topic_id)
      values (${customerId}, ${left}, ${topic})`.execute(database.db);
    const [news, offers] = [await queue(), await queue()];
    await set(news, sql`topic_id = ${topic}`);
    await set(offers, sql`topic_id = ${other}`);
    const { messages } = await claim();
    const got = messages.map(({ campaignId, contactId }) => `${campaignId} ${contactId}`);
    expect(got.sort()).toEqual([`${news} ${stays}`, `${offers} ${left}`, `${offers} ${stays}`].sort());
    expect(await events()).toEqual([{ to: "c0@example.com", reason: "topic" }]);
  });
});

describe("a reply", () => {
  const sent = sql`
    claimed_by = null, claimed_at = null, status = case when claimed_by is null then status else 'sent' end`;

  test("waits for the one written before it to the same contact, and for no other's", async () => {
    const [ann = "", bob = ""] = await createContacts(database.db, customerId, 2);
    const [first, second, third] = [await reply(ann), await reply(ann), await reply(ann)];
    const other = await reply(bob);
    const ids = async () => (await claim()).messages.map(({ id }) => id);
    expect(await ids()).toEqual([first, other]);
    expect(await ids()).toEqual([]);
    await change(sent);
    expect(await ids()).toEqual([second]);
    await change(sql`claimed_by = null, claimed_at = null, due_at = due_at + interval '1 hour'`);
    await sql`update message set due_at = now() where id = ${third}`.execute(database.db);
    expect(await ids()).toEqual([third]);
  });

  test("is claimed before campaigns' messages that waited longer, as what it is", async () => {
    const [ann = "", bob = ""] = await createContacts(database.db, customerId, 50);
    await queue();
    await change(sql`due_at = now() - interval '1 hour'`);
    const ids = [await reply(ann), await reply(bob)];
    const [first] = (await claim({ limit: 1, look: 20 })).messages;
    expect(first).toMatchObject({ kind: "reply", id: ids[0], campaignId: null, runId: null, contactId: ann });
    const { messages } = await claim({ limit: 2, look: 2 });
    expect(messages.map(({ kind, id }) => [kind, kind === "reply" ? id : ""])).toEqual([
      ["reply", ids[1] ?? ""],
      ["campaign", ""],
    ]);
    expect(await sentToday()).toBe(3);
  });

  test("waits for no campaign, hour or cap, uses nothing of the cap, and is stopped by no topic", async () => {
    const [ann = ""] = await createContacts(database.db, customerId, 1);
    const topic = newId();
    await sql`insert into topic (customer_id, id, name, description) values (${customerId}, ${topic}, 'News', '')`.execute(
      database.db,
    );
    await sql`
      insert into contact_topic_left (customer_id, contact_id, topic_id)
      values (${customerId}, ${ann}, ${topic})`.execute(database.db);
    await cap(1, "P1D");
    await reply(ann);
    expect(await claimed()).toEqual({ campaigns: [null], left: 0 });
    await change(sent);
    const [first, paused, quiet] = [await queue(), await queue(), await queue()];
    await set(paused, sql`status = 'paused', topic_id = ${topic}`);
    await set(quiet, sql`quiet_from = '00:00', quiet_to = '23:59:59.999999'`);
    await reply(ann);
    expect(await claimed()).toEqual({ campaigns: [null, first], left: 1 });
    await change(sent);
    await reply(ann);
    expect(await claimed()).toEqual({ campaigns: [null], left: 0 });
  });

  test("is for one worker only, and for nobody while the credential rests or is disabled", async () => {
    const [ann = ""] = await createContacts(database.db, customerId, 1);
    await reply(ann);
    const credential = (what: ReturnType<typeof sql>) =>
      sql`update credential set ${what} where id = ${credentialId}`.execute(database.db);
    await credential(sql`rests_until = now() + interval '1 hour'`);
    expect((await claim()).messages).toEqual([]);
    await credential(sql`rests_until = null, status = 'disabled'`);
    expect((await claim()).messages).toEqual([]);
    await credential(sql`status = 'active'`);
    const claims = await Promise.all([1, 2, 3].map((worker) => claim({ worker })));
    expect(claims.flatMap(({ messages }) => messages)).toHaveLength(1);
  });

  test.each(["bounce", "complaint", "blocked", "manual"])("is not sent in spite of %s", async (reason) => {
    const [ann = ""] = await createContacts(database.db, customerId, 1);
    await reply(ann);
    for (const why of ["unsubscribe", reason])
      await sql`
        insert into suppression (customer_id, channel, address, reason)
        values (${customerId}, 'email', 'c0@example.com', ${why})`.execute(database.db);
    expect(await claim()).toMatchObject({ messages: [], left: 1 });
    await projectAll(database.db);
    expect(await rows()).toMatchObject([{ status: "suppressed", attempts: 0 }]);
  });

  test("is sent to who has unsubscribed, and a campaign's message is not", async () => {
    const [ann = ""] = await createContacts(database.db, customerId, 1);
    await queue();
    await reply(ann);
    await sql`
      insert into suppression (customer_id, channel, address, reason)
      values (${customerId}, 'email', 'c0@example.com', 'unsubscribe')`.execute(database.db);
    expect(await claimed()).toEqual({ campaigns: [null], left: 1 });
  });
});
