import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  createCampaign,
  createContacts,
  createCredential,
  enroll,
  projectAll,
  TEST_ENCRYPTION_KEY,
} from "../../test/support/campaigns.ts";
import { createInbox, type Inbox } from "../../test/support/conversations.ts";
import { type Sending, startSending } from "../../test/support/sending.ts";
import { type SmtpSink, startSmtpSink } from "../../test/support/smtp.ts";
import { startTelegram, type TelegramStandIn, testBotApi } from "../../test/support/telegram.ts";
import { addBot } from "../../test/support/telegram-bot.ts";
import { ANN, messageUpdate } from "../../test/support/telegram-edge.ts";
import { createEgress, type Egress } from "../egress/client.ts";
import { resolveBySystem } from "../egress/resolve.ts";
import { createReplyAddresses } from "../inbound/ses/reply-address.ts";

const BEGIN = 1_790_000_000;
const IN_HAND = 2;

let inbox: Inbox;
let telegram: TelegramStandIn;
let egress: Egress;
let sink: SmtpSink;
let mailId: string;
let bot: { credentialId: string; token: string };
let sending: Sending;

beforeAll(async () => {
  inbox = await createInbox();
  telegram = await startTelegram({ isLocal: true });
  egress = createEgress({ allow: ["127.0.0.0/8"], resolve: resolveBySystem });
});

afterAll(async () => {
  egress.close();
  await telegram.close();
  await inbox.close();
});

beforeEach(async () => {
  telegram.calls.length = 0;
  sink = await startSmtpSink();
  const { db } = inbox.database;
  mailId = await createCredential(db, inbox.customer.id, {
    port: sink.port,
    fromName: "News",
    rateLimitPerSecond: 1_000,
    maxConnections: IN_HAND,
    ses: { replyDomain: "in.example.com" },
  });
  bot = await addBot(db, inbox.customer.id, telegram, 1_000);
  sending = startSending(inbox.database, { api: testBotApi({ apiRoot: telegram.apiRoot, egress }) });
});

afterEach(async () => {
  sink.script(null);
  await sending.stop();
  await sink.close();
  await sql`update campaign set status = 'paused'`.execute(inbox.database.db);
  await inbox.forget();
});

/** Somebody writes a mail. @returns his conversation */
async function mailFrom(address: string): Promise<string> {
  const id = await inbox.addContact({ email: address });
  await inbox.receiveMail(id, {
    credentialId: mailId,
    fromAddress: address,
    subject: "Re: Where is it?",
    messageIdHeader: "<m2@mail.example>",
    references: ["<m1@mail.example>"],
  });
  await inbox.project();
  return id;
}

/** Somebody writes to the bot. @returns his conversation */
async function chatFrom(number: number, more: object = {}): Promise<string> {
  const update = messageUpdate(number, { date: BEGIN + number, ...more });
  const { status } = await inbox.post(update, { secret: "secret", credentialId: bot.credentialId });
  expect(status).toBe(200);
  await inbox.project();
  return (await inbox.contacts()).find(({ chatId }) => chatId === ANN.id)?.id ?? "";
}

const answer = (id: string, body: object) => inbox.ok("POST", `/conversations/${id}/messages`, body);

async function becomes(messageId: string, status: string): Promise<void> {
  sending.sender.wake();
  await sending.until(async () => (await inbox.ok("GET", `/messages/${messageId}`)).status === status);
}

const sends = () => telegram.calls.filter(({ method }) => method === "sendMessage");

async function suppress(channel: string, address: string, reason: string): Promise<void> {
  await sql`
    insert into suppression (customer_id, channel, address, reason)
    values (${inbox.customer.id}, ${channel}, ${address}, ${reason})`.execute(inbox.database.db);
}

describe("an answer by mail", () => {
  test("arrives in the thread that it answers, as it was written, and what is answered to it finds it", async () => {
    const id = await mailFrom("ann@example.com");
    const { id: messageId } = await answer(id, { text: "It is <here>.\n\nGreetings", author: "Maria" });
    await becomes(messageId, "sent");
    const [{ mail, raw, to } = { mail: null, raw: Buffer.of(), to: "" }] = sink.received;
    expect(to).toBe("ann@example.com");
    expect(mail).toMatchObject({
      subject: "Re: Where is it?",
      inReplyTo: "<m2@mail.example>",
      references: ["<m1@mail.example>", "<m2@mail.example>"],
      html: expect.stringContaining("<p>It is &lt;here&gt;.</p><p>Greetings</p>"),
    });
    expect(mail?.text?.trim()).toBe("It is <here>.\n\nGreetings");
    expect(mail?.from?.text).toBe('"News" <news@example.com>');
    expect(raw.toString()).not.toMatch(/tracking|pixel|unsubscribe/i);
    const addresses = createReplyAddresses(TEST_ENCRYPTION_KEY);
    expect(addresses.messageOf(inbox.customer.id, [mail?.replyTo?.text ?? ""])).toBe(messageId);
  });

  test("brings its conversation to the top when it is sent", async () => {
    const id = await mailFrom("ann@example.com");
    const { id: messageId } = await answer(id, { text: "Here" });
    await mailFrom("bob@example.com");
    await becomes(messageId, "sent");
    const { items } = await inbox.ok("GET", "/conversations");
    expect(items[0]).toMatchObject({
      id,
      lastMessage: { id: messageId, direction: "outbound", status: "sent", text: "Here" },
    });
  });

  test("that the server refuses says why, opens the conversation again, and can be sent again", async () => {
    const id = await mailFrom("ann@example.com");
    await inbox.ok("PATCH", `/conversations/${id}`, { status: "closed" });
    sink.script(({ at }) => (at === "rcpt" ? { reply: "550 5.1.1 No such user" } : null));
    const { id: messageId } = await answer(id, { text: "Here" });
    await becomes(messageId, "failed");
    expect(await inbox.ok("GET", `/messages/${messageId}`)).toMatchObject({
      error: expect.stringContaining("No such user"),
      campaignId: null,
      runId: null,
    });
    expect(await inbox.ok("GET", `/conversations/${id}`)).toMatchObject({ status: "open" });
    sink.script(null);
    expect(await inbox.ok("POST", `/messages/${messageId}/retry`)).toMatchObject({ status: "queued" });
    await becomes(messageId, "sent");
    expect(sink.accepted()).toHaveLength(1);
  });

  test("that bounces suppresses the address, and no other is written", async () => {
    const id = await mailFrom("ann@example.com");
    const { id: messageId } = await answer(id, { text: "Here" });
    await becomes(messageId, "sent");
    const data = { bounceType: "Permanent", suppress: "bounce", diagnosticCode: "550 no" };
    await inbox.happen(id, messageId, "message_bounced", { data });
    expect(await inbox.ok("GET", `/conversations/${id}`)).toMatchObject({
      lastMessage: { id: messageId, status: "bounced" },
    });
    const { status, body } = await inbox.ask("POST", `/conversations/${id}/messages`, { text: "Here" });
    expect([status, body.detail]).toEqual([409, expect.stringContaining("has bounced")]);
  });

  test("of which nobody knows whether it arrived is sent again by a person only", async () => {
    const id = await mailFrom("ann@example.com");
    sink.script(({ at }) => (at === "data" ? "drop" : null));
    const { id: messageId } = await answer(id, { text: "Here" });
    await becomes(messageId, "uncertain");
    sink.script(null);
    const other = await answer(await mailFrom("bob@example.com"), { text: "Another" });
    await becomes(other.id, "sent");
    expect(sink.received.map(({ to }) => to)).toEqual(["ann@example.com", "bob@example.com"]);
    await inbox.ok("POST", `/messages/${messageId}/retry`);
    await becomes(messageId, "sent");
    expect(sink.accepted().map(({ to }) => to)).toEqual(["bob@example.com", "ann@example.com"]);
  });
});

describe("an answer in Telegram", () => {
  test("quotes what it answers, and what is answered to it by quoting it is matched to it", async () => {
    const id = await chatFrom(11, { text: "Where is it?" });
    const [question] = (await inbox.ok("GET", `/conversations/${id}/messages`)).items;
    const body = { text: "1 < 2", replyToMessageId: question?.id };
    const { id: messageId } = await answer(id, body);
    await becomes(messageId, "delivered");
    expect(sends().map(({ params }) => params)).toEqual([
      {
        chat_id: ANN.id,
        parse_mode: "HTML",
        text: "1 &lt; 2",
        link_preview_options: { is_disabled: true },
        reply_parameters: { message_id: 11, allow_sending_without_reply: true },
      },
    ]);
    const { providerMessageId } = await inbox.ok("GET", `/messages/${messageId}`);
    await chatFrom(12, { text: "Thanks", reply_to_message: { message_id: Number(providerMessageId) } });
    const said = (await inbox.ok("GET", `/conversations/${id}/messages`)).items;
    expect(said).toContainEqual(expect.objectContaining({ text: "Thanks", replyToMessageId: messageId }));
    const stored = (await inbox.bubbles()).find(({ text }) => text === "Thanks");
    expect(stored).toMatchObject({ answersMessageId: messageId, matchedBy: "reply", campaignId: null });
  });

  test("goes after the one that was written before it, however fast they were", async () => {
    const id = await chatFrom(41);
    const texts = ["one", "two", "three"];
    const answers = [];
    for (const text of texts) answers.push(await answer(id, { text }));
    for (const { id: messageId } of answers) await becomes(messageId, "delivered");
    expect(sends().map(({ params }) => params.text)).toEqual(texts);
  });

  test("that the person blocked meanwhile fails, and no other can be written", async () => {
    const id = await chatFrom(21);
    const description = "Forbidden: bot was blocked by the user";
    telegram.answerChat(ANN.id, { code: 403, description });
    const { id: messageId } = await answer(id, { text: "Here" });
    await becomes(messageId, "failed");
    telegram.answerChat(ANN.id, null);
    const { status, body } = await inbox.ask("POST", `/conversations/${id}/messages`, { text: "Here" });
    expect([status, body.detail]).toEqual([409, expect.stringContaining("has blocked the bot")]);
  });
});

describe("whoever does not want campaigns", () => {
  test("and wrote is answered", async () => {
    const id = await mailFrom("ann@example.com");
    await suppress("email", "ann@example.com", "unsubscribe");
    const { id: messageId } = await answer(id, { text: "Here" });
    await becomes(messageId, "sent");
    const chat = await chatFrom(31);
    await suppress("telegram", String(ANN.id), "unsubscribe");
    await becomes((await answer(chat, { text: "Here" })).id, "delivered");
  });

  test.each([
    ["bounce", "has bounced"],
    ["complaint", "as spam"],
    ["blocked", "blocked the bot"],
    ["manual", "your suppression list"],
  ])(
    "because of %s is not answered, and it is said why, also when that comes in between",
    async (reason, why) => {
      const id = await mailFrom("ann@example.com");
      await sending.stop();
      const { id: messageId } = await answer(id, { text: "Here" });
      await suppress("email", "ann@example.com", reason);
      const refused = await inbox.ask("POST", `/conversations/${id}/messages`, { text: "Here" });
      expect([refused.status, refused.body.detail]).toEqual([409, expect.stringContaining(why)]);
      sending = startSending(inbox.database);
      await becomes(messageId, "suppressed");
      expect(await inbox.ok("GET", `/messages/${messageId}`)).toMatchObject({ error: reason });
      expect(sink.received).toEqual([]);
    },
  );
});

test("an answer goes out before what is left of a thousand messages of a campaign", async () => {
  const { db } = inbox.database;
  const customerId = inbox.customer.id;
  const id = await mailFrom("ann@example.com");
  const hello = {
    id: "hello",
    type: "message",
    channel: "email",
    credentialId: mailId,
    subject: "Hi",
    html: "Hi",
  };
  const campaign = await createCampaign(db, customerId, { nodes: [hello], edges: [] });
  const contactIds = await createContacts(db, customerId, 1_000);
  await enroll(db, campaign, { contactIds });
  await projectAll(db);
  sending.sender.wake();
  await sink.until(50);
  const { id: messageId } = await answer(id, { text: "Here" });
  const before = sink.received.length;
  await becomes(messageId, "sent");
  const place = sink.received.findIndex(({ to }) => to === "ann@example.com");
  // What was in hand already comes before it.
  expect(place).toBeLessThanOrEqual(before + 2 * IN_HAND);
});
