import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { setTimeout as pause } from "node:timers/promises";
import { sql } from "kysely";
import {
  createCampaign,
  createContacts,
  createCustomer,
  enroll,
  projectAll,
} from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { edge } from "../../test/support/graphs.ts";
import { listMessages, type MessageRow, type Sending, startSending } from "../../test/support/sending.ts";
import {
  type ApiError,
  startTelegram,
  type TelegramStandIn,
  testBotApi,
} from "../../test/support/telegram.ts";
import { addBot } from "../../test/support/telegram-bot.ts";
import { createEgress, type Egress } from "../egress/client.ts";
import { resolveBySystem } from "../egress/resolve.ts";

let database: TestDatabase;
let telegram: TelegramStandIn;
let egress: Egress;
let customerId: string;
let credentialId: string;
let token: string;
let running: Sending[];

beforeAll(async () => {
  database = await createTestDatabase();
  telegram = await startTelegram({ isLocal: true });
  egress = createEgress({ allow: ["127.0.0.0/8"], resolve: resolveBySystem });
});

afterAll(async () => {
  egress.close();
  await telegram.close();
  await database.close();
});

beforeEach(async () => {
  running = [];
  telegram.calls.length = 0;
  customerId = await createCustomer(database.db);
  ({ credentialId, token } = await addBot(database.db, customerId, telegram, 1_000));
});

afterEach(async () => {
  await Promise.all(running.map((sending) => sending.stop()));
  await sql`update campaign set status = 'paused' where status = 'active'`.execute(database.db);
});

const FOLLOWING = ["delivered", "failed", "always"] as const;

/** A running campaign of one message to the chats of as many contacts, queued. */
async function queue(chatIds: readonly (number | null)[], more: object = {}) {
  const message = {
    id: "hello",
    type: "message",
    channel: "telegram",
    credentialId,
    text: "Hi <b>{{ contact.attributes.firstName }}</b>",
    ...more,
  };
  const campaign = await createCampaign(database.db, customerId, {
    nodes: [message, ...FOLLOWING.map((id) => ({ id, type: "wait", duration: "P1D" }))],
    edges: FOLLOWING.map((id) => edge(id, "hello", id, id)),
  });
  const contactIds = await createContacts(database.db, customerId, chatIds.length);
  for (const [place, contactId] of contactIds.entries()) {
    await sql`
      update contact set telegram_chat_id = ${chatIds[place] ?? null}, attributes = '{"firstName": "Ann & Bo"}'
      where id = ${contactId}`.execute(database.db);
  }
  await enroll(database.db, campaign, { contactIds });
  await projectAll(database.db);
  return { ...campaign, contactIds };
}

function start(now: () => number = Date.now): Sending {
  const api = testBotApi({ apiRoot: telegram.apiRoot, egress });
  const sending = startSending(database, { api, now });
  running.push(sending);
  return sending;
}

const sends = () => telegram.calls.filter(({ method }) => method.startsWith("send"));

async function followed(campaignId: string): Promise<string[]> {
  const { rows } = await sql<{ edgeId: string }>`
    select f.edge_id as "edgeId" from edge_firing f
    join enrollment e on e.customer_id = f.customer_id and e.id = f.enrollment_id
    where e.campaign_id = ${campaignId} order by 1`.execute(database.db);
  return rows.map(({ edgeId }) => edgeId);
}

async function settle(campaignId: string, chats = 1): Promise<MessageRow[]> {
  await start().until(async () => {
    const messages = await listMessages(database, campaignId);
    return messages.length === chats && messages.every(({ status }) => status !== "queued");
  });
  await projectAll(database.db);
  return listMessages(database, campaignId);
}

describe("a message to a chat", () => {
  test("is sent as HTML with tracked buttons and no preview, and has been delivered by that", async () => {
    const buttons = [[{ text: "Buy", url: "https://example.com/buy" }]];
    const { campaignId } = await queue([4_001], { buttons });
    const [message] = await settle(campaignId);
    expect(message).toMatchObject({ to: "4001", status: "delivered", error: null, runStatus: "completed" });
    expect(message?.output).toMatchObject({ sent: true, delivered: true });
    const [{ params } = { params: {} }] = sends();
    expect(params).toMatchObject({
      chat_id: 4_001,
      parse_mode: "HTML",
      text: "Hi <b>Ann &amp; Bo</b>",
      link_preview_options: { is_disabled: true },
    });
    const keyboard = JSON.stringify(params);
    expect(keyboard).toContain("https://edgr.example.com/api/tracking/click?");
    expect(keyboard).toContain("edgr:unsubscribe");
    expect(await followed(campaignId)).toEqual(["always", "delivered"]);
  });

  test("is kept under the number that Telegram gave it, for answers to find", async () => {
    const { campaignId } = await queue([4_002]);
    const [message] = await settle(campaignId);
    const { rows } = await sql<{ chatId: number; number: number; html: string }>`
      select chat_id as "chatId", telegram_message_id as number, html from outbound_telegram
      where customer_id = ${customerId}`.execute(database.db);
    expect(rows).toEqual([
      { chatId: 4_002, number: Number(message?.providerMessageId), html: "Hi <b>Ann &amp; Bo</b>" },
    ]);
  });

  test("was sent when Telegram says so, by the clock that dates the answers to it", async () => {
    const { campaignId } = await queue([4_202]);
    await settle(campaignId);
    const { rows } = await sql<{ at: Date; kept: Date }>`
      select m.sent_at as at, o.sent_at as kept from message m
      join outbound_telegram o on o.customer_id = m.customer_id and o.message_id = m.id
      where m.campaign_id = ${campaignId}`.execute(database.db);
    expect(rows).toHaveLength(1);
    expect(rows[0]?.at.getMilliseconds()).toBe(0);
    expect(rows[0]?.at).toEqual(rows[0]?.kept);
  });

  test("fails for a contact without one, and nobody is asked", async () => {
    const { campaignId } = await queue([null]);
    const [message] = await settle(campaignId);
    expect(message).toMatchObject({ status: "failed", error: "The contact has no Telegram chat." });
    expect(sends()).toEqual([]);
    expect(await followed(campaignId)).toEqual(["always", "failed"]);
  });

  test("is not sent where the person does not want it in this channel, whatever is so of the other", async () => {
    const { campaignId } = await queue([4_003, 4_004]);
    await sql`
      insert into suppression (customer_id, channel, address, reason)
      values (${customerId}, 'telegram', '4003', 'unsubscribe'), (${customerId}, 'email', '4004', 'bounce')`.execute(
      database.db,
    );
    const messages = await settle(campaignId, 2);
    expect(messages.map(({ to, status }) => [to, status])).toEqual([
      ["4003", "suppressed"],
      ["4004", "delivered"],
    ]);
  });
});

describe("what Telegram answers (protocols 3.7)", () => {
  async function answered(chatId: number, error: ApiError): Promise<MessageRow | undefined> {
    telegram.answerChat(chatId, error);
    const { campaignId } = await queue([chatId]);
    const [message] = await settle(campaignId);
    telegram.answerChat(chatId, null);
    return message;
  }

  async function suppressed(): Promise<{ address: string; reason: string }[]> {
    const { rows } = await sql<{ address: string; reason: string }>`
      select address, reason from suppression where customer_id = ${customerId}`.execute(database.db);
    return rows;
  }

  test("403: it failed, and the chat is written to no more", async () => {
    const description = "Forbidden: bot was blocked by the user";
    expect(await answered(5_001, { code: 403, description })).toMatchObject({
      status: "failed",
      error: description,
    });
    expect(await suppressed()).toEqual([{ address: "5001", reason: "blocked" }]);
  });

  test.each(["Bad Request: chat not found", "Bad Request: can't parse entities: Unsupported start tag"])(
    "400 %s: it failed, and nobody is suppressed",
    async (description) => {
      expect(await answered(5_002, { code: 400, description })).toMatchObject({
        status: "failed",
        error: description,
      });
      expect(await suppressed()).toEqual([]);
    },
  );

  test("400 with another id: the group is followed to where it is now, and so is its contact", async () => {
    const parameters = { migrate_to_chat_id: -1_001_234_567_890 };
    const description = "Bad Request: group chat was upgraded to a supergroup chat";
    expect(await answered(-5_003, { code: 400, description, parameters })).toMatchObject({
      to: "-1001234567890",
      status: "delivered",
    });
    const { rows } = await sql<{ chatId: number }>`
      select telegram_chat_id as "chatId" from contact where customer_id = ${customerId}`.execute(
      database.db,
    );
    expect(rows).toEqual([{ chatId: -1_001_234_567_890 }]);
  });

  test("429: the whole bot rests as long as it was told to, and no attempt is counted", async () => {
    telegram.failNext("sendMessage", {
      code: 429,
      description: "Too Many Requests: retry after 600",
      parameters: { retry_after: 600 },
    });
    const { campaignId } = await queue([5_004]);
    const sending = start();
    const rests = async () => {
      const { rows } = await sql<{ seconds: number | null; status: string }>`
        select extract(epoch from rests_until - now())::float8 as seconds, status from credential
        where id = ${credentialId}`.execute(database.db);
      return rows[0];
    };
    await sending.until(async () => (await rests())?.seconds != null);
    await sending.stop();
    expect((await rests())?.seconds).toBeGreaterThan(500);
    expect((await rests())?.status).toBe("active");
    expect(await listMessages(database, campaignId)).toMatchObject([
      { status: "queued", attempts: 0, isClaimed: false },
    ]);
    await sql`update credential set rests_until = now() where id = ${credentialId}`.execute(database.db);
    expect(await settle(campaignId)).toMatchObject([{ status: "delivered", attempts: 1 }]);
    expect(sends()).toHaveLength(2);
  });

  test("401: the credential is failing and says so, and its messages wait", async () => {
    const { campaignId } = await queue([5_005]);
    telegram.revoke(token);
    const sending = start();
    const standing = async () => {
      const { rows } = await sql<{ status: string; reason: string }>`
        select status, status_reason as reason from credential where id = ${credentialId}`.execute(
        database.db,
      );
      return rows[0];
    };
    await sending.until(async () => (await standing())?.status === "failing");
    await sending.stop();
    expect((await standing())?.reason).toBe("Telegram refuses the bot's token: Unauthorized");
    expect(await listMessages(database, campaignId)).toMatchObject([{ status: "queued", attempts: 0 }]);
  });
});

test("two messages to one chat go a second apart, those to others at once", async () => {
  const { campaignId } = await queue([6_001, 6_002, 6_003]);
  await sql`
    update message set to_address = '6001' where campaign_id = ${campaignId} and to_address = '6003'`.execute(
    database.db,
  );
  let time = Date.now();
  const sending = start(() => time);
  const statuses = async () => (await listMessages(database, campaignId)).map(({ status }) => status);
  await sending.until(async () => (await statuses()).filter((status) => status === "delivered").length === 2);
  expect((await statuses()).toSorted()).toEqual(["delivered", "delivered", "queued"]);
  time += 1_000;
  await sending.until(async () => {
    sending.sender.wake();
    await pause(20);
    return (await statuses()).every((status) => status === "delivered");
  });
  expect(sends()).toHaveLength(3);
});
