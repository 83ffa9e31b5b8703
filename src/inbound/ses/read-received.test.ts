import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import type { TestCustomer } from "../../../test/support/app.ts";
import {
  type CampaignApi,
  createCampaignApi,
  helloCampaign,
  smtpCredential,
} from "../../../test/support/campaign-api.ts";
import {
  append,
  createContacts,
  eventOf as eventOfRun,
  listFirings,
  listRuns,
  projectAll,
  type Run,
  TEST_ENCRYPTION_KEY,
} from "../../../test/support/campaigns.ts";
import { type S3StandIn, startS3 } from "../../../test/support/s3.ts";
import { createEgress } from "../../egress/client.ts";
import { resolveBySystem } from "../../egress/resolve.ts";
import { newId, toShortId } from "../../events/id.ts";
import { MAX_MAIL_BYTES } from "./parse-mail.ts";
import { createMailReader } from "./read-mail.ts";
import { type ReadingDeps, readReceived } from "./read-received.ts";
import { recordNotices } from "./record.ts";
import { createReplyAddresses } from "./reply-address.ts";
import { createObjectFetch } from "./s3.ts";

const SES_ID = "0100018f3c1a2b4d-6e5f7a8b-9c0d-4e1f-8a2b-3c4d5e6f7a8b-000000";
const KEYS = { region: "us-east-1", accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "secret" };
const addresses = createReplyAddresses(TEST_ENCRYPTION_KEY);

let api: CampaignApi;
let s3: S3StandIn;
let deps: ReadingDeps;
let customer: TestCustomer;
let credentialId: string;
let campaignId: string;
let run: Run;
let messageId: string;

beforeAll(async () => {
  api = await createCampaignApi();
  s3 = await startS3();
  deps = {
    db: api.database.db,
    encryptionKey: TEST_ENCRYPTION_KEY,
    fetchObject: createObjectFetch({
      egress: createEgress({ allow: ["127.0.0.1"], resolve: resolveBySystem }),
      endpoint: s3.endpoint,
      maxBytes: MAX_MAIL_BYTES,
      now: Date.now,
    }),
    onAppend: () => {},
    now: Date.now,
    random: Math.random,
    log: { error: (...said: unknown[]) => console.error(...said) },
  };
});
afterAll(async () => {
  await reader.close();
  await s3.close();
  await api.close();
});

/** `hello` was sent to c0@example.com. */
beforeEach(async () => {
  await sql`delete from inbound_event`.execute(api.database.db);
  customer = await api.createCustomer(newId());
  ({ credentialId, campaignId, run, messageId } = await begin(customer));
});

const going = new AbortController().signal;
const reader = createMailReader();
/** By a process of its own, which shares no thread with another. */
async function readAll(): Promise<number> {
  const own = createMailReader();
  const count = await readReceived(deps, own, going);
  await own.close();
  return count;
}
const topicOf = ({ id }: TestCustomer) => `arn:aws:sns:us-east-1:123456789012:${id}`;
const ok = (method: string, path: string, body?: unknown) => api.ok(method, path, body, customer);

async function begin(of: TestCustomer) {
  const { db } = api.database;
  const credential = await api.ok(
    "POST",
    "/credentials",
    smtpCredential({ ses: { topicArns: [topicOf(of)] } }),
    of,
  );
  await createContacts(db, of.id, 1);
  const edges = [{ id: "e1", from: "hello", to: "end", firesWhen: "replied" }];
  const campaign = await api.ok("POST", "/campaigns", helloCampaign(credential.id, { edges }), of);
  await api.ok("POST", `/campaigns/${campaign.id}/activate`, undefined, of);
  await api.ok("POST", `/campaigns/${campaign.id}/enroll`, { all: true }, of);
  await projectAll(db);
  const [begun] = await listRuns(db, campaign.id);
  if (begun?.messageId == null) throw new Error("nothing was queued");
  await append(db, eventOfRun(begun, "message_sent", { data: { subject: "Hi", providerMessageId: SES_ID } }));
  await projectAll(db);
  return { credentialId: credential.id, campaignId: campaign.id, run: begun, messageId: begun.messageId };
}

type Told = {
  /** Lines of the mail's header; `From` is c0@example.com where none is given. */
  headers?: string[];
  body?: string;
  recipients?: string[];
  sesMessageId?: string;
  source?: string;
  receipt?: object;
  content?: string;
  topicOwner?: TestCustomer;
};

/** What SES tells of a mail, made durable as if it had come by HTTP. */
async function receive(told: Told = {}): Promise<string> {
  const {
    headers = [],
    body = "Yes, please!",
    recipients = ["news@example.com"],
    topicOwner = customer,
  } = told;
  const from = headers.some((line) => line.startsWith("From:")) ? [] : ["From: Ann <C0@Example.com>"];
  const mail = [...from, "Subject: Re: Hi", ...headers, "", body].join("\r\n");
  const id = newId();
  const notification = {
    notificationType: "Received",
    mail: { messageId: told.sesMessageId ?? newId(), source: told.source ?? "c0@example.com" },
    receipt: {
      recipients,
      timestamp: "2026-11-20T10:00:00.000Z",
      action: { type: "SNS", encoding: "BASE64" },
      ...told.receipt,
    },
    content: told.content ?? Buffer.from(mail).toString("base64"),
  };
  await recordNotices(api.database.db, [
    {
      id,
      customerId: topicOwner.id,
      topicArn: topicOf(topicOwner),
      envelopeId: newId(),
      sentAt: new Date(),
      content: { kind: "received", raw: JSON.stringify(notification) },
    },
  ]);
  return id;
}

async function receiveAndRead(told: Told = {}): Promise<{ status: string; reason: string | null }> {
  const id = await receive(told);
  await readAll();
  await projectAll(api.database.db);
  return stateOf(id);
}

async function stateOf(id: string): Promise<{ status: string; reason: string | null }> {
  const { rows } = await sql<{ status: string; reason: string | null }>`
    select status, reason from inbound_event where id = ${id}`.execute(api.database.db);
  return rows[0] ?? { status: "gone", reason: null };
}

async function makeDue(): Promise<void> {
  await sql`update inbound_event set read_at = now() where status = 'waiting'`.execute(api.database.db);
}

async function bubbles() {
  const { items } = await ok("GET", `/messages?contactId=${run.contactId}`);
  return items.filter(({ direction }) => direction === "inbound");
}

const activity = async (type: string) =>
  (await ok("GET", `/contacts/${run.contactId}/activity?type=${type}`)).items;
const outputOf = async () => (await listRuns(api.database.db, campaignId))[0]?.output;
const matched = { status: "matched", reason: null };
const unanswered = async () => {
  expect(await bubbles()).toEqual([]);
  expect(await outputOf()).not.toHaveProperty("replied");
};

describe("an answer", () => {
  const quoted = "Yes, please!\r\n\r\nOn Fri, News <news@example.com> wrote:\r\n> Hi\r\n";

  test("becomes a bubble, is activity, sets the output and fires the edge", async () => {
    expect(
      await receiveAndRead({ headers: [`In-Reply-To: <${SES_ID}@email.amazonses.com>`], body: quoted }),
    ).toEqual(matched);
    const [bubble, ...more] = await bubbles();
    expect(more).toEqual([]);
    expect(bubble).toMatchObject({
      direction: "inbound",
      channel: "email",
      status: "received",
      campaignId,
      runId: null,
      credentialId,
      subject: "Re: Hi",
      to: "news@example.com",
      sentAt: "2026-11-20T10:00:00.000Z",
      received: {
        kind: "person",
        from: { address: "c0@example.com", name: "Ann" },
        answersMessageId: messageId,
        matchedBy: "references",
        text: "Yes, please!",
        wholeText: null,
        hasHtml: false,
        html: null,
        attachments: [],
      },
    });
    const shown = await ok("GET", `/messages/${bubble?.id}`);
    expect(shown.received).toMatchObject({ wholeText: quoted.replaceAll("\r\n", "\n") });
    expect(await activity("message_received")).toMatchObject([
      {
        campaignId,
        nodeId: "hello",
        runId: run.id,
        messageId: bubble?.id ?? "",
        data: { answersMessageId: messageId },
      },
    ]);
    expect(await outputOf()).toMatchObject({ replied: true, repliedAt: expect.any(String) });
    expect((await listFirings(api.database.db, campaignId)).get(run.contactId)).toEqual(["e1"]);
  });

  test("to its reply address is found by it, whoever sends it and whatever its headers say", async () => {
    const to = addresses.addressOf({ customerId: customer.id, messageId }, "in.example.com");
    const headers = ["From: colleague@elsewhere.example"];
    expect(await receiveAndRead({ recipients: [to.toUpperCase()], headers })).toEqual(matched);
    expect((await bubbles())[0]?.received).toMatchObject({
      matchedBy: "reply_address",
      answersMessageId: messageId,
    });
    expect(await outputOf()).toHaveProperty("replied", true);
  });

  test("is found by our own Message-ID among its references", async () => {
    const headers = [
      "From: other@elsewhere.example",
      `References: <x@y> <${toShortId(messageId)}@example.com> <z@y>`,
    ];
    expect(await receiveAndRead({ headers })).toEqual(matched);
    expect((await bubbles())[0]?.received).toMatchObject({ matchedBy: "references" });
  });

  test("that refers to nothing is one to what its sender was sent last", async () => {
    expect(await receiveAndRead()).toEqual(matched);
    expect((await bubbles())[0]?.received).toMatchObject({
      matchedBy: "sender",
      answersMessageId: messageId,
    });
    expect(await outputOf()).toHaveProperty("replied", true);
  });

  test("of a contact who was sent nothing is a bubble, and no answer", async () => {
    const { id } = await ok("POST", "/contacts", { email: "new@example.com" });
    expect(await receiveAndRead({ headers: ["From: new@example.com"] })).toEqual(matched);
    const { items } = await ok("GET", `/messages?contactId=${id}`);
    expect(items).toMatchObject([
      { campaignId: null, received: { answersMessageId: null, text: "Yes, please!" } },
    ]);
    await unanswered();
  });

  test("with HTML alone shows its text; the HTML stays as it came, and is given out clean, of one mail at a time", async () => {
    const html = '<p>Yes<img src="https://spy.example/1.gif"></p><script>alert(1)</script>';
    await receiveAndRead({ headers: ["Content-Type: text/html"], body: html });
    const [bubble] = await bubbles();
    expect(bubble?.received).toMatchObject({ text: "Yes", hasHtml: true, html: null });
    const { received } = await ok("GET", `/messages/${bubble?.id}`);
    const { html: clean } = received as { html: string };
    expect(clean.trim()).toBe('<p>Yes<img data-src="https://spy.example/1.gif" /></p>');
    const { rows } = await sql<{
      html: string;
    }>`select html from inbound_mail where message_id = ${bubble?.id}`.execute(api.database.db);
    expect(rows[0]?.html).toContain(html);
  });

  test("with more HTML than is shown has its text", async () => {
    await receiveAndRead({ headers: ["Content-Type: text/html"], body: "<p>Yes</p>" });
    const [bubble] = await bubbles();
    await sql`
      update inbound_mail set html = repeat('<p>é</p>', 250000) where message_id = ${bubble?.id}`.execute(
      api.database.db,
    );
    const { received } = await ok("GET", `/messages/${bubble?.id}`);
    expect(received).toMatchObject({ text: "Yes", hasHtml: true, html: null });
  });
});

describe("what is not an answer of a person", () => {
  test("is an out-of-office note: a bubble and activity, and no edge fires", async () => {
    expect(await receiveAndRead({ headers: ["Auto-Submitted: auto-replied"] })).toEqual(matched);
    expect((await bubbles())[0]?.received).toMatchObject({ kind: "auto_reply" });
    expect(await activity("auto_reply_received")).toMatchObject([{ data: { kind: "auto_reply" } }]);
    expect(await activity("message_received")).toEqual([]);
    expect(await outputOf()).not.toHaveProperty("replied");
    expect(await listFirings(api.database.db, campaignId)).toEqual(new Map());
  });

  test("is a delivery report", async () => {
    const headers = [`References: <${SES_ID}@email.amazonses.com>`, "From: MAILER-DAEMON@example.net"];
    expect(await receiveAndRead({ headers, source: "" })).toEqual(matched);
    expect((await bubbles())[0]?.received).toMatchObject({ kind: "delivery_report" });
    expect(await outputOf()).not.toHaveProperty("replied");
  });

  test.each([
    ["spamVerdict", "SES says that it is spam"],
    ["virusVerdict", "SES says that it has a virus"],
  ])("is what fails its %s: kept, and nothing else", async (verdict, reason) => {
    const receipt = { [verdict]: { status: "FAIL" } };
    expect(
      await receiveAndRead({ receipt: { action: { type: "SNS", encoding: "BASE64" }, ...receipt } }),
    ).toEqual({
      status: "ignored",
      reason,
    });
    await unanswered();
  });

  test("is a mail whose sender's domain says that it did not send it, unless it has what only its recipient knows", async () => {
    const receipt = { dmarcVerdict: { status: "FAIL" } };
    expect(await receiveAndRead({ receipt })).toMatchObject({ status: "waiting" });
    await unanswered();
    expect(
      await receiveAndRead({ receipt, headers: [`In-Reply-To: <${SES_ID}@email.amazonses.com>`] }),
    ).toEqual(matched);
  });

  test("is a mail of nobody we know: no contact is made, and after a second look it is kept as that", async () => {
    const id = await receive({ headers: ["From: stranger@elsewhere.example"] });
    await readAll();
    expect(await stateOf(id)).toMatchObject({ status: "waiting" });
    await makeDue();
    await readAll();
    expect(await stateOf(id)).toEqual({
      status: "unmatched",
      reason: "it answers no message of yours, and no contact has this sender's address",
    });
    expect((await ok("GET", "/contacts")).items).toHaveLength(1);
  });

  test("is content that is not base64: it is odd, and no empty bubble", async () => {
    expect(await receiveAndRead({ content: "not base64!" })).toMatchObject({ status: "odd" });
    await unanswered();
  });

  test("is a mail of more parts than anybody writes", async () => {
    const body = "--b\r\nContent-Disposition: attachment\r\n\r\nx\r\n".repeat(10_000);
    const headers = ["Content-Type: multipart/mixed; boundary=b"];
    expect(await receiveAndRead({ headers, body })).toEqual({
      status: "odd",
      reason: "it can't be read: Max allowed child nodes exceeded",
    });
  });
});

describe("another customer's mail", () => {
  test("answers nothing of ours, by reply address, reference or sender", async () => {
    const other = await api.createCustomer(newId());
    await api.ok("POST", "/credentials", smtpCredential({ ses: { topicArns: [topicOf(other)] } }), other);
    const to = addresses.addressOf({ customerId: customer.id, messageId }, "in.example.com");
    const headers = [
      `In-Reply-To: <${SES_ID}@email.amazonses.com>`,
      `References: <${toShortId(messageId)}@example.com>`,
    ];
    expect(await receiveAndRead({ topicOwner: other, recipients: [to], headers })).toMatchObject({
      status: "waiting",
    });
    await unanswered();
  });

  test("is not shown to us", async () => {
    await receiveAndRead();
    const [bubble] = await bubbles();
    const stranger = await api.createCustomer(newId());
    expect((await api.call("GET", `/api/v1/messages/${bubble?.id}`, { customer: stranger })).status).toBe(
      404,
    );
  });
});

describe("a mail that is told of twice", () => {
  test("is one bubble: at once, later, and by two processes at the same moment", async () => {
    const told = { sesMessageId: "the-same", headers: [`In-Reply-To: <${SES_ID}@email.amazonses.com>`] };
    const ids = [await receive(told), await receive(told)];
    await Promise.all([readAll(), readAll()]);
    ids.push(await receive(told));
    await readAll();
    await projectAll(api.database.db);
    const states = await Promise.all(ids.map(stateOf));
    const duplicate = { status: "ignored", reason: "the same mail was told of before" };
    expect(states.toSorted((one, other) => one.status.localeCompare(other.status))).toEqual([
      duplicate,
      duplicate,
      matched,
    ]);
    expect(await bubbles()).toHaveLength(1);
    expect(await activity("message_received")).toHaveLength(1);
  });

  test("is one bubble when the process died between reading and recording", async () => {
    const id = await receive();
    await sql`update inbound_event set read_attempts = 1, read_at = now() + interval '10 minutes'`.execute(
      api.database.db,
    );
    expect(await readAll()).toBe(0);
    await makeDue();
    expect(await readAll()).toBe(1);
    expect(await stateOf(id)).toEqual(matched);
    expect(await bubbles()).toHaveLength(1);
  });

  test("does not keep others from being read when the database refuses it", async () => {
    const refused = await receive();
    const fine = await receive();
    await sql`
      create function refuse() returns trigger language plpgsql as $$ begin
        if new.inbound_event_id = ${sql.lit(refused)}::uuid then raise 'no'; end if;
        return new;
      end $$`.execute(api.database.db);
    await sql`create trigger refuse before insert on inbound_mail for each row execute function refuse()`.execute(
      api.database.db,
    );
    const errors: unknown[] = [];
    await readReceived({ ...deps, log: { error: (said: unknown) => errors.push(said) } }, reader, going);
    await sql`drop function refuse() cascade`.execute(api.database.db);
    expect(await stateOf(fine)).toEqual(matched);
    expect(await stateOf(refused)).toMatchObject({ status: "waiting" });
    expect(errors).toHaveLength(1);
  });
});

test("a mail that is not read yet when EDGR stops is read later", async () => {
  const id = await receive();
  await readReceived(deps, reader, AbortSignal.abort());
  expect(await stateOf(id)).toMatchObject({ status: "waiting" });
  await makeDue();
  await readAll();
  expect(await stateOf(id)).toEqual(matched);
});

describe("a mail in S3", () => {
  const inS3 = (objectKey: string) => ({
    action: { type: "S3", bucketName: "mails", objectKey },
  });
  const mail = { body: Buffer.from("From: c0@example.com\r\nSubject: Re: Hi\r\n\r\nFrom the bucket\r\n") };

  test("is fetched with the credential's keys", async () => {
    await ok("PATCH", `/credentials/${credentialId}`, { ses: { topicArns: [topicOf(customer)], aws: KEYS } });
    s3.objects.set("mails/one", mail);
    expect(await receiveAndRead({ receipt: inS3("one") })).toEqual(matched);
    expect((await bubbles())[0]?.received).toMatchObject({ text: "From the bucket" });
    expect(s3.asked.at(-1)).toBe(`GET mails/one by ${KEYS.accessKeyId}`);
  });

  test("waits for keys, and for an object that is not there yet, and says what for", async () => {
    const id = await receive({ receipt: inS3("two") });
    await readAll();
    expect(await stateOf(id)).toEqual({
      status: "waiting",
      reason: "it is in S3, and the credential has no AWS keys",
    });
    await ok("PATCH", `/credentials/${credentialId}`, { ses: { topicArns: [topicOf(customer)], aws: KEYS } });
    await makeDue();
    await readAll();
    expect(await stateOf(id)).toMatchObject({
      status: "waiting",
      reason: expect.stringContaining("NoSuchKey"),
    });
    s3.objects.set("mails/two", mail);
    await makeDue();
    await readAll();
    expect(await stateOf(id)).toEqual(matched);
  });

  test("that never comes is given up, and kept with what S3 said", async () => {
    await ok("PATCH", `/credentials/${credentialId}`, { ses: { topicArns: [topicOf(customer)], aws: KEYS } });
    const id = await receive({ receipt: inS3("never") });
    await sql`update inbound_event set read_attempts = 17 where id = ${id}`.execute(api.database.db);
    await readAll();
    expect(await stateOf(id)).toMatchObject({ status: "odd", reason: expect.stringContaining("NoSuchKey") });
  });
});
