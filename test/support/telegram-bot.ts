import { insertBot } from "../../src/credentials/telegram-queries.ts";
import { newId } from "../../src/events/id.ts";
import type { Db } from "../../src/storage/pool.ts";
import { TEST_ENCRYPTION_KEY } from "./campaigns.ts";
import type { TelegramStandIn } from "./telegram.ts";

let lastBotId = 7_200_000_000;

/**
 * A new bot at the stand-in and its credential, as if a customer had connected it.
 * @param rateLimitPerSecond messages that it sends, at most
 */
export async function addBot(
  db: Db,
  customerId: string,
  telegram: TelegramStandIn,
  rateLimitPerSecond = 30,
): Promise<{ credentialId: string; token: string }> {
  lastBotId += 1;
  const [botId, botUsername, botName] = [lastBotId, `bot_${lastBotId}`, "Bot"];
  const token = telegram.addBot({ id: botId, username: botUsername, name: botName });
  const webhookUrl = "https://edgr.example.com/";
  const credentialId = newId();
  await insertBot(db, TEST_ENCRYPTION_KEY, customerId, {
    id: credentialId,
    name: botName,
    settings: { botId, botUsername, botName, webhookUrl, maxConnections: 40, rateLimitPerSecond },
    botToken: token,
    webhookSecret: "secret",
  });
  return { credentialId, token };
}
