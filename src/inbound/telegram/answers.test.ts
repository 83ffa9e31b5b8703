import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import { listFirings, listRuns } from "../../../test/support/campaigns.ts";
import { startTelegram } from "../../../test/support/telegram.ts";
import { type SendingInTelegram, sendInTelegram } from "../../../test/support/telegram-campaign.ts";
import {
  ANN,
  createTelegramEdge,
  messageUpdate,
  pressUpdate,
  SECRET,
  type TelegramEdge,
} from "../../../test/support/telegram-edge.ts";
import { newId } from "../../events/id.ts";
import { TEST_CALLBACK, UNSUBSCRIBE_CALLBACK } from "../../telegram/callback.ts";

const SENT_AT = 1_790_000_000;
const DAY_S = 24 * 60 * 60;
const NUMBER = 500;

let edge: TelegramEdge;
let contactId: string;

beforeAll(async () => {
  edge = await createTelegramEdge();
});
afterAll(() => edge.close());
beforeEach(async () => {
  await edge.forget();
  edge.setTime(new Date((SENT_AT + 60) * 1_000));
  contactId = newId();
  await sql`
    insert into contact (customer_id, id, email, telegram_chat_id)
    values (${edge.customer.id}, ${contactId}, 'ann@example.com', ${ANN.id})`.execute(edge.database.db);
});

const send = (more: Partial<SendingInTelegram> = {}) =>
  sendInTelegram(edge, {
    contactId,
    chatId: ANN.id,
    number: NUMBER,
    sentAt: new Date(SENT_AT * 1_000),
    ...more,
  });

/** What somebody writes a minute after he was sent something. */
const answer = (updateId: number, more: object = {}) =>
  messageUpdate(updateId, { date: SENT_AT + 60, text: "Yes, please", ...more });
const replyTo = (number: number) => ({ reply_to_message: { message_id: number } });

async function tell(...updates: object[]): Promise<void> {
  for (const update of updates) expect((await edge.post(update)).status).toBe(200);
  await edge.project();
}

const firedIn = async (campaignId: string) =>
  (await listFirings(edge.database.db, campaignId)).get(contactId) ?? [];
const outputIn = async (campaignId: string) =>
  (await listRuns(edge.database.db, campaignId)).find(({ nodeId }) => nodeId === "hello")?.output;

async function countersOf(campaignId: string) {
  const { rows } = await sql<{ type: string; total: number; unique: number }>`
    select type, sum(total)::int as total, sum(unique_total)::int as unique from counter
    where campaign_id = ${campaignId} and node_id = 'hello' group by type order by type`.execute(
    edge.database.db,
  );
  return Object.fromEntries(rows.map(({ type, total, unique }) => [type, [total, unique]]));
}

describe("a message in a private chat", () => {
  test("that replies to a campaign's is its answer: output, edge and counters say so", async () => {
    const { campaignId, runId, messageId } = await send();
    await tell(answer(1, replyTo(NUMBER)), answer(2, replyTo(NUMBER)));
    expect(await edge.bubbles()).toMatchObject([
      { answersMessageId: messageId, matchedBy: "reply", campaignId },
      { answersMessageId: messageId, matchedBy: "reply", campaignId },
    ]);
    const [event] = (await edge.events()).filter(({ type }) => type === "message_received");
    expect(event).toMatchObject({
      campaignId,
      runId,
      contactId,
      data: { matchedBy: "reply", answersMessageId: messageId },
    });
    expect(await outputIn(campaignId)).toMatchObject({
      replied: true,
      repliedAt: "2026-09-21T14:14:20+00:00",
    });
    expect(await firedIn(campaignId)).toEqual(["replied"]);
    expect(await countersOf(campaignId)).toMatchObject({
      message_received: [2, 1],
      message_delivered: [1, 1],
    });
  });

  test("that replies to nothing answers what the bot sent there last before it was written", async () => {
    const first = await send();
    const second = await send({ number: NUMBER + 1, sentAt: new Date((SENT_AT + 30) * 1_000) });
    const later = await send({ number: NUMBER + 2, sentAt: new Date((SENT_AT + 90) * 1_000) });
    await tell(answer(1));
    expect(await edge.bubbles()).toMatchObject([{ answersMessageId: second.messageId, matchedBy: "sender" }]);
    expect(await firedIn(first.campaignId)).toEqual([]);
    expect(await firedIn(second.campaignId)).toEqual(["replied"]);
    expect(await firedIn(later.campaignId)).toEqual([]);
  });

  test("that replies to an older campaign's message is that one's answer", async () => {
    const first = await send();
    const second = await send({ number: NUMBER + 1, sentAt: new Date((SENT_AT + 30) * 1_000) });
    await tell(answer(1, replyTo(NUMBER)));
    expect([await firedIn(first.campaignId), await firedIn(second.campaignId)]).toEqual([["replied"], []]);
  });

  test("answers nothing that was sent more than thirty days before, by another bot or in another chat", async () => {
    const { campaignId } = await send();
    const other = await edge.createBot(edge.botId + 1);
    const update = answer(1);
    expect((await edge.post(update, { credentialId: other })).status).toBe(200);
    edge.setTime(new Date((SENT_AT + 40 * DAY_S) * 1_000));
    await tell(
      answer(2, { date: SENT_AT + 31 * DAY_S }),
      answer(3, { from: { ...ANN, id: 77 }, chat: { id: 77, type: "private" } }),
    );
    expect((await edge.bubbles()).map(({ answersMessageId }) => answersMessageId)).toEqual([
      null,
      null,
      null,
    ]);
    expect(await firedIn(campaignId)).toEqual([]);
  });

  test("that replies to what a person sent answers that, and no campaign", async () => {
    const { campaignId } = await send();
    const person = await send({ number: NUMBER + 1 });
    await sql`
      update message set campaign_id = null, run_id = null where id = ${person.messageId}`.execute(
      edge.database.db,
    );
    await tell(answer(1, replyTo(NUMBER + 1)));
    expect(await edge.bubbles()).toMatchObject([
      { answersMessageId: person.messageId, matchedBy: "reply", campaignId: null },
    ]);
    expect(await firedIn(campaignId)).toEqual([]);
  });

  test("that was a command and is changed into words becomes an answer, whichever is told first", async () => {
    const { campaignId } = await send();
    const written = { message_id: 7, date: SENT_AT + 60 };
    const command = answer(1, { ...written, text: "/help" });
    const changed = { ...written, text: "I mean: yes", edit_date: SENT_AT + 90 };
    const edit = messageUpdate(2, changed, "edited_message");
    for (const updates of [
      [command, edit],
      [edit, command],
    ]) {
      await sql`delete from inbound_seen`.execute(edge.database.db);
      await sql`delete from message where direction = 'inbound'`.execute(edge.database.db);
      await tell(...updates);
      expect(await edge.bubbles()).toMatchObject([{ text: "I mean: yes", matchedBy: "sender", campaignId }]);
    }
  });

  test("that is a command is no answer", async () => {
    const { campaignId } = await send();
    await tell(answer(1, { text: "/start" }), answer(2, { text: "/help", ...replyTo(NUMBER) }));
    expect(await edge.bubbles()).toMatchObject([
      { answersMessageId: null, matchedBy: null, campaignId: null },
      { answersMessageId: null, matchedBy: null, campaignId: null },
    ]);
    expect(await firedIn(campaignId)).toEqual([]);
  });

  test("ends the enrollment where the campaign says that an answer does", async () => {
    const { campaignId } = await send({ exitOn: ["replied"] });
    await tell(answer(1));
    const { rows } = await sql`
      select status, completed_reason as reason from enrollment where campaign_id = ${campaignId}`.execute(
      edge.database.db,
    );
    expect(rows).toEqual([{ status: "completed", reason: "replied" }]);
    expect(await firedIn(campaignId)).toEqual([]);
  });

  test("is the same answer whichever of it and its edit is told first", async () => {
    const { campaignId, messageId } = await send();
    const edited = { message_id: 1, edit_date: SENT_AT + 70, text: "Yes!" };
    await tell(messageUpdate(2, { date: SENT_AT + 60, ...edited }, "edited_message"));
    expect(await firedIn(campaignId)).toEqual([]);
    await tell(answer(1));
    expect(await edge.bubbles()).toMatchObject([{ text: "Yes!", answersMessageId: messageId, campaignId }]);
    expect(await firedIn(campaignId)).toEqual(["replied"]);
  });
});

test("in a group only what replies to a message is its answer", async () => {
  const chat = { id: -1_001_987_654_321, type: "supergroup" };
  await sql`update contact set telegram_chat_id = ${chat.id} where id = ${contactId}`.execute(
    edge.database.db,
  );
  const { campaignId } = await send({ chatId: chat.id });
  await tell(answer(1, { chat }));
  expect(await firedIn(campaignId)).toEqual([]);
  await tell(answer(2, { chat, ...replyTo(NUMBER) }));
  expect(await firedIn(campaignId)).toEqual(["replied"]);
});

describe("who wants nothing more", () => {
  const suppressed = [{ address: String(ANN.id), reason: "unsubscribe" }];
  const unsubscribed = async () => (await edge.events()).filter(({ type }) => type === "unsubscribed");

  test("and writes /stop is unsubscribed by what he was sent last, which he did not answer", async () => {
    const { campaignId, runId } = await send();
    await tell(answer(1, { text: "/stop" }));
    expect(await edge.suppressions()).toEqual(suppressed);
    expect(await unsubscribed()).toMatchObject([
      { campaignId, runId, contactId, data: { channel: "telegram", via: "telegram", chatId: ANN.id } },
    ]);
    expect(await outputIn(campaignId)).toMatchObject({ unsubscribed: true });
    expect(await firedIn(campaignId)).toEqual(["unsubscribed"]);
    expect(await countersOf(campaignId)).toMatchObject({ unsubscribed: [1, 1] });
  });

  test("and presses the button is unsubscribed by its message, at once, and told so", async () => {
    const older = await send();
    const newer = await send({ number: NUMBER + 1 });
    const response = await edge.post(pressUpdate(1, UNSUBSCRIBE_CALLBACK, NUMBER));
    expect([response.status, await response.json()]).toEqual([
      200,
      { method: "answerCallbackQuery", callback_query_id: "438231", text: "You are unsubscribed." },
    ]);
    expect(await edge.suppressions()).toEqual(suppressed);
    await edge.project();
    const { campaignId, runId, messageId } = older;
    expect(await unsubscribed()).toMatchObject([
      {
        campaignId,
        runId,
        messageId,
        contactId,
        data: { channel: "telegram", via: "button", chatId: ANN.id },
      },
    ]);
    expect(await firedIn(campaignId)).toEqual(["unsubscribed"]);
    expect(await firedIn(newer.campaignId)).toEqual([]);
    expect(await edge.kept()).toEqual([]);
  });

  test("is unsubscribed by the button of a message that nobody knows any more, too", async () => {
    await tell(pressUpdate(1, UNSUBSCRIBE_CALLBACK, 12));
    expect(await edge.suppressions()).toEqual(suppressed);
    expect(await unsubscribed()).toMatchObject([{ campaignId: null, messageId: null, contactId }]);
  });

  test("leaves the campaign where it says so", async () => {
    const { campaignId } = await send({ exitOn: ["unsubscribed"] });
    await tell(pressUpdate(1, UNSUBSCRIBE_CALLBACK, NUMBER));
    const { rows } = await sql`
      select status, completed_reason as reason from enrollment where campaign_id = ${campaignId}`.execute(
      edge.database.db,
    );
    expect(rows).toEqual([{ status: "completed", reason: "unsubscribed" }]);
  });
});

describe("a pressed button", () => {
  const answerOf = async (update: object) => (await edge.post(update)).json();

  test("is answered again when it is told again, and counts once", async () => {
    await send();
    const press = pressUpdate(1, UNSUBSCRIBE_CALLBACK, NUMBER);
    const answers = [await answerOf(press), await answerOf(press), await answerOf(press)];
    expect(new Set(answers.map((one) => JSON.stringify(one))).size).toBe(1);
    expect(answers[0]).toHaveProperty("text", "You are unsubscribed.");
    expect((await edge.events()).filter(({ type }) => type === "unsubscribed").length).toBe(1);
  });

  test("of a test message is told that it is one, and nothing comes of it", async () => {
    await send();
    expect(await answerOf(pressUpdate(1, TEST_CALLBACK, NUMBER))).toHaveProperty(
      "text",
      "This is a test message. Nothing has changed.",
    );
    expect(await edge.suppressions()).toEqual([]);
    expect((await edge.events()).filter(({ type }) => type === "unsubscribed")).toEqual([]);
  });

  test("that is none of ours is answered without a word, and kept", async () => {
    expect(await answerOf(pressUpdate(1, "something else", NUMBER))).toEqual({
      method: "answerCallbackQuery",
      callback_query_id: "438231",
    });
    expect(await edge.kept()).toMatchObject([{ updateId: "1", name: "callback_query", status: "ignored" }]);
    expect(await edge.suppressions()).toEqual([]);
  });

  test.each([
    ["a group", { message: { message_id: 1, chat: { id: -100, type: "supergroup" } } }],
    ["another's chat", { message: { message_id: 1, chat: { id: 77, type: "private" } } }],
    ["nowhere", { message: undefined }],
  ])("unsubscribes nobody when it is forged from %s", async (_, more) => {
    expect(await answerOf(pressUpdate(1, UNSUBSCRIBE_CALLBACK, NUMBER, more))).not.toHaveProperty("text");
    expect(await edge.suppressions()).toEqual([]);
    expect((await edge.kept()).length).toBe(1);
  });

  test.each([
    ['1","method":"sendMessage'],
    ["4382bfdwdsb323b2d9"],
    [""],
    ["9".repeat(30)],
    ["-1"],
    ["\u0661"],
  ])("whose query has no number is answered with an object that calls nothing: %j", async (id) => {
    expect(await answerOf(pressUpdate(1, UNSUBSCRIBE_CALLBACK, NUMBER, { id }))).toEqual({});
  });

  test("is told nothing that did not happen", async () => {
    const { db } = edge.database;
    await sql`
      create function refuse_chat() returns trigger language plpgsql as $$
        begin raise exception 'no' using errcode = '22000'; end $$`.execute(db);
    await sql`
      create trigger refuse before insert on suppression for each row execute function refuse_chat()`.execute(
      db,
    );
    expect(await answerOf(pressUpdate(1, UNSUBSCRIBE_CALLBACK, NUMBER))).toEqual({
      method: "answerCallbackQuery",
      callback_query_id: "438231",
    });
    await sql`drop trigger refuse on suppression`.execute(db);
    expect(await edge.kept()).toMatchObject([{ status: "odd" }]);
  });
});

test("Telegram carries the answer out, also when the first one got lost on its way", async () => {
  const { campaignId } = await send();
  let losses = 1;
  const telegram = await startTelegram({
    async deliver(url, init) {
      const response = await edge.app.request(new URL(url).pathname, init, { ip: null });
      losses -= 1;
      if (losses >= 0) throw new Error("the connection broke");
      return response;
    },
  });
  const token = telegram.addBot({ id: edge.botId, username: "example_bot", name: "Example" });
  const url = `https://edgr.example.com/api/telegram/webhook/${edge.credentialId}`;
  const body = JSON.stringify({ url, secret_token: SECRET });
  await fetch(`${telegram.apiRoot}/bot${token}/setWebhook`, { method: "POST", body });
  telegram.push(token, pressUpdate(1, UNSUBSCRIBE_CALLBACK, NUMBER));
  await telegram.idle();
  await edge.project();
  expect(telegram.buttonAnswers).toEqual([{ queryId: "438231", text: "You are unsubscribed." }]);
  expect(await countersOf(campaignId)).toMatchObject({ unsubscribed: [1, 1] });
  await telegram.close();
});
