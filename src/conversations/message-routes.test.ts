import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import { createInbox, type Inbox } from "../../test/support/conversations.ts";
import { sendInTelegram } from "../../test/support/telegram-campaign.ts";
import { ANN, messageUpdate, reactionUpdate, standingUpdate } from "../../test/support/telegram-edge.ts";
import { newId } from "../events/id.ts";
import { findReply } from "./reply-queries.ts";

const BEGIN = 1_790_000_000;

let inbox: Inbox;

beforeAll(async () => {
  inbox = await createInbox();
});
afterAll(() => inbox.close());
beforeEach(() => inbox.forget());

/** Somebody writes to the bot. @returns his conversation */
async function write(number: number, message: object = {}): Promise<string> {
  expect((await inbox.post(messageUpdate(number, { date: BEGIN + number, ...message }))).status).toBe(200);
  await inbox.project();
  const contacts = await inbox.contacts();
  return contacts.find(({ chatId }) => chatId === ANN.id)?.id ?? "";
}

const said = async (id: string, query = "") =>
  (await inbox.ok("GET", `/conversations/${id}/messages${query}`)).items;
const answer = (id: string, body: object) => inbox.ask("POST", `/conversations/${id}/messages`, body);
const stored = (messageId: string) => findReply(inbox.database.db, inbox.customer.id, messageId);
const reasonOf = ({ status, body }: Awaited<ReturnType<typeof answer>>) => [
  status,
  body.errors[0]?.field,
  body.detail,
];

describe("what was said", () => {
  test("is there page by page in the order it was said, whatever order it came in", async () => {
    let id = "";
    for (const number of [4, 1, 5, 3, 2]) id = await write(number, { text: `number ${number}` });
    const texts: unknown[] = [];
    let cursor = "";
    do {
      const page = await inbox.ok("GET", `/conversations/${id}/messages?limit=2${cursor}`);
      texts.push(...page.items.map(({ text }) => text));
      cursor = page.nextCursor === null ? "" : `&cursor=${page.nextCursor}`;
    } while (cursor !== "");
    expect(texts).toEqual([5, 4, 3, 2, 1].map((number) => `number ${number}`));
    expect((await inbox.ok("GET", "/conversations")).items[0]?.lastMessage).toMatchObject({
      text: "number 5",
    });
  });

  test("has a photo's place to fetch it from and no id of Telegram's, formatting, edits, reactions and quotes", async () => {
    const id = await write(1, { text: "bold", entities: [{ type: "bold", offset: 0, length: 4 }] });
    const photo = [{ file_id: "SECRETFILE", file_unique_id: "u", width: 90, height: 60, file_size: 1000 }];
    const answered = { reply_to_message: { message_id: 1 }, date: BEGIN + 2, text: undefined };
    await inbox.post(messageUpdate(2, { photo, caption: "Look", media_group_id: "album", ...answered }));
    await inbox.post(
      messageUpdate(
        3,
        { message_id: 1, text: "edited", edit_date: BEGIN + 9, date: BEGIN + 1 },
        "edited_message",
      ),
    );
    await inbox.post(reactionUpdate(4, 1, ["👍"]));
    await inbox.project();
    const [newest, oldest] = await said(id);
    expect(JSON.stringify([newest, oldest])).not.toContain("SECRETFILE");
    expect(newest).toMatchObject({
      direction: "inbound",
      channel: "telegram",
      text: "Look",
      mediaGroupId: "album",
      replyToMessageId: oldest?.id,
      media: [
        { index: 0, type: "photo", bytes: 1000, width: 90, url: `/api/v1/messages/${newest?.id}/media/0` },
      ],
    });
    expect(oldest).toMatchObject({
      text: "edited",
      editedAt: new Date((BEGIN + 9) * 1000).toISOString(),
      reactions: [{ fromId: ANN.id, reactions: ["👍"], at: new Date((BEGIN + 100) * 1000).toISOString() }],
    });
    const message = await inbox.ok("GET", `/messages/${newest?.id}`);
    expect(message).toMatchObject({
      received: null,
      telegram: { kind: "photo", text: "Look", telegramMessageId: 2, media: [{ type: "photo" }] },
    });
    const listed = await inbox.ok("GET", `/messages?contactId=${id}`);
    expect(listed.items).toMatchObject([{ telegram: { kind: "photo" } }, { telegram: { text: "edited" } }]);
  });

  test("has what a campaign sent, and leaves it out as long as it is not", async () => {
    const id = await write(1);
    await sendInTelegram(inbox, {
      contactId: id,
      chatId: ANN.id,
      number: 500,
      sentAt: new Date((BEGIN + 5) * 1000),
    });
    await sql`
      insert into message (customer_id, id, direction, channel, campaign_id, contact_id, credential_id, to_address)
      values (${inbox.customer.id}, ${newId()}, 'outbound', 'email', ${newId()}, ${id}, ${inbox.smtpId}, '')`.execute(
      inbox.database.db,
    );
    expect(await said(id)).toMatchObject([
      { direction: "outbound", html: "Hi", nodeId: "hello", status: "delivered", author: null },
      { direction: "inbound", text: "hello" },
    ]);
    expect((await inbox.ok("GET", "/conversations")).items[0]?.lastMessage).toMatchObject({
      direction: "inbound",
    });
  });

  test("has mails with who wrote them, and Telegram's messages between them", async () => {
    const id = await inbox.addContact({ email: "ann@example.com", telegramChatId: ANN.id });
    const attachments = [{ name: "a.pdf", contentType: "application/pdf", bytes: 12 }];
    await inbox.receiveMail(id, { at: new Date((BEGIN + 1) * 1000), attachments, html: "<p>Hello?</p>" });
    await write(2);
    await inbox.receiveMail(id, { at: new Date((BEGIN + 3) * 1000), text: "Me again" });
    await inbox.project();
    expect(await said(id)).toMatchObject([
      { channel: "email", text: "Me again" },
      { channel: "telegram", text: "hello", from: null },
      {
        channel: "email",
        subject: "Question",
        attachments,
        hasHtml: true,
        from: { address: "ann@example.com" },
      },
    ]);
  });
});

describe("an answer in Telegram", () => {
  test("goes to the chat and through the bot that the person wrote to, and is there at once", async () => {
    const id = await write(1);
    const { status, body } = await answer(id, { text: " 1 < 2 & 3 ", author: "Maria" });
    expect(status).toBe(202);
    expect(body).toMatchObject({
      direction: "outbound",
      channel: "telegram",
      status: "queued",
      to: String(ANN.id),
      credentialId: inbox.credentialId,
      text: "1 < 2 & 3",
      author: "Maria",
      replyToMessageId: null,
      campaignId: null,
    });
    expect((await said(id))[0]).toEqual(body);
    await inbox.project();
    expect((await inbox.ok("GET", "/conversations")).items).toMatchObject([
      { unread: 1, lastMessage: { id: body.id, text: "1 < 2 & 3", status: "queued" } },
    ]);
  });

  test("may quote what the person wrote", async () => {
    const id = await write(7);
    const [quoted] = await said(id);
    const { body } = await answer(id, { text: "Yes", replyToMessageId: quoted?.id });
    expect(body.replyToMessageId).toBe(String(quoted?.id));
    expect(await stored(body.id)).toMatchObject({ telegramReplyTo: 7, channel: "telegram" });
  });

  test("begins a conversation with somebody who has a chat and did not write", async () => {
    const id = await inbox.addContact({ telegramChatId: 4242 });
    expect((await answer(id, { text: "Welcome" })).status).toBe(202);
    await inbox.project();
    expect((await inbox.ok("GET", "/conversations")).items).toMatchObject([
      { id, unread: 0, status: "open" },
    ]);
  });

  test("that fails says why, opens the conversation, and is sent again when somebody wants it", async () => {
    const id = await write(1);
    const { body } = await answer(id, { text: "Yes" });
    await inbox.ok("PATCH", `/conversations/${id}`, { status: "closed" });
    await inbox.happen(id, body.id, "message_failed", { data: { reason: "Forbidden: bot was blocked" } });
    expect((await said(id))[0]).toMatchObject({ status: "failed", error: "Forbidden: bot was blocked" });
    expect(await inbox.ok("GET", `/conversations/${id}`)).toMatchObject({
      status: "open",
      lastMessage: { id: body.id, status: "failed" },
    });
    expect(await inbox.ok("POST", `/messages/${body.id}/retry`)).toMatchObject({
      status: "queued",
      error: null,
    });
    expect((await inbox.ask("POST", `/messages/${body.id}/retry`)).status).toBe(409);
    await inbox.happen(id, body.id, "message_sent", { at: new Date(Date.now() + 1000) });
    expect((await said(id))[0]).toMatchObject({ status: "sent", error: null });
    await inbox.ok("PATCH", `/conversations/${id}`, { status: "closed" });
    await inbox.happen(id, body.id, "message_delivered");
    expect(await inbox.ok("GET", `/conversations/${id}`)).toMatchObject({ status: "closed" });
  });

  test("is refused where the person blocked the bot, and allowed where he said /stop", async () => {
    const id = await write(1);
    await write(2, { text: "/stop" });
    expect((await answer(id, { text: "Sorry to see you go" })).status).toBe(202);
    await inbox.post(standingUpdate(3, "kicked", BEGIN + 3));
    await inbox.project();
    const [status, , detail] = reasonOf(await answer(id, { text: "Hello?" }));
    expect([status, detail]).toEqual([409, expect.stringContaining("blocked the bot")]);
  });

  test.each([
    [{ text: "x".repeat(4097) }, 400, "text"],
    [{ text: " \n " }, 400, "text"],
    [{ text: "a\u0007" }, 400, "text"],
    [{ text: "Hi", subject: "Hi" }, 400, "subject"],
    [{ text: "Hi", channel: "email" }, 422, "channel"],
    [{ text: "Hi", replyToMessageId: newId() }, 422, "replyToMessageId"],
    [{ text: "Hi", credentialId: newId() }, 422, "credentialId"],
    [{ text: "Hi", html: "<b>" }, 400, "html"],
  ])("is refused as %j", async (body, status, field) => {
    const id = await write(1);
    const refused = await answer(id, body);
    expect([refused.status, refused.body.errors[0]?.field]).toEqual([status, field]);
    expect(await said(id)).toHaveLength(1);
  });

  test("asks which bot, where the person wrote to none of several", async () => {
    const other = await inbox.createBot(7_100_000_002);
    const id = await inbox.addContact({ telegramChatId: 4242 });
    expect(reasonOf(await answer(id, { text: "Hi" }))).toMatchObject([
      422,
      "credentialId",
      expect.any(String),
    ]);
    expect((await answer(id, { text: "Hi", credentialId: other })).body.credentialId).toBe(other);
    await sql`delete from credential where id = ${other}`.execute(inbox.database.db);
  });

  test("posted twice with one key is one", async () => {
    const id = await write(1);
    const headers = { "Idempotency-Key": newId() };
    const post = () =>
      inbox.call("POST", `/api/v1/conversations/${id}/messages`, { body: { text: "Once" }, headers });
    const [first, second] = [await post(), await post()];
    expect([first.status, second.status]).toEqual([202, 202]);
    expect(second.body).toEqual(first.body);
    expect(await said(id)).toHaveLength(2);
  });
});

describe("an answer by email", () => {
  test("answers the last mail where it came from, in its thread and under its subject", async () => {
    const id = await inbox.addContact({ email: "ann@example.com" });
    await inbox.receiveMail(id, { subject: "older" });
    const mail = await inbox.receiveMail(id, {
      subject: "RE: AW: Prices",
      fromAddress: "ann@work.example",
      messageIdHeader: "<m2@mail.example>",
      references: ["<ours@example.com>", "<first@example.com>"],
    });
    const { status, body } = await answer(id, { text: "They are\n\nlow." });
    expect(status).toBe(202);
    expect(body).toMatchObject({
      channel: "email",
      to: "ann@work.example",
      credentialId: inbox.smtpId,
      subject: "Re: Prices",
      replyToMessageId: mail,
    });
    expect(await stored(body.id)).toMatchObject({
      inReplyTo: "<m2@mail.example>",
      references: ["<first@example.com>", "<ours@example.com>", "<m2@mail.example>"],
    });
  });

  test("may answer an older mail, and have another subject", async () => {
    const id = await inbox.addContact({ email: "ann@example.com" });
    const older = await inbox.receiveMail(id, { messageIdHeader: "<old@mail.example>" });
    await inbox.receiveMail(id);
    const { body } = await answer(id, { text: "Hi", subject: "Another thing", replyToMessageId: older });
    expect(body).toMatchObject({ subject: "Another thing", replyToMessageId: older });
    expect(await stored(body.id)).toMatchObject({ inReplyTo: "<old@mail.example>" });
  });

  test("needs a subject where there is nothing to answer", async () => {
    const id = await inbox.addContact({ email: "ann@example.com" });
    expect(reasonOf(await answer(id, { text: "Hi" }))).toMatchObject([422, "subject", expect.any(String)]);
    const { status, body } = await answer(id, { text: "Hi", subject: "Your order" });
    expect([status, body.to, body.subject]).toEqual([202, "ann@example.com", "Your order"]);
  });

  test("goes to whoever wrote last by the channel he used last, or by the one that is asked for", async () => {
    const id = await inbox.addContact({ email: "ann@example.com", telegramChatId: ANN.id });
    await inbox.receiveMail(id, { at: new Date((BEGIN + 1) * 1000) });
    await write(2);
    expect((await answer(id, { text: "Hi" })).body.channel).toBe("telegram");
    expect((await answer(id, { text: "Hi", channel: "email" })).body).toMatchObject({
      subject: "Re: Question",
    });
    await inbox.receiveMail(id, { at: new Date((BEGIN + 3) * 1000) });
    expect((await answer(id, { text: "Hi" })).body.channel).toBe("email");
  });

  test("never answers a machine", async () => {
    const id = await inbox.addContact({ email: "ann@example.com" });
    await inbox.receiveMail(id, { kind: "delivery_report", fromAddress: "mailer-daemon@example.com" });
    const { body } = await answer(id, { text: "Hi", subject: "Hi" });
    expect(body).toMatchObject({ to: "ann@example.com", replyToMessageId: null });
  });

  test("is refused to an address that bounced; who unsubscribed is answered if he wrote", async () => {
    const id = await inbox.addContact({ email: "ann@example.com" });
    const suppress = (reason: string) =>
      sql`
        insert into suppression (customer_id, channel, address, reason)
        values (${inbox.customer.id}, 'email', 'ann@example.com', ${reason})`.execute(inbox.database.db);
    await suppress("unsubscribe");
    const body = { text: "Hi", subject: "Hi" };
    expect((await answer(id, body)).body.detail).toContain("has unsubscribed");
    await inbox.receiveMail(id);
    expect((await answer(id, body)).status).toBe(202);
    await suppress("bounce");
    expect(reasonOf(await answer(id, body))).toMatchObject([
      409,
      undefined,
      expect.stringContaining("bounced"),
    ]);
  });
});
