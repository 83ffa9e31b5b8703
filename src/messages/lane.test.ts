import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
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
import { listMessages, queueReply, type Sending, startSending } from "../../test/support/sending.ts";
import { type SmtpSink, startSmtpSink } from "../../test/support/smtp.ts";
import { saveCredential } from "../credentials/queries.ts";
import { smtpSettings } from "../credentials/schema.ts";
import { newId } from "../events/id.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let database: TestDatabase;
let sink: SmtpSink;
let running: Sending[];

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

beforeEach(async () => {
  running = [];
  sink = await startSmtpSink();
});

afterEach(async () => {
  await Promise.all(running.map((sending) => sending.stop()));
  await sink.close();
  await sql`update campaign set status = 'paused' where status = 'active'`.execute(database.db);
});

type Campaign = { customerId: string; campaignId: string; credentialId: string };

const settingsOf = (more: object) => ({
  host: "127.0.0.1",
  port: sink.port,
  fromEmail: "news@example.com",
  rateLimitPerSecond: 1_000,
  ...more,
});

/** A running campaign of one message, queued for so many contacts. */
async function queue(contacts: number, credential: object = {}, more: object = {}): Promise<Campaign> {
  const customer = await createCustomer(database.db);
  const credentialId = await createCredential(database.db, customer, settingsOf(credential));
  const hello = {
    id: "hello",
    type: "message",
    channel: "email",
    credentialId,
    subject: "Hi",
    html: "<p>Hi</p>",
    ...more,
  };
  const campaign = await createCampaign(database.db, customer, { nodes: [hello], edges: [] });
  await createContacts(database.db, customer, contacts);
  await enroll(database.db, campaign, { all: true });
  await projectAll(database.db);
  return { ...campaign, credentialId };
}

const change = ({ customerId, credentialId }: Campaign, settings: object) =>
  saveCredential(database.db, customerId, {
    id: credentialId,
    name: "test",
    settings: smtpSettings.parse(settingsOf(settings)),
    secret: null,
  });

/** Noon of this day, by a clock that stands until it is moved. */
function noon() {
  let ms = Math.floor(Date.now() / DAY_MS) * DAY_MS + 12 * HOUR_MS;
  return {
    now: () => ms,
    advance(by: number) {
      ms += by;
    },
  };
}

function start(clock: { now: () => number }): Sending {
  const sending = startSending(database, clock);
  running.push(sending);
  return sending;
}

/** Has one message of another customer sent: whatever else could be sent now has been begun. */
async function sendAnother(sending: Sending): Promise<void> {
  const other = await queue(1);
  sending.sender.wake();
  await sending.until(async () => (await statuses(other)).sent === 1);
}

async function statuses({ campaignId }: Campaign): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { status } of await listMessages(database, campaignId)) found[status] = (found[status] ?? 0) + 1;
  return found;
}

async function sentOn({ credentialId }: Campaign): Promise<number[]> {
  const { rows } = await sql<{ sent: number }>`
    select sent from credential_day where credential_id = ${credentialId} order by day`.execute(database.db);
  return rows.map(({ sent }) => sent);
}

describe("a credential's send window", () => {
  test("lets nothing be claimed before it opens, and then lets it go", async () => {
    const clock = noon();
    const sendWindow = { from: "13:00", to: "14:00", timeZone: "UTC" };
    const campaign = await queue(3, { sendWindow });
    const sending = start(clock);
    await sendAnother(sending);
    const waiting = await listMessages(database, campaign.campaignId);
    expect(waiting.every(({ status, attempts }) => status === "queued" && attempts === 0)).toBe(true);
    clock.advance(HOUR_MS);
    sending.sender.wake();
    await sending.until(async () => (await statuses(campaign)).sent === 3);
  });

  test("that is changed is heeded at once", async () => {
    const clock = noon();
    const campaign = await queue(3, { sendWindow: { from: "13:00", to: "14:00", timeZone: "UTC" } });
    const sending = start(clock);
    await sendAnother(sending);
    await change(campaign, {});
    sending.sender.wake();
    await sending.until(async () => (await statuses(campaign)).sent === 3);
  });
});

describe("a credential that is warmed up", () => {
  test("sends what its day allows, and the rest on the days after", async () => {
    const clock = noon();
    const startedOn = new Date(clock.now()).toISOString().slice(0, 10);
    const campaign = await queue(9, { warmUp: { startedOn, ceilings: [2, 3] } });
    const sending = start(clock);
    await sending.until(async () => (await statuses(campaign)).sent === 2);
    await sendAnother(sending);
    expect(await statuses(campaign)).toEqual({ sent: 2, queued: 7 });
    clock.advance(12 * HOUR_MS);
    sending.sender.wake();
    await sending.until(async () => (await statuses(campaign)).sent === 5);
    await sendAnother(sending);
    expect(await statuses(campaign)).toEqual({ sent: 5, queued: 4 });
    clock.advance(DAY_MS);
    sending.sender.wake();
    await sending.until(async () => (await statuses(campaign)).sent === 9);
    expect(await sentOn(campaign)).toEqual([2, 3, 4]);
    expect(sink.received.filter(({ to }) => /^c\d@/.test(to)).length).toBe(9 + 2);
  });

  test("uses nothing of its day for messages that can't be composed", async () => {
    const clock = noon();
    const campaign = await queue(5, {}, { subject: "Hi {{ contact.attributes.name }}" });
    await sql`
      update contact set attributes = '{"name": "Ann"}'
      where customer_id = ${campaign.customerId} and email in ('c1@example.com', 'c2@example.com')`.execute(
      database.db,
    );
    const sending = start(clock);
    await sending.until(async () => (await statuses(campaign)).queued === undefined);
    expect(await statuses(campaign)).toEqual({ sent: 2, failed: 3 });
    expect(await sentOn(campaign)).toEqual([2]);
  });

  test("uses nothing of its day while its server can't be reached", async () => {
    const clock = noon();
    const campaign = await queue(5);
    await sink.close();
    const { port } = sink;
    const sending = start(clock);
    await sending.until(async () => {
      const { rows } = await sql<{ status: string }>`
        select status from credential where id = ${campaign.credentialId}`.execute(database.db);
      return rows[0]?.status === "failing" && (await statuses(campaign)).queued === 5;
    });
    await sending.stop();
    expect(await sentOn(campaign)).toEqual([0]);
    sink = await startSmtpSink({ port });
  });
});

test("a lane that waits for its rate goes on with a new one as soon as the credential is changed", async () => {
  const clock = noon();
  const campaign = await queue(4, { rateLimitPerSecond: 0.01 });
  const sending = start(clock);
  await sending.until(async () => (await statuses(campaign)).sent === 1);
  await change(campaign, { rateLimitPerSecond: 1_000 });
  sending.sender.wake();
  await sending.until(async () => (await statuses(campaign)).sent === 4);
});

test("messages that are put off do not hold up those behind them", async () => {
  const campaign = await queue(250);
  await sql`
    update campaign set quiet_from = (now() at time zone 'UTC' - interval '1 hour')::time,
      quiet_to = (now() at time zone 'UTC' + interval '1 hour')::time where id = ${campaign.campaignId}`.execute(
    database.db,
  );
  await sql`
    update contact set time_zone = 'Asia/Kathmandu'
    where customer_id = ${campaign.customerId} and email = 'c249@example.com'`.execute(database.db);
  await start({ now: Date.now }).until(async () => (await statuses(campaign)).sent === 1);
  expect(await statuses(campaign)).toEqual({ sent: 1, queued: 249 });
});

describe("a message whose credential is gone", () => {
  test("fails and says so, and everything that waits for that goes on", async () => {
    const campaign = await queue(3);
    await sql`delete from credential where id = ${campaign.credentialId}`.execute(database.db);
    await sql`
      update message set due_at = now() + interval '1 day'
      where customer_id = ${campaign.customerId} and to_address = 'c2@example.com'`.execute(database.db);
    await start({ now: Date.now }).until(async () => (await statuses(campaign)).failed === 2);
    const messages = await listMessages(database, campaign.campaignId);
    expect(
      messages.map(({ status, error, isClaimed, runStatus }) => [status, error, isClaimed, runStatus]),
    ).toEqual([
      ["failed", "The credential that this message was to be sent through was deleted.", false, "failed"],
      ["failed", "The credential that this message was to be sent through was deleted.", false, "failed"],
      ["queued", null, false, "running"],
    ]);
    const { rows } = await sql<{ events: number }>`
      select count(*)::int as events from event_log
      where customer_id = ${campaign.customerId} and type = 'message_failed'`.execute(database.db);
    expect(rows[0]?.events).toBe(2);
  });

  test("fails too where it is an answer, of no campaign", async () => {
    const customerId = await createCustomer(database.db);
    const [contactId = ""] = await createContacts(database.db, customerId, 1);
    const to = { customerId, credentialId: newId(), contactId, address: "c0@example.com" };
    const messageId = await queueReply(database, to);
    const statusOf = async () => {
      const { rows } = await sql<{ status: string; error: string | null; isClaimed: boolean }>`
        select status, error, claimed_by is not null as "isClaimed" from message where id = ${messageId}`.execute(
        database.db,
      );
      return rows[0];
    };
    await start({ now: Date.now }).until(async () => (await statusOf())?.status === "failed");
    expect(await statusOf()).toMatchObject({
      error: expect.stringContaining("was deleted"),
      isClaimed: false,
    });
  });
});
