import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { type Bots, createBots } from "../../src/credentials/telegram.ts";
import type { Egress } from "../../src/egress/client.ts";
import { failed } from "../../src/egress/result.ts";
import { type BotApi, createBotApi, TELEGRAM_ITSELF } from "../../src/telegram/api.ts";
import { TEST_ENCRYPTION_KEY } from "./campaigns.ts";

/** The stand-in itself is the demo's. */
export {
  type Answer,
  type ApiError,
  type BotApiCall,
  type StandInBot,
  type StandInOptions,
  startTelegram,
  type TelegramStandIn,
} from "../../src/demo/telegram-server.ts";

/** Bots for an app that is never asked to connect one. */
export function noBots(): Bots {
  const send = async () => failed("refused", "Nothing leaves a test.");
  return testBots({ apiRoot: TELEGRAM_ITSELF, egress: { send } });
}

/** Bots of an installation at https://edgr.example.com, whose Telegram is at `apiRoot`. */
export function testBots({
  apiRoot,
  egress,
  publicUrl = "https://edgr.example.com",
  warnings = [],
}: {
  apiRoot: string;
  egress: Pick<Egress, "send">;
  publicUrl?: string;
  /** What is logged as a warning is put here. */
  warnings?: object[];
}): Bots {
  return createBots({
    api: testBotApi({ apiRoot, egress }),
    apiRoot,
    publicUrl,
    encryptionKey: TEST_ENCRYPTION_KEY,
    randomSecret: () => randomBytes(32).toString("base64url"),
    log: { info: () => {}, warn: (details: object) => void warnings.push(details) },
  });
}

/** The Bot API at `apiRoot`. */
export function testBotApi({ apiRoot, egress }: { apiRoot: string; egress: Pick<Egress, "send"> }): BotApi {
  return createBotApi({ apiRoot, egress, withinMs: 2_000, now: Date.now, pause });
}
