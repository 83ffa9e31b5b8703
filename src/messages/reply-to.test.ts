import { afterAll, beforeAll, expect, test } from "bun:test";
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
import { listMessages, type Sending, startSending } from "../../test/support/sending.ts";
import { type SmtpSink, startSmtpSink } from "../../test/support/smtp.ts";
import { createReplyAddresses } from "../inbound/ses/reply-address.ts";

let database: TestDatabase;
let sink: SmtpSink;
let sending: Sending;

beforeAll(async () => {
  database = await createTestDatabase();
  sink = await startSmtpSink();
  sending = startSending(database);
});
afterAll(async () => {
  await sending.stop();
  await sink.close();
  await database.close();
});

/** Sends one message. @returns where its answers go, and which message it is */
async function send(credential: object, node: object = {}) {
  const { db } = database;
  const customerId = await createCustomer(db);
  const credentialId = await createCredential(db, customerId, { port: sink.port, ...credential });
  const hello = {
    id: "hello",
    type: "message",
    channel: "email",
    credentialId,
    subject: "Hi",
    html: "<p>Hi</p>",
  };
  const campaign = await createCampaign(db, customerId, { nodes: [{ ...hello, ...node }], edges: [] });
  await createContacts(db, customerId, 1);
  await enroll(db, campaign, { all: true });
  await projectAll(db);
  const sent = async () => (await listMessages(database, campaign.campaignId))[0];
  sending.sender.wake();
  await sending.until(async () => ["sent", "failed"].includes((await sent())?.status ?? ""));
  const message = await sent();
  const replyTo = sink.received.at(-1)?.mail.replyTo?.value[0]?.address ?? null;
  return { customerId, messageId: message?.id ?? "", error: message?.error ?? null, replyTo };
}

const ses = { replyDomain: "in.example.com" };

test("answers go to an address that leads back to the message, where there is a domain for them", async () => {
  const { customerId, messageId, replyTo } = await send({ ses, replyTo: "help@example.com" });
  expect(replyTo).toEndWith("@in.example.com");
  expect(createReplyAddresses(TEST_ENCRYPTION_KEY).messageOf(customerId, [replyTo ?? ""])).toBe(messageId);
});

test("a message's own address goes before it, and the credential's is for where there is no domain", async () => {
  expect(await send({ ses }, { replyTo: "own@example.com" })).toMatchObject({ replyTo: "own@example.com" });
  expect(await send({ replyTo: "help@example.com" })).toMatchObject({ replyTo: "help@example.com" });
  expect(await send({ ses: { replyDomain: null } })).toMatchObject({ replyTo: null });
});

test("a domain that is none makes a message fail that says so, and no header of its own", async () => {
  const sent = sink.received.length;
  const { error } = await send({ ses: { replyDomain: "in.example.com, evil@example.com" } });
  expect(error).toBe("replyTo: it is not an email address");
  expect(sink.received).toHaveLength(sent);
});
