import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  append,
  beginCampaign,
  createCredential,
  createCustomer,
  eventOf,
  listFirings,
  listRuns,
  projectAll,
  type Run,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import type { Event } from "../events/event.ts";
import { reportUncertainMessages } from "../messages/queries.ts";
import { deleteSuppression } from "../suppressions/queries.ts";
import { unsubscribe } from "../tracking/queries.ts";

const DAY_MS = 86_400_000;
const BEGIN = Date.parse("2026-03-02T12:00:00Z");
const HARD = { bounceType: "Permanent", bounceSubType: "General", suppress: "bounce" };
const SOFT = { bounceType: "Transient", bounceSubType: "MailboxFull", soft: true };
const onDay = (day: number) => new Date(BEGIN + day * DAY_MS);

let database: TestDatabase;
let customerId: string;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

beforeEach(async () => {
  customerId = await createCustomer(database.db);
});

/** A message to c0@example.com, as a run of a campaign that has gone out. */
async function sentMessage(owner = customerId): Promise<Run> {
  const credentialId = await createCredential(database.db, owner, {});
  const hello = { id: "hello", type: "message", channel: "email", credentialId, subject: "Hi", html: "Hi" };
  const edges = ["bounced", "failed", "unsubscribed"].map((firesWhen) => ({
    id: firesWhen,
    from: "hello",
    to: firesWhen,
    firesWhen,
  }));
  const pauses = edges.map(({ to }) => ({ id: to, type: "wait", duration: "P2D" }));
  const { campaignId } = await beginCampaign(database.db, owner, { nodes: [hello, ...pauses], edges });
  const [run] = await listRuns(database.db, campaignId);
  if (run === undefined) throw new Error("nothing was enrolled");
  await told(run, "message_sent", {}, 0);
  return run;
}

const eventFor = (run: Run, type: Event["type"], data: Event["data"], day: number) =>
  eventOf(run, type, { at: onDay(day), contactId: run.contactId, data });

async function told(run: Run, type: Event["type"], data: Event["data"], day: number): Promise<Event> {
  const event = eventFor(run, type, data, day);
  await append(database.db, event);
  await projectAll(database.db);
  return event;
}

async function suppressions(owner = customerId) {
  const { rows } = await sql<{ id: string; reason: string; detail: string | null; address: string }>`
    select id, address, reason, detail, message_id as "messageId", event_id as "eventId",
      contact_id as "contactId" from suppression where customer_id = ${owner} order by reason`.execute(
    database.db,
  );
  return rows;
}

const reasons = async () => (await suppressions()).map(({ reason, detail }) => [reason, detail]);

async function lift(reason: string, day: number): Promise<void> {
  const found = (await suppressions()).find((row) => row.reason === reason);
  if (found === undefined) throw new Error(`there is no ${reason}`);
  await deleteSuppression(database.db, customerId, { id: found.id, at: onDay(day) });
}

/** As if nothing had been projected yet. */
async function projectAgain(): Promise<void> {
  await sql`update projector_cursor set position = 0`.execute(database.db);
  await projectAll(database.db);
}

async function outputOf(run: Run) {
  return (await listRuns(database.db, run.campaignId)).find(({ id }) => id === run.id)?.output;
}

describe("a hard bounce", () => {
  test("suppresses the message's address in lower case, and says which message and event it was", async () => {
    const run = await sentMessage();
    await sql`update message set to_address = 'C0@Example.com' where id = ${run.messageId}`.execute(
      database.db,
    );
    const bounce = await told(run, "message_bounced", HARD, 1);
    expect(await suppressions()).toMatchObject([
      {
        address: "c0@example.com",
        reason: "bounce",
        detail: null,
        messageId: run.messageId,
        eventId: bounce.id,
        contactId: run.contactId,
      },
    ]);
    expect(await outputOf(run)).toMatchObject({ bounced: true, bounceType: "Permanent" });
  });

  test("suppresses nothing at another customer, whose message it is not", async () => {
    const other = await createCustomer(database.db);
    const theirs = await sentMessage(other);
    const ours = await sentMessage();
    await told({ ...ours, messageId: theirs.messageId }, "message_bounced", HARD, 1);
    expect([await suppressions(), await suppressions(other)]).toEqual([[], []]);
  });

  test("of a message that is no email suppresses no address", async () => {
    const run = await sentMessage();
    await sql`update message set channel = 'telegram' where id = ${run.messageId}`.execute(database.db);
    await told(run, "message_bounced", HARD, 1);
    await told(run, "message_bounced", SOFT, 1);
    expect(await suppressions()).toEqual([]);
    expect(await softBounces()).toBe(0);
  });

  test("that only the provider's own list made is told apart, until there is a real one", async () => {
    const run = await sentMessage();
    await told(run, "message_bounced", { ...HARD, bounceSubType: "OnAccountSuppressionList" }, 1);
    expect(await reasons()).toEqual([["bounce", "provider_suppressed"]]);
    const complaint = { complaintSubType: "OnAccountSuppressionList", suppress: "complaint" };
    await told(run, "message_complained", complaint, 1);
    await told(run, "message_bounced", HARD, 2);
    await told(run, "message_bounced", { ...HARD, bounceSubType: "Suppressed" }, 3);
    expect(await reasons()).toEqual([
      ["bounce", null],
      ["complaint", "provider_suppressed"],
    ]);
  });

  test("that is projected again suppresses nothing anew, nor what has been lifted since", async () => {
    const run = await sentMessage();
    await told(run, "message_bounced", HARD, 1);
    await told(run, "message_complained", { suppress: "complaint" }, 1);
    const before = await suppressions();
    await projectAgain();
    expect(await suppressions()).toEqual(before);
    await lift("bounce", 2);
    await projectAgain();
    expect(await reasons()).toEqual([["complaint", null]]);
    await told(run, "message_bounced", HARD, 1.5);
    expect(await reasons()).toEqual([["complaint", null]]);
    await told(run, "message_bounced", HARD, 3);
    expect(await reasons()).toEqual([
      ["bounce", null],
      ["complaint", null],
    ]);
  });
});

async function softBounces(): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from soft_bounce where customer_id = ${customerId}`.execute(database.db);
  return rows[0]?.count ?? -1;
}

describe("soft bounces", () => {
  const limitTo = (bounces: number | null, days: number | null) =>
    sql`
      update customer set soft_bounces = ${bounces}, soft_bounce_days = ${days}
      where customer_id = ${customerId}`.execute(database.db);

  test("suppress with the third in thirty days, by whichever messages", async () => {
    const run = await sentMessage();
    await told(run, "message_bounced", SOFT, 1);
    await told(run, "message_bounced", SOFT, 20);
    await told(run, "message_bounced", SOFT, 32);
    expect(await suppressions()).toEqual([]);
    const last = await told(run, "message_bounced", SOFT, 45);
    expect(await suppressions()).toMatchObject([
      { reason: "bounce", detail: "soft_bounces", eventId: last.id, messageId: run.messageId },
    ]);
  });

  test("count anew after a delivery, even one that is told after them", async () => {
    const run = await sentMessage();
    for (const day of [1, 2]) await told(run, "message_bounced", SOFT, day);
    await told(run, "message_delivered", {}, 3);
    for (const day of [4, 5]) await told(run, "message_bounced", SOFT, day);
    expect(await suppressions()).toEqual([]);
    await told(run, "message_bounced", SOFT, 6);
    expect(await reasons()).toEqual([["bounce", "soft_bounces"]]);
    await told(run, "message_delivered", {}, 4.5);
    expect(await suppressions()).toEqual([]);
  });

  test("suppress nothing where the customer has switched the limit off, and are all there when it is back", async () => {
    const run = await sentMessage();
    await limitTo(null, null);
    for (const day of [1, 2, 3, 4]) await told(run, "message_bounced", SOFT, day);
    expect(await suppressions()).toEqual([]);
    await limitTo(5, 30);
    await told(run, "message_bounced", SOFT, 5);
    expect(await reasons()).toEqual([["bounce", "soft_bounces"]]);
  });

  test("are forgotten when the bounce is lifted, and told or projected again do not count", async () => {
    const run = await sentMessage();
    for (const day of [1, 2, 3]) await told(run, "message_bounced", SOFT, day);
    await lift("bounce", 4);
    expect(await softBounces()).toBe(0);
    await projectAgain();
    await told(run, "message_bounced", SOFT, 3.5);
    for (const day of [5, 6]) await told(run, "message_bounced", SOFT, day);
    expect(await suppressions()).toEqual([]);
    await told(run, "message_bounced", SOFT, 7);
    expect(await reasons()).toEqual([["bounce", "soft_bounces"]]);
  });

  test("give way to a hard bounce, which no delivery undoes", async () => {
    const run = await sentMessage();
    for (const day of [1, 2, 3]) await told(run, "message_bounced", SOFT, day);
    await told(run, "message_bounced", HARD, 4);
    await told(run, "message_delivered", {}, 1.5);
    expect(await reasons()).toEqual([["bounce", null]]);
  });

  test("of one address are none of another's that the same contact had", async () => {
    const run = await sentMessage();
    for (const day of [1, 2]) await told(run, "message_bounced", SOFT, day);
    await sql`update message set to_address = 'new@example.com' where id = ${run.messageId}`.execute(
      database.db,
    );
    for (const day of [3, 4]) await told(run, "message_bounced", SOFT, day);
    expect(await suppressions()).toEqual([]);
  });
});

describe("who unsubscribed at the provider", () => {
  const LEFT = { contactList: "news", unsubscribeAll: true, suppress: "unsubscribe" };

  test("is suppressed, and has unsubscribed once, with the edge of it", async () => {
    const run = await sentMessage();
    await told(run, "provider_preferences_changed", LEFT, 1);
    await told(run, "message_bounced", { ...HARD, suppress: "unsubscribe" }, 2);
    await projectAll(database.db);
    expect(await reasons()).toEqual([["unsubscribe", null]]);
    const { rows } = await sql`
      select message_id as "messageId", data from activity
      where customer_id = ${customerId} and type = 'unsubscribed'`.execute(database.db);
    expect(rows).toEqual([{ messageId: run.messageId, data: { via: "provider" } }]);
    const fired = await listFirings(database.db, run.campaignId);
    expect(fired.get(run.contactId)).toEqual(["bounced", "unsubscribed"]);
  });

  test("and by our link before has done so once, and did not do it again by coming back", async () => {
    const run = await sentMessage();
    const hit = {
      customerId,
      messageId: run.messageId ?? "",
      at: onDay(1),
      eventId: run.id,
      agentRule: "browser",
    };
    await unsubscribe(database.db, { ...hit, agent: "human", userAgent: null, ip: null, via: "link" });
    await told(run, "provider_preferences_changed", LEFT, 2);
    await projectAll(database.db);
    expect(await outputOf(run)).toMatchObject({ unsubscribed: true });
    const { rows } = await sql`
      select from event_log where customer_id = ${customerId} and type = 'unsubscribed'`.execute(database.db);
    expect(rows).toHaveLength(1);
    await lift("unsubscribe", 3);
    await projectAgain();
    expect(await suppressions()).toEqual([]);
  });
});

test("what the provider refuses is rejected, fires what failing fires, and was sent all the same", async () => {
  const run = await sentMessage();
  await told(run, "message_delayed", {}, 1);
  await told(run, "message_rejected", { reason: "Bad content" }, 1);
  const { rows } = await sql`
    select status, error, sent_at as "sentAt" from message where id = ${run.messageId}`.execute(database.db);
  expect(rows).toEqual([{ status: "rejected", error: "Bad content", sentAt: onDay(0) }]);
  expect(await outputOf(run)).toMatchObject({
    sent: true,
    delayed: true,
    rejected: true,
    reason: "Bad content",
  });
  expect((await listFirings(database.db, run.campaignId)).get(run.contactId)).toEqual(["failed"]);
  expect(await suppressions()).toEqual([]);
  await told(run, "message_delivered", {}, 1);
  await told(run, "message_rejected", { reason: "Bad content" }, 1);
  const moved = await sql`select status, error from message where id = ${run.messageId}`.execute(database.db);
  expect(moved.rows).toEqual([{ status: "delivered", error: null }]);
});

test("what the provider says of its own accord is activity, and moves nothing", async () => {
  const run = await sentMessage();
  const types = [
    "provider_sent",
    "provider_opened",
    "provider_clicked",
    "provider_preferences_changed",
  ] as const;
  const before = await outputOf(run);
  for (const type of types) await told(run, type, {}, 1);
  expect(await outputOf(run)).toEqual(before);
  const { rows } = await sql<{ type: string }>`
    select type from activity where customer_id = ${customerId} and type like 'provider%' order by id`.execute(
    database.db,
  );
  expect(rows.map(({ type }) => type)).toEqual([...types]);
  const counted = await sql`
    select from counter where customer_id = ${customerId} and type like 'provider%'`.execute(database.db);
  expect(counted.rows).toEqual([]);
});

test("a message in a sender's hands stays there when the provider is heard first, and is missed when he is gone", async () => {
  const run = await sentMessage();
  await sql`
    update message set status = 'queued', sent_at = null, claimed_by = 7, claimed_at = now()
    where id = ${run.messageId}`.execute(database.db);
  const state = async () => {
    const { rows } = await sql`
      select status, claimed_by as "claimedBy" from message where id = ${run.messageId}`.execute(database.db);
    return rows[0];
  };
  await told(run, "message_delivered", {}, 1);
  expect(await state()).toEqual({ status: "delivered", claimedBy: 7 });
  expect(await database.db.transaction().execute(reportUncertainMessages)).toBe(1);
  await projectAll(database.db);
  expect(await state()).toEqual({ status: "delivered", claimedBy: null });
  expect(await database.db.transaction().execute(reportUncertainMessages)).toBe(0);
});
