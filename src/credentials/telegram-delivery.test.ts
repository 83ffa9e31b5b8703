import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { type CampaignApi, createCampaignApi } from "../../test/support/campaign-api.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { startTelegram, type TelegramStandIn, testBots } from "../../test/support/telegram.ts";
import { createEgress, type Egress } from "../egress/client.ts";
import { resolveBySystem } from "../egress/resolve.ts";
import { createTelegramReceiver } from "../inbound/telegram/receiver.ts";
import { telegramUpdateRoutes } from "../inbound/telegram/routes.ts";

const CHATS = [5_823_456_789, 41, 42];

let telegram: TelegramStandIn;
let egress: Egress;
let api: CampaignApi;
/** Deliveries whose answer gets lost on its way back, one of so many. */
let loses = 3;
let deliveries = 0;

beforeAll(async () => {
  telegram = await startTelegram({
    async deliver(url, init) {
      const { pathname } = new URL(url);
      const response = await api.app.request(pathname, init, { ip: null });
      deliveries += 1;
      return deliveries % loses === 0 ? new Response("", { status: 504 }) : response;
    },
  });
  egress = createEgress({ allow: ["127.0.0.1"], resolve: resolveBySystem });
  api = await createCampaignApi({ bots: testBots({ apiRoot: telegram.apiRoot, egress }) });
  const receiver = createTelegramReceiver({
    db: api.database.db,
    encryptionKey: TEST_ENCRYPTION_KEY,
    now: () => new Date(),
    onAppend: () => {},
    counters: { telegramUpdates: () => {} },
    log: { error: () => {} },
  });
  api.app.route("/", telegramUpdateRoutes(receiver));
});
afterAll(async () => {
  await api.close();
  await telegram.close();
  egress.close();
});

function say(token: string, chatId: number, messageId: number): void {
  const from = { id: chatId, is_bot: false, first_name: "Ann" };
  const chat = { id: chatId, type: "private", first_name: "Ann" };
  const date = 1_790_000_000 + messageId;
  telegram.push(token, { message: { message_id: messageId, from, chat, date, text: `${messageId}` } });
}

async function received(): Promise<{ [chatId: string]: string[] }> {
  const { rows } = await sql<{ chatId: string; texts: string[] }>`
    select chat_id::text as "chatId", array_agg(text order by telegram_message_id) as texts from inbound_telegram
    where customer_id = ${api.customer.id} group by chat_id`.execute(api.database.db);
  return Object.fromEntries(rows.map(({ chatId, texts }) => [chatId, texts]));
}

test("what people write to a connected bot arrives once and whole, over lost answers and a new token", async () => {
  const token = telegram.addBot({ id: 7_100_000_777, username: "example_bot", name: "Example" });
  const { id } = await api.ok("POST", "/credentials", { type: "telegram", name: "Bot", botToken: token });
  for (const messageId of [1, 2, 3, 4]) for (const chatId of CHATS) say(token, chatId, messageId);
  await telegram.idle();
  expect(deliveries).toBeGreaterThan(12);
  const fresh = telegram.revoke(token);
  for (const chatId of CHATS) say(fresh, chatId, 5);
  await api.ok("PATCH", `/credentials/${id}`, { botToken: fresh });
  await telegram.idle();
  const texts = ["1", "2", "3", "4", "5"];
  expect(await received()).toEqual(Object.fromEntries(CHATS.map((chatId) => [chatId, texts])));
});

test("nothing arrives any more for a bot that was deleted", async () => {
  loses = 1_000_000;
  const token = telegram.addBot({ id: 7_100_000_778, username: "other_bot", name: "Other" });
  const { id } = await api.ok("POST", "/credentials", { type: "telegram", name: "Bot", botToken: token });
  const secret = telegram.webhookOf(token)?.secret ?? "";
  expect((await api.call("DELETE", `/api/v1/credentials/${id}`)).status).toBe(204);
  const late = await api.app.request(
    `/api/telegram/webhook/${id}`,
    { method: "POST", headers: { "X-Telegram-Bot-Api-Secret-Token": secret }, body: `{"update_id":1}` },
    { ip: null },
  );
  expect(late.status).toBe(401);
});
