import { randomBytes } from "node:crypto";
import type { Config } from "./config.ts";
import { type Bots, createBots } from "./credentials/telegram.ts";
import type { Logger } from "./logger.ts";
import type { Secrets } from "./storage/secrets.ts";
import type { Telegram } from "./telegram/open.ts";

/** Customers' bots, as the API and the workers of a process have them. */
export function openBots(
  { config, secrets, logger }: { config: Config; secrets: Secrets; logger: Logger },
  { api, apiRoot }: Telegram,
): Bots {
  return createBots({
    api,
    apiRoot,
    publicUrl: config.publicUrl,
    encryptionKey: secrets.encryptionKey,
    randomSecret: () => randomBytes(32).toString("base64url"),
    log: logger,
  });
}
