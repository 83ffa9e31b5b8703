import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { type CampaignApi, createCampaignApi } from "../../test/support/campaign-api.ts";
import { startTelegram, type TelegramStandIn, testBots } from "../../test/support/telegram.ts";
import { createEgress, type Egress } from "../egress/client.ts";
import { resolveBySystem } from "../egress/resolve.ts";
import { moveBots } from "./telegram-moves.ts";

const NEW_HOME = "https://new.example.com";

let telegram: TelegramStandIn;
let egress: Egress;
let api: CampaignApi;
let token: string;
let id: string;
let botId = 8_000_000_000;

beforeAll(async () => {
  telegram = await startTelegram();
  egress = createEgress({ allow: ["127.0.0.1"], resolve: resolveBySystem });
  api = await createCampaignApi({ bots: testBots({ apiRoot: telegram.apiRoot, egress }) });
});

afterAll(async () => {
  await api.close();
  await telegram.close();
  egress.close();
});

beforeEach(async () => {
  botId += 1;
  token = telegram.addBot({ id: botId, username: `bot_${botId}`, name: "Example" });
  ({ id } = await api.ok("POST", "/credentials", { type: "telegram", name: "Bot", botToken: token }));
  warnings.length = 0;
});

afterEach(() => api.ok("DELETE", `/credentials/${id}`));

const warnings: object[] = [];
const log = { info: () => {}, error: () => {}, warn: (details: object) => void warnings.push(details) };

const move = (publicUrl: string) =>
  moveBots({
    db: api.database.db,
    bots: testBots({ apiRoot: telegram.apiRoot, egress, publicUrl }),
    log,
  });

test("a bot follows its installation to a new public URL, once, with the secret that it has", async () => {
  const secret = telegram.webhookOf(token)?.secret;
  expect(await move(NEW_HOME)).toBe(1);
  expect(telegram.webhookOf(token)).toMatchObject({ url: `${NEW_HOME}/api/telegram/webhook/${id}`, secret });
  expect(await move(NEW_HOME)).toBe(0);
  expect(warnings).toEqual([]);
});

test("a bot that another installation took over stays there, and that is said", async () => {
  await fetch(`${telegram.apiRoot}/bot${token}/setWebhook`, {
    method: "POST",
    body: JSON.stringify({ url: "https://elsewhere.example.com/hook" }),
  });
  await move("https://third.example.com");
  expect(telegram.webhookOf(token)?.url).toBe("https://elsewhere.example.com/hook");
  expect(warnings).toEqual([{ credentialId: id }]);
});

test("a bot that Telegram can't be told about now is led here the next time", async () => {
  telegram.failNext("setWebhook", "html");
  expect(await move("https://fourth.example.com")).toBe(0);
  expect(warnings).toEqual([{ credentialId: id, reason: expect.stringContaining("just now") }]);
  expect(await move("https://fourth.example.com")).toBe(1);
  expect(telegram.webhookOf(token)?.url).toBe(`https://fourth.example.com/api/telegram/webhook/${id}`);
});
