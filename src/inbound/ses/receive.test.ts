import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import { snsCertificate } from "../../../test/support/certificate.ts";
import { answered, bounce, createSesEdge, type SesEdge } from "../../../test/support/ses-edge.ts";
import { notification, signed, TOPIC } from "../../../test/support/sns.ts";
import { newId, toShortId } from "../../events/id.ts";
import { type Database, openDatabase } from "../../storage/pool.ts";
import { matchWaiting } from "./match-waiting.ts";
import { createReceiver } from "./receiver.ts";

let edge: SesEdge;

beforeAll(async () => {
  edge = await createSesEdge();
});
afterAll(() => edge.close());
beforeEach(async () => {
  for (const table of ["event_log", "inbound_event", "inbound_seen", "message"])
    await sql`delete from ${sql.table(table)}`.execute(edge.database.db);
  edge.counted.length = 0;
});

const providerId = "0100018f3c1a2b4d-6e5f7a8b-9c0d-4e1f-8a2b-3c4d5e6f7a8b-000000";

async function listed(status: string) {
  return (await edge.call("GET", `/api/v1/inbound-events?status=${status}`)).body.items;
}

describe("a bounce of a message of ours", () => {
  test("is an event of it, with what the address is in for", async () => {
    const message = await edge.createMessage({ to: "Ann@example.com" });
    expect(await edge.post(notification(bounce(message)))).toEqual({ status: 200, detail: "" });
    const [event, ...more] = await edge.events();
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      type: "message_bounced",
      messageId: message.id,
      contactId: expect.any(String),
      at: new Date("2026-11-25T01:00:00.000Z"),
      data: {
        recipient: "ann@example.com",
        provider: "ses",
        suppress: "bounce",
        bounceType: "Permanent",
        diagnosticCode: "smtp; 550 5.1.1 user unknown",
      },
    });
    expect(edge.counted).toEqual(["matched 1", "recorded"]);
  });

  test("that is soft says so and suppresses nothing", async () => {
    const message = await edge.createMessage();
    await edge.post(notification(bounce(message, { subType: "MailboxFull" })));
    const [event] = await edge.events();
    expect(event?.data).toMatchObject({ soft: true });
    expect(event?.data).not.toHaveProperty("suppress");
  });

  test("at another address than the one mailed is recorded and suppresses nothing", async () => {
    const message = await edge.createMessage();
    await edge.post(notification(bounce(message, { recipient: "forwarded@elsewhere.example" })));
    const [event] = await edge.events();
    expect(event?.data).toMatchObject({ recipient: "forwarded@elsewhere.example" });
    expect(event?.data).not.toHaveProperty("suppress");
  });

  test("without tags is found by the id that SES gave the mail", async () => {
    const message = await edge.createMessage({ providerId });
    await edge.post(notification(bounce(message, { tags: false, dialect: "notificationType" })));
    expect((await edge.events()).map((event) => event.messageId)).toEqual([message.id]);
  });

  test("is found by our own Message-ID where only the headers came along", async () => {
    const message = await edge.createMessage();
    const told = JSON.parse(bounce(message, { tags: false, dialect: "notificationType" }));
    told.mail.headers = [{ name: "Message-Id", value: `<${message.shortId}@example.com>` }];
    await edge.post(notification(JSON.stringify(told)));
    expect((await edge.events()).map((event) => event.messageId)).toEqual([message.id]);
  });

  test("goes by the tag when what names the message differs", async () => {
    const tagged = await edge.createMessage();
    await edge.createMessage({ providerId });
    await edge.post(notification(bounce({ ...tagged, providerId })));
    expect((await edge.events()).map((event) => event.messageId)).toEqual([tagged.id]);
  });
});

describe("what is told twice counts once", () => {
  test("by the same MessageId, one after the other and at the same moment", async () => {
    const envelope = notification(bounce(await edge.createMessage()));
    const answers = await Promise.all(Array.from({ length: 5 }, () => edge.post(envelope)));
    answers.push(await edge.post(envelope));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
    expect((await edge.events()).length).toBe(1);
    expect(edge.counted.filter((what) => what.startsWith("duplicate")).length).toBeGreaterThan(0);
  });

  test("in both dialects with the same feedback id, whichever comes first", async () => {
    const message = await edge.createMessage({ providerId });
    const tell = (dialect: string) =>
      notification(bounce(message, { dialect, tags: dialect === "eventType" }));
    await Promise.all([edge.post(tell("eventType")), edge.post(tell("notificationType"))]);
    await edge.post(tell("eventType"));
    expect((await edge.events()).length).toBe(1);
  });

  test("also when it is odd, or a mail that was received", async () => {
    for (const text of ['{"eventType":"Levitation"}', '{"notificationType":"Received"}']) {
      const envelope = notification(text);
      await Promise.all([edge.post(envelope), edge.post(envelope)]);
      expect((await edge.post(envelope)).status).toBe(200);
    }
    expect((await edge.call("GET", "/api/v1/inbound-events")).body.items.length).toBe(2);
  });

  test("though other feedback about the same message is another bounce", async () => {
    const message = await edge.createMessage();
    for (const feedbackId of ["one", "two"]) await edge.post(notification(bounce(message, { feedbackId })));
    expect((await edge.events()).length).toBe(2);
  });

  test("when the process died after the commit and before the answer: the redelivery finds it done", async () => {
    const message = await edge.createMessage();
    const envelope = notification(bounce(message));
    await edge.post(envelope);
    const again = createAnother(edge);
    expect((await again(envelope)).status).toBe(200);
    expect((await edge.events()).length).toBe(1);
  });
});

describe("a customer's topic", () => {
  test("can't touch another customer's message, though tag, provider id and Message-ID name it", async () => {
    const neighbour = await edge.createCustomer("neighbour");
    const theirs = await edge.createMessage({ customerId: neighbour.id, providerId });
    const told = JSON.parse(bounce(theirs));
    told.mail.headers = [{ name: "Message-ID", value: `<${theirs.shortId}@example.com>` }];
    told.mail.tags["edgr-customer"] = [toShortId(neighbour.id)];
    expect((await edge.post(notification(JSON.stringify(told)))).status).toBe(200);
    expect(await edge.events(neighbour.id)).toEqual([]);
    expect(await edge.events()).toEqual([]);
    expect((await listed("waiting")).length).toBe(1);
    expect((await edge.call("GET", "/api/v1/inbound-events", { customer: neighbour })).body.items).toEqual(
      [],
    );
  });

  test("may say what another customer's topic said too: each is told for himself", async () => {
    const neighbour = await edge.createCustomer("second neighbour");
    const topicArn = `${TOPIC}-theirs`;
    await edge.createCredential([topicArn], neighbour);
    const mine = await edge.createMessage();
    const theirs = await edge.createMessage({ customerId: neighbour.id });
    await edge.post(notification(bounce(mine)));
    await edge.post(notification(bounce(theirs), { TopicArn: topicArn }));
    expect((await edge.events(neighbour.id)).length).toBe(1);
    expect((await edge.events()).length).toBe(1);
  });

  test("does not find an inbound message, nor one of another channel", async () => {
    const message = await edge.createMessage();
    await sql`update message set direction = 'inbound' where id = ${message.id}`.execute(edge.database.db);
    await edge.post(notification(bounce(message)));
    expect(await edge.events()).toEqual([]);
  });
});

describe("a bounce that comes before its message has its provider id", () => {
  const pass = async (age: string) => {
    await sql`
      update inbound_event set look_at = now() - interval '1 second', received_at = received_at - ${age}::interval
      where look_at is not null`.execute(edge.database.db);
  };

  test("waits, and becomes the message's when that is known", async () => {
    const message = await edge.createMessage();
    await edge.post(notification(bounce({ ...message, providerId }, { tags: false })));
    const [waiting] = await listed("waiting");
    expect(waiting).toMatchObject({
      name: "Bounce",
      providerMessageId: providerId,
      recipients: [message.to],
    });
    await pass("1 second");
    expect(await matchWaiting(edge.database.db)).toEqual({ taken: 1, matched: 0 });
    await sql`update message set provider_message_id = ${providerId} where id = ${message.id}`.execute(
      edge.database.db,
    );
    await pass("1 second");
    expect(await matchWaiting(edge.database.db)).toEqual({ taken: 1, matched: 1 });
    expect(await edge.events()).toMatchObject([
      { type: "message_bounced", messageId: message.id, data: { suppress: "bounce", provider: "ses" } },
    ]);
    expect((await listed("matched")).map(({ id }) => id)).toEqual([String(waiting?.id)]);
    await pass("1 second");
    await matchWaiting(edge.database.db);
    expect((await edge.events()).length).toBe(1);
  });

  test("counts once, also when it is told again while it waits and after", async () => {
    const message = await edge.createMessage();
    const tell = () => edge.post(notification(bounce({ ...message, providerId }, { tags: false })));
    await tell();
    await tell();
    await sql`update message set provider_message_id = ${providerId}`.execute(edge.database.db);
    await pass("1 second");
    await matchWaiting(edge.database.db);
    await tell();
    expect((await edge.events()).length).toBe(1);
  });

  test("is looked for less and less often, and not in every round", async () => {
    const message = await edge.createMessage();
    await edge.post(notification(bounce({ ...message, providerId }, { tags: false })));
    await pass("10 minutes");
    expect(await matchWaiting(edge.database.db)).toEqual({ taken: 1, matched: 0 });
    expect(await matchWaiting(edge.database.db)).toEqual({ taken: 0, matched: 0 });
    const { rows } = await sql<{ minutes: number }>`
      select round(extract(epoch from look_at - now()) / 60)::int as minutes from inbound_event`.execute(
      edge.database.db,
    );
    expect(rows).toEqual([{ minutes: 10 }]);
  });

  test("is unmatched after a day, and listed with the reason", async () => {
    const message = await edge.createMessage();
    await edge.post(notification(bounce({ ...message, providerId }, { tags: false })));
    await pass("25 hours");
    await matchWaiting(edge.database.db);
    expect(await listed("unmatched")).toMatchObject([{ reason: "no message of yours fits it" }]);
    await pass("1 second");
    expect(await matchWaiting(edge.database.db)).toEqual({ taken: 0, matched: 0 });
  });
});

describe("a well-formed message with odd content is acknowledged, kept and listed", () => {
  test.each([
    ["a kind that is not known", { eventType: "Levitation", mail: {} }],
    ["no mail", { eventType: "Bounce", bounce: { bounceType: "Permanent" } }],
    [
      "no recipients",
      {
        eventType: "Bounce",
        bounce: { bounceType: "Permanent", bouncedRecipients: [] },
        mail: { messageId: "x" },
      },
    ],
    [
      "recipients of another shape",
      { eventType: "Delivery", delivery: { recipients: [7] }, mail: { messageId: "x" } },
    ],
    ["NUL characters", { eventType: "Levi\0tation", mail: {} }],
  ])("%s", async (_, told) => {
    expect((await edge.post(notification(JSON.stringify(told)))).status).toBe(200);
    const items = await listed("odd");
    expect(items).toMatchObject([
      { status: "odd", reason: expect.stringMatching(/^an? /), text: expect.any(String) },
    ]);
    expect(await edge.events()).toEqual([]);
  });

  test.each([
    ["NUL characters and halves of characters", { diagnosticCode: "550 \0 no\ud800" }],
    ["a text that looks like an array's end", { diagnosticCode: '","}\\"{' }],
    ["a very long text", { diagnosticCode: "x".repeat(100_000) }],
  ])("%s in what a bounce says are kept without what can't be", async (_, more) => {
    const message = await edge.createMessage();
    const told = JSON.parse(bounce(message));
    Object.assign(told.bounce.bouncedRecipients[0], more);
    expect((await edge.post(notification(JSON.stringify(told)))).status).toBe(200);
    expect((await edge.events()).length).toBe(1);
  });

  test.each(["9999-12-31T23:59:59-07:00", "0000-01-01T00:00:00Z", "2400-01-01T00:00:00Z", "yesterday"])(
    "a bounce at %s happened when SNS says",
    async (timestamp) => {
      const told = JSON.parse(bounce(await edge.createMessage()));
      told.bounce.timestamp = timestamp;
      const Timestamp = new Date(Date.now() - 60_000).toISOString();
      expect((await edge.post(notification(JSON.stringify(told), { Timestamp }))).status).toBe(200);
      expect((await edge.events()).map(({ at }) => at.toISOString())).toEqual([Timestamp]);
    },
  );

  test.each(["not an address", "fe80::1%eth0", "1", "300.1.1.1", "10.0.0.1/8"])(
    "an open from %p is recorded without its address",
    async (ipAddress) => {
      const message = await edge.createMessage();
      const told = {
        eventType: "Open",
        open: { ipAddress, userAgent: "a\0b", timestamp: "2026-11-25T01:00:00Z" },
        mail: JSON.parse(bounce(message)).mail,
      };
      expect((await edge.post(notification(JSON.stringify(told)))).status).toBe(200);
      expect(await edge.events()).toMatchObject([{ type: "provider_opened", ip: null, userAgent: "ab" }]);
    },
  );

  test("what is not SES's is acknowledged and leaves nothing", async () => {
    const before = await edge.state();
    for (const text of ["Hello", "{}", "[]", "7", '{"AlarmName":"x"}']) {
      expect((await edge.post(notification(text))).status).toBe(200);
    }
    const { topics: _, ...rest } = JSON.parse(before)[0];
    expect(JSON.parse(await edge.state())[0]).toMatchObject(rest);
  });
});

test("received mail is kept for who reads it", async () => {
  const told = JSON.stringify({
    notificationType: "Received",
    mail: {},
    receipt: {},
    content: "From: a\r\n\r\nHi",
  });
  expect((await edge.post(notification(told))).status).toBe(200);
  expect(await listed("waiting")).toMatchObject([{ name: "Received", text: told }]);
  expect(await matchWaiting(edge.database.db)).toEqual({ taken: 0, matched: 0 });
});

test("the list goes on where the page before ended, newest first", async () => {
  for (let number = 0; number < 5; number += 1) await edge.post(notification(`{"eventType":"X${number}"}`));
  const first = await edge.call("GET", "/api/v1/inbound-events?limit=3");
  const second = await edge.call("GET", `/api/v1/inbound-events?limit=3&cursor=${first.body.nextCursor}`);
  const reasons = [...first.body.items, ...second.body.items].map(
    ({ reason }) => /X(\d)/.exec(String(reason))?.[1],
  );
  expect(reasons).toEqual(["4", "3", "2", "1", "0"]);
  expect(second.body.nextCursor).toBeNull();
});

describe("a request", () => {
  test("of any content type is read, and its headers are not believed", async () => {
    const message = await edge.createMessage();
    for (const type of [
      "text/plain; charset=UTF-8",
      "application/json",
      "application/x-www-form-urlencoded",
      "x",
    ]) {
      const envelope = notification(bounce(message, { feedbackId: type }));
      const headers = {
        "Content-Type": type,
        "x-amz-sns-message-type": "SubscriptionConfirmation",
        "x-amz-sns-rawdelivery": "true",
      };
      expect((await edge.post(envelope, headers)).status).toBe(200);
    }
    expect((await edge.events()).length).toBe(4);
  });

  test.each(["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])("by %s is refused", async (method) => {
    const response = await edge.app.request("/api/ses-events", { method }, { ip: null });
    expect([response.status, response.headers.get("Allow")]).toEqual([405, "POST"]);
  });

  test("of a megabyte is read, and one byte more is not", async () => {
    const limit = 1024 * 1024;
    const padded = (bytes: number) => JSON.stringify(notification("x")).padEnd(bytes);
    expect((await edge.post(padded(limit))).status).toBe(200);
    expect((await edge.post(padded(limit + 1))).status).toBe(413);
    const body = new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(65_536));
      },
    });
    const response = await edge.app.request(
      "/api/ses-events",
      { method: "POST", body, duplex: "half" } as RequestInit,
      { ip: null },
    );
    expect(response.status).toBe(413);
  });

  test.each([
    ["empty", ""],
    ["a text", "Hello world"],
    ["a list", "[]"],
    ["null", "null"],
    ["an empty object", "{}"],
    ["cut off", "{"],
    ["only a type", '{"Type":"Notification"}'],
    ["deeply nested", "[".repeat(500_000)],
    [
      "deeply nested in a field",
      `{"Type":"Notification","Message":${"[".repeat(9_000)}${"]".repeat(9_000)}}`,
    ],
    ["a byte order mark", "\ufeff"],
  ])("whose body is %s is refused as malformed", async (_, body) => {
    const before = await edge.state();
    expect((await edge.post(body)).status).toBe(400);
    expect(await edge.state()).toBe(before);
  });

  test("whose body is not UTF-8 is refused", async () => {
    const init = { method: "POST", body: Buffer.from([0x7b, 0xff, 0x7d]) };
    expect((await edge.app.request("/api/ses-events", init, { ip: null })).status).toBe(400);
  });

  test("older than what is remembered is refused", async () => {
    const Timestamp = new Date(Date.now() - 31 * 24 * 3_600_000).toISOString();
    const before = await edge.state();
    const answer = await edge.post(notification(bounce(await edge.createMessage()), { Timestamp }));
    expect(answer).toEqual({ status: 403, detail: "The message is too old." });
    expect(await edge.state()).toBe(before);
    expect(edge.counted).toEqual(["stale"]);
  });

  test("by a topic of nobody's is refused and noted, and its content is not", async () => {
    const envelope = notification(bounce(await edge.createMessage()), { TopicArn: `${TOPIC}-other` });
    expect((await edge.post(envelope)).status).toBe(403);
    expect(edge.counted).toEqual(["unknown_topic"]);
    expect(await edge.events()).toEqual([]);
    expect(await listed("waiting")).toEqual([]);
  });

  test("signed by the first version is taken like one by the second", async () => {
    const message = await edge.createMessage();
    const Message = bounce(message);
    await edge.post(signed({ Type: "Notification", Message, SignatureVersion: "1" }));
    expect((await edge.events()).length).toBe(1);
  });

  test("names a message that does not exist by an id that is none", async () => {
    const told = JSON.parse(bounce(await edge.createMessage()));
    for (const tag of ["", "x", "'; drop table message; --", toShortId(newId()), "A".repeat(22)]) {
      told.mail.tags["edgr-message"] = [tag];
      told.bounce.feedbackId = tag;
      expect((await edge.post(notification(JSON.stringify(told)))).status).toBe(200);
    }
    expect(await edge.events()).toEqual([]);
  });
});

describe("while the database is away", () => {
  test("SNS is asked to come back, and what is forged is refused as ever", async () => {
    const away = openDatabase("postgres://nobody@127.0.0.1:1/nothing", 1);
    const receive = createAnother({ database: away });
    const genuine = notification("{}");
    expect(await receive(genuine)).toMatchObject({ status: 503, outcome: "database_away" });
    expect(await receive({ ...genuine, Message: "changed" })).toMatchObject({
      status: 403,
      outcome: "forged",
    });
    expect(await receive({})).toMatchObject({ status: 400, outcome: "malformed" });
    await away.close();
  });

  test("a message that could not be recorded is recorded when it comes again", async () => {
    const envelope = notification(bounce(await edge.createMessage()));
    const { database } = edge;
    await sql`alter table event_log rename to event_log_away`.execute(database.db);
    expect((await edge.post(envelope)).status).toBe(503);
    await sql`alter table event_log_away rename to event_log`.execute(database.db);
    expect((await edge.post(envelope)).status).toBe(200);
    expect((await edge.events()).length).toBe(1);
  });
});

/** A second process on the same database, that remembers nothing. */
function createAnother({ database }: { database: Pick<Database, "db"> }) {
  const receiver = createReceiver({
    db: database.db,
    egress: { send: async () => answered(200, snsCertificate.cert) },
    trustedEgress: { send: async () => answered(404, "") },
    trustedHosts: [],
    now: Date.now,
    takesOld: false,
    onAppend: () => {},
    counters: { sesRequest: () => {}, sesFacts: () => {} },
    log: { debug: () => {}, info: () => {}, error: () => {} },
  });
  return (envelope: object) => receiver.receive(JSON.stringify(envelope));
}
