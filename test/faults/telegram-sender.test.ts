import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { sql } from "kysely";
import { createCampaign, createContacts, createCustomer, enroll, projectAll } from "../support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { listMessages } from "../support/sending.ts";
import { startTelegram, type TelegramStandIn } from "../support/telegram.ts";
import { addBot } from "../support/telegram-bot.ts";

const SCRIPT = path.join(import.meta.dirname, "sending-process.ts");
const TIMEOUT_MS = 120_000;
const CONTACTS = 200;
const KILLS = 6;
const PER_SECOND = 24;
/** Half a second's worth. */
const IN_HAND = 12;

let database: TestDatabase;
let telegram: TelegramStandIn;
let children: ChildProcess[];
/** The chats of all messages that Telegram took, the oldest first. */
let taken: number[];
let onTaken: () => void;

beforeAll(async () => {
  children = [];
  taken = [];
  onTaken = () => {};
  database = await createTestDatabase();
  telegram = await startTelegram({
    isLocal: true,
    keep({ chatId }) {
      onTaken();
      return taken.push(chatId);
    },
  });
});

afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
});

afterAll(async () => {
  await telegram.close();
  await database.close();
});

/** A campaign of one message to the chats 1, 2, 3 …, queued. */
async function queue(): Promise<string> {
  const { db } = database;
  const customerId = await createCustomer(db);
  const { credentialId } = await addBot(db, customerId, telegram, PER_SECOND);
  const hello = { id: "hello", type: "message", channel: "telegram", credentialId, text: "Hi" };
  const campaign = await createCampaign(db, customerId, { nodes: [hello], edges: [] });
  await createContacts(db, customerId, CONTACTS);
  await sql`
    update contact c set telegram_chat_id = n.number
    from (select id, row_number() over (order by id) as number from contact where customer_id = ${customerId}) as n
    where c.id = n.id`.execute(db);
  await enroll(db, campaign, { all: true });
  await projectAll(db);
  return campaign.campaignId;
}

/**
 * Sends for real, and kills that when so many more messages were taken, before or a little after their bot is told so.
 * @returns whether all was sent, and nothing killed
 */
async function send(campaignId: string, killAfter: number): Promise<boolean> {
  const child = spawn(process.execPath, [SCRIPT, "send", database.url, campaignId, telegram.apiRoot], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  children.push(child);
  let left = killAfter;
  onTaken = () => {
    left -= 1;
    if (left === 0) setTimeout(() => child.kill("SIGKILL"), between(0, 12));
  };
  const [code] = await once(child, "exit");
  onTaken = () => {};
  return code === 0;
}

const between = (from: number, to: number) => from + Math.floor(Math.random() * (to - from));

test(
  "killed again and again while a bot sends, no chat gets two messages, and what is not known is said to be uncertain",
  async () => {
    const campaignId = await queue();
    let kills = 0;
    while (!(await send(campaignId, kills < KILLS ? between(1, 40) : Number.POSITIVE_INFINITY))) kills += 1;

    expect(kills).toBeGreaterThan(0);
    expect(new Set(taken).size).toBe(taken.length);
    const messages = await listMessages(database, campaignId);
    expect(messages).toHaveLength(CONTACTS);
    const chats = (status: string) =>
      messages.filter((one) => one.status === status).map(({ to }) => Number(to));
    const [delivered, uncertain] = [chats("delivered"), chats("uncertain")];
    expect(delivered.length + uncertain.length).toBe(CONTACTS);
    expect(delivered.filter((chat) => !taken.includes(chat))).toEqual([]);
    expect(taken.filter((chat) => !delivered.includes(chat) && !uncertain.includes(chat))).toEqual([]);
    expect(uncertain.length).toBeLessThanOrEqual(kills * IN_HAND);
    expect(delivered.length).toBeGreaterThan(0);
    expect(messages.filter(({ isClaimed }) => isClaimed)).toEqual([]);
    // What was sent is kept under the number that answers to it name, and nothing else is.
    const { rows } = await sql<{ chatId: number; number: number }>`
      select o.chat_id as "chatId", o.telegram_message_id as number
      from outbound_telegram o join message m on m.customer_id = o.customer_id and m.id = o.message_id
      where m.campaign_id = ${campaignId}`.execute(database.db);
    expect(rows.filter(({ chatId, number }) => taken[number - 1] !== chatId)).toEqual([]);
    const kept = new Set(rows.map(({ chatId }) => chatId));
    expect(delivered.filter((chat) => !kept.has(chat))).toEqual([]);
  },
  TIMEOUT_MS,
);
