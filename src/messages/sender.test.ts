import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  createCampaign,
  createContacts,
  createCredential,
  createCustomer,
  enroll,
  projectAll,
  TEST_ENCRYPTION_KEY,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import {
  listMessages,
  type MessageRow,
  type Sending,
  type SendingOptions,
  startSending,
} from "../../test/support/sending.ts";
import { type SmtpSink, type SmtpStep, startSmtpSink } from "../../test/support/smtp.ts";
import { sealSecret } from "../credentials/secret-box.ts";
import { openDatabase } from "../storage/pool.ts";

let database: TestDatabase;
let sink: SmtpSink;
let customerId: string;
let running: Sending[];

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.close());

beforeEach(async () => {
  running = [];
  sink = await startSmtpSink();
  customerId = await createCustomer(database.db);
});

afterEach(async () => {
  sink.script(null);
  await Promise.all(running.map((sending) => sending.stop()));
  await sink.close();
  await sql`update campaign set status = 'paused' where status = 'active'`.execute(database.db);
});

type Wanted = {
  contacts: number;
  customer?: string;
  credential?: object;
  subject?: string;
  nodes?: object[];
  edges?: object[];
};

/** A running campaign whose entry is one message, its contacts enrolled and their messages queued. */
async function queue(wanted: Wanted) {
  const customer = wanted.customer ?? customerId;
  const settings = { port: sink.port, rateLimitPerSecond: 1_000, ...wanted.credential };
  const credentialId = await createCredential(database.db, customer, settings);
  const secret = sealSecret(TEST_ENCRYPTION_KEY, `${customer}/${credentialId}`, "a password");
  await sql`update credential set secret = ${secret} where id = ${credentialId}`.execute(database.db);
  const hello = {
    id: "hello",
    type: "message",
    channel: "email",
    credentialId,
    subject: wanted.subject ?? "Hi {{ contact.email }}",
    html: "<p>Hi {{ contact.email }}</p>",
  };
  const graph = { nodes: [hello, ...(wanted.nodes ?? [])], edges: wanted.edges ?? [] };
  const campaign = await createCampaign(database.db, customer, graph);
  await createContacts(database.db, customer, wanted.contacts);
  await enroll(database.db, campaign, { all: true });
  await projectAll(database.db);
  return { ...campaign, credentialId };
}

/** Has a sender send one message of another customer: whatever else it could send now, it has begun to. */
async function sendAnother(sending: Sending): Promise<void> {
  const other = await queue({ contacts: 1, customer: await createCustomer(database.db) });
  sending.sender.wake();
  await sending.until(all(other, ({ status }) => status === "sent"));
}

function start(options: SendingOptions = {}): Sending {
  const sending = startSending(database, options);
  running.push(sending);
  return sending;
}

const messages = (campaign: { campaignId: string }) => listMessages(database, campaign.campaignId);

/** Whether the campaign has messages and every one is as `is` says. */
const all = (campaign: { campaignId: string }, is: (message: MessageRow) => boolean) => async () => {
  const rows = await messages(campaign);
  return rows.length > 0 && rows.every(is);
};

async function credentialOf({ credentialId }: { credentialId: string }) {
  const { rows } = await sql<{ status: string; reason: string | null }>`
    select status, status_reason as reason from credential where id = ${credentialId}`.execute(database.db);
  return rows[0];
}

async function events(campaign: { campaignId: string }, type: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from event_log
    where campaign_id = ${campaign.campaignId} and type = ${type}`.execute(database.db);
  return rows[0]?.count ?? -1;
}

async function suppress(address: string): Promise<void> {
  await sql`
    insert into suppression (customer_id, channel, address, reason)
    values (${customerId}, 'email', ${address}, 'manual')`.execute(database.db);
}

/** Makes what was put off due now. */
async function becomeDue({ campaignId }: { campaignId: string }): Promise<void> {
  await sql`update message set due_at = now() where campaign_id = ${campaignId} and status = 'queued'`.execute(
    database.db,
  );
}

const at = (step: SmtpStep["at"], reply: string) => (now: SmtpStep) => (now.at === step ? { reply } : null);
const recipients = () => sink.received.map(({ to }) => to).sort();
const accepted = () =>
  sink
    .accepted()
    .map(({ to }) => to)
    .sort();
const addresses = (count: number) =>
  Array.from({ length: count }, (_, number) => `c${number}@example.com`).sort();

/** A clock that stands until it is moved. */
function clock() {
  let ms = Date.now();
  return {
    now: () => ms,
    advance(by: number) {
      ms += by;
    },
  };
}

describe("what is enrolled", () => {
  test("is sent to everybody once, and message and run say so", async () => {
    const campaign = await queue({ contacts: 25 });
    await start().until(all(campaign, ({ status }) => status === "sent"));
    expect(recipients()).toEqual(addresses(25));
    const sent = sink.received.find(({ to }) => to === "c0@example.com");
    expect(sent?.mail.subject).toBe("Hi c0@example.com");
    expect(sent?.mail.html).toContain("Hi c0@example.com");
    expect(sent?.mail.headers.get("list")).toMatchObject({
      unsubscribe: { url: expect.stringContaining("/unsubscribe") },
    });
    const [first] = await messages(campaign);
    expect(first).toMatchObject({
      attempts: 1,
      error: null,
      subject: "Hi c0@example.com",
      isClaimed: false,
      runStatus: "completed",
      output: { sent: true },
    });
    expect(sent?.reply).toBe(`250 Ok ${first?.providerMessageId}`);
  });

  test("is sent once by two processes that share the credential, one at a time", async () => {
    const campaign = await queue({ contacts: 60, credential: { maxConnections: 1 } });
    const areSent = all(campaign, ({ status }) => status === "sent");
    await Promise.race([start().until(areSent), start().until(areSent)]);
    expect(recipients()).toEqual(addresses(60));
    expect(sink.connections()).toBe(1);
  });

  test("goes on in another process when the one that held the credential stops", async () => {
    const campaign = await queue({ contacts: 60, credential: { maxConnections: 1 } });
    const first = start();
    await sink.until(5);
    const second = start();
    await first.stop();
    await second.until(all(campaign, ({ status }) => status === "sent"));
    expect(recipients()).toEqual(addresses(60));
  });

  test("waits while the campaign is paused, and goes out when it is resumed", async () => {
    const campaign = await queue({ contacts: 3 });
    const set = (status: string) =>
      sql`update campaign set status = ${status} where id = ${campaign.campaignId}`.execute(database.db);
    await set("paused");
    const sending = start();
    await sendAnother(sending);
    expect(await all(campaign, ({ status }) => status === "queued")()).toBe(true);
    await set("active");
    sending.sender.wake();
    await sending.until(all(campaign, ({ status }) => status === "sent"));
    expect(recipients()).toHaveLength(4);
  });

  test("is not sent through a credential that is disabled", async () => {
    const campaign = await queue({ contacts: 2 });
    await sql`update credential set status = 'disabled' where id = ${campaign.credentialId}`.execute(
      database.db,
    );
    await sendAnother(start());
    expect(await all(campaign, ({ status }) => status === "queued")()).toBe(true);
  });
});

describe("who is suppressed", () => {
  test("is not sent to, however late that was known, and one event says so", async () => {
    await suppress("c0@example.com");
    const campaign = await queue({ contacts: 4 });
    await suppress("c2@example.com");
    await sql`
      insert into suppression (customer_id, channel, address, reason)
      values (${customerId}, 'email', 'c2@example.com', 'bounce')`.execute(database.db);
    await start().until(all(campaign, ({ status }) => status !== "queued"));
    expect(recipients()).toEqual(["c1@example.com", "c3@example.com"]);
    expect((await messages(campaign)).map(({ status }) => status)).toEqual([
      "suppressed",
      "sent",
      "suppressed",
      "sent",
    ]);
    expect((await messages(campaign))[0]).toMatchObject({
      isClaimed: false,
      runStatus: "completed",
      output: { suppressed: true },
    });
    expect(await events(campaign, "contact_suppressed")).toBe(2);
  });

  test("is found in whatever case the address is written", async () => {
    const campaign = await queue({ contacts: 1 });
    await sql`update message set to_address = 'C0@Example.com' where campaign_id = ${campaign.campaignId}`.execute(
      database.db,
    );
    await suppress("c0@example.com");
    await start().until(all(campaign, ({ status }) => status === "suppressed"));
    expect(recipients()).toEqual([]);
  });
});

describe("a server's no", () => {
  test("for good is a failure with its words, and fires the edge that waits for it", async () => {
    const campaign = await queue({
      contacts: 1,
      nodes: [{ id: "end", type: "exit" }],
      edges: [{ id: "e", from: "hello", to: "end", firesWhen: "failed" }],
    });
    sink.script(at("rcpt", "550 5.1.1 No such user"));
    await start().until(async () => (await events(campaign, "campaign_completed")) === 1);
    expect((await messages(campaign))[0]).toMatchObject({
      status: "failed",
      error: "550 5.1.1 No such user",
      runStatus: "failed",
      output: { failed: true, reason: "550 5.1.1 No such user" },
    });
    expect(recipients()).toEqual([]);
  });

  test("for now puts the message off, and it goes out when its time has come", async () => {
    const campaign = await queue({ contacts: 1 });
    const time = clock();
    sink.script((step) => {
      if (step.at !== "data") return null;
      sink.script(null);
      return { reply: "451 Temporary service failure" };
    });
    const first = start({ ...time, random: () => 0.1 });
    await sink.until(1);
    await first.stop();
    expect((await messages(campaign))[0]).toMatchObject({
      status: "queued",
      isClaimed: false,
      attempts: 1,
      error: "451 Temporary service failure",
      dueAt: new Date(time.now() + 60_000 * 0.84),
      runStatus: "running",
    });
    await becomeDue(campaign);
    await start().until(all(campaign, ({ status }) => status === "sent"));
    expect(sink.accepted()).toHaveLength(1);
    expect((await messages(campaign))[0]).toMatchObject({ attempts: 2, error: null });
  });

  test("for now, again and again, is given up after nine attempts", async () => {
    const campaign = await queue({ contacts: 1 });
    await sql`update message set attempts = 8 where campaign_id = ${campaign.campaignId}`.execute(
      database.db,
    );
    sink.script(at("rcpt", "452 4.2.2 Mailbox full"));
    await start().until(all(campaign, ({ status }) => status === "failed"));
    expect((await messages(campaign))[0]?.error).toBe("452 4.2.2 Mailbox full (given up after 9 attempts)");
  });
});

describe("a message that can't be composed", () => {
  test("fails with the reason, and the others go out", async () => {
    await createContacts(database.db, customerId, 2);
    await sql`
      update contact set attributes = '{"name": "Ann"}'
      where customer_id = ${customerId} and email = 'c1@example.com'`.execute(database.db);
    const campaign = await queue({ contacts: 0, subject: "Hi {{ contact.attributes.name }}" });
    await start().until(all(campaign, ({ status }) => status !== "queued"));
    const [first, second] = await messages(campaign);
    expect(first).toMatchObject({
      status: "failed",
      error: expect.stringContaining("contact.attributes.name"),
    });
    expect(second?.status).toBe("sent");
  });

  test("for want of an address fails", async () => {
    await sql`
      insert into contact (customer_id, id, telegram_chat_id)
      values (${customerId}, new_id(), 5)`.execute(database.db);
    const campaign = await queue({ contacts: 0 });
    await start().until(all(campaign, ({ status }) => status === "failed"));
    expect((await messages(campaign))[0]?.error).toBe("The contact has no email address.");
  });
});

describe("a server that can't be used", () => {
  test.each([
    ["refuses the password", at("auth", "535 Authentication Credentials Invalid")],
    ["throttles", at("data", "454 Throttling failure: Maximum sending rate exceeded")],
    ["greets with a no", at("connect", "554 No service for you")],
    ["cuts every connection", (step: SmtpStep) => (step.at === "mail" ? ("drop" as const) : null)],
  ])("because it %s costs nobody an attempt, and is used again when it can be", async (_, script) => {
    const campaign = await queue({ contacts: 30, credential: { username: "ann", maxConnections: 2 } });
    const time = clock();
    sink.script(script);
    const sending = start(time);
    await sending.until(async () => (await credentialOf(campaign))?.status === "failing");
    expect((await credentialOf(campaign))?.reason).toBeString();
    expect(await all(campaign, ({ status, attempts }) => status === "queued" && attempts === 0)()).toBe(true);
    sink.script(null);
    time.advance(60_000);
    sending.sender.wake();
    await sending.until(all(campaign, ({ status, attempts }) => status === "sent" && attempts === 1));
    expect(accepted()).toEqual(addresses(30));
    await sending.stop();
    expect(await credentialOf(campaign)).toEqual({ status: "active", reason: null });
  });

  test("is left alone until its rest is over", async () => {
    const campaign = await queue({ contacts: 1 });
    await sink.close();
    const { port } = sink;
    const time = clock();
    const sending = start({ ...time, random: () => 0.5 });
    await sending.until(async () => (await credentialOf(campaign))?.status === "failing");
    expect((await credentialOf(campaign))?.reason).toContain("ECONNREFUSED");
    sink = await startSmtpSink({ port });
    time.advance(999);
    await sendAnother(sending);
    expect(await all(campaign, ({ status }) => status === "queued")()).toBe(true);
    time.advance(1);
    sending.sender.wake();
    await sending.until(all(campaign, ({ status }) => status === "sent"));
  });
});

describe("a credential that can't be read", () => {
  test("fails with the reason, and keeps nobody else from sending", async () => {
    const campaign = await queue({ contacts: 1 });
    await sql`update credential set secret = 'nonsense' where id = ${campaign.credentialId}`.execute(
      database.db,
    );
    await sendAnother(start(clock()));
    expect(await all(campaign, ({ status, attempts }) => status === "queued" && attempts === 0)()).toBe(true);
    expect(await credentialOf(campaign)).toEqual({
      status: "failing",
      reason: expect.stringContaining("can't be read"),
    });
  });
});

describe("an answer that got lost", () => {
  test("after the content leaves the message uncertain, and it is never sent again", async () => {
    const campaign = await queue({
      contacts: 1,
      nodes: [{ id: "end", type: "exit" }],
      edges: [{ id: "e", from: "hello", to: "end", firesWhen: "always" }],
    });
    sink.script((step) => (step.at === "data" ? "drop" : null));
    const sending = start();
    await sending.until(async () => (await events(campaign, "campaign_completed")) === 1);
    sink.script(null);
    await sendAnother(sending);
    expect(recipients()).toHaveLength(2);
    expect((await messages(campaign))[0]).toMatchObject({
      status: "uncertain",
      runStatus: "completed",
      output: { uncertain: true },
    });
  });

  test("before the content lets the message be sent again", async () => {
    const campaign = await queue({ contacts: 1 });
    let cuts = 0;
    sink.script((step) => {
      if (step.at === "rcpt") cuts += 1;
      return step.at === "rcpt" && cuts < 6 ? "drop" : null;
    });
    const time = clock();
    const sending = start(time);
    await sending.until(async () => {
      time.advance(60_000);
      await becomeDue(campaign);
      sending.sender.wake();
      return all(campaign, ({ status }) => status === "sent")();
    });
    expect(recipients()).toEqual(["c0@example.com"]);
    expect((await messages(campaign))[0]?.attempts).toBe(1);
  });
});

describe("the rate of a credential", () => {
  test("is what is sent at most, whatever waits", async () => {
    const campaign = await queue({ contacts: 10, credential: { rateLimitPerSecond: 3 } });
    const time = clock();
    const sending = start(time);
    for (const sent of [3, 6, 9, 10]) {
      const isSent = async () =>
        (await messages(campaign)).filter(({ status }) => status === "sent").length >= sent;
      await sending.until(isSent);
      expect(sink.received).toHaveLength(sent);
      time.advance(1_000);
      sending.sender.wake();
    }
  });
});

test("a contact who was deleted after the message was queued gets nothing, and the message says why", async () => {
  const campaign = await queue({ contacts: 2 });
  await sql`delete from contact where customer_id = ${customerId} and email = 'c0@example.com'`.execute(
    database.db,
  );
  const sending = start();
  await sending.until(all(campaign, ({ status }) => status !== "queued"));
  expect(recipients()).toEqual(["c1@example.com"]);
  expect((await messages(campaign)).map(({ status, error }) => [status, error]).sort()).toEqual([
    ["failed", "The contact was deleted."],
    ["sent", null],
  ]);
});

describe("a database that goes away", () => {
  test("right after the server took a message changes nothing: it was sent, once", async () => {
    const campaign = await queue({ contacts: 5 });
    let cuts = 0;
    const url = new URL(database.url);
    url.searchParams.set("application_name", "victim");
    const victim = openDatabase(url.href, 10);
    const sending = startSending(victim, {
      async append(event, usual) {
        cuts += 1;
        if (cuts <= 3) await cutConnectionsOf("victim");
        return usual(event);
      },
    });
    await sending.until(all(campaign, ({ status }) => status === "sent"));
    await sending.stop();
    await victim.close();
    expect(recipients()).toEqual(addresses(5));
    expect(await events(campaign, "message_sent")).toBe(5);
    expect(await events(campaign, "message_uncertain")).toBe(0);
  });

  test("for longer than the log tries keeps the answer until it is back", async () => {
    const campaign = await queue({ contacts: 1 });
    let failures = 0;
    const sending = start({
      append(event, usual) {
        failures += 1;
        return failures <= 2 ? Promise.reject(new Error("no database")) : usual(event);
      },
    });
    await sending.until(all(campaign, ({ status }) => status === "sent"));
    expect(recipients()).toEqual(["c0@example.com"]);
  });

  async function cutConnectionsOf(name: string): Promise<void> {
    await sql`
      select pg_terminate_backend(pid, 1000) from pg_stat_activity
      where datname = current_database() and application_name = ${name}`.execute(database.db);
  }
});

describe("stopping", () => {
  test("waits for what is in hand and begins nothing more", async () => {
    await sink.close();
    sink = await startSmtpSink({ delayMs: 50 });
    const campaign = await queue({ contacts: 20, credential: { maxConnections: 2 } });
    const begun = Promise.withResolvers<void>();
    sink.script((step) => {
      if (step.at === "content") begun.resolve();
      return null;
    });
    const sending = start();
    await begun.promise;
    await sending.stop();
    expect(sink.received.length).toBeGreaterThan(0);
    expect(sink.received.length).toBeLessThan(20);
    expect(await events(campaign, "message_sent")).toBe(sink.received.length);
    await projectAll(database.db);
    const rows = await messages(campaign);
    expect(rows.filter(({ status }) => status === "sent")).toHaveLength(sink.received.length);
    expect(rows.some(({ isClaimed }) => isClaimed)).toBe(false);
  });
});
