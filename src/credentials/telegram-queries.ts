import { createHash } from "node:crypto";
import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import { openSecret, sealSecret } from "./secret-box.ts";
import { type TelegramSettings, telegramSettings } from "./telegram-schema.ts";

/** A credential of type `telegram` as it may be shown. */
export type Bot = {
  id: string;
  type: "telegram";
  name: string;
  settings: TelegramSettings;
  status: "active" | "failing" | "disabled";
  statusReason: string | null;
  createdAt: Date;
  updatedAt: Date;
};

export type BotSecrets = { botToken: string; webhookSecret: string };

/** A customer's bot with its secrets opened, its row locked. */
export type OpenBot = Bot & BotSecrets;

export type BotRow = Omit<Bot, "settings"> & { settings: unknown };

const columns = sql`id, type, name, settings, status, status_reason as "statusReason", created_at as "createdAt",
  updated_at as "updatedAt"`;

export async function findBot(db: Db, customerId: string, id: string): Promise<Bot | null> {
  const { rows } = await sql<BotRow>`
    select ${columns} from credential
    where customer_id = ${customerId} and id = ${id} and type = 'telegram'`.execute(db);
  return rows[0] === undefined ? null : toBot(rows[0]);
}

/**
 * The bot with its secrets.
 * @param lock keeps others from changing it before the transaction ends
 */
export async function openBot(
  db: Db,
  encryptionKey: Buffer,
  customerId: string,
  id: string,
  { lock }: { lock: boolean },
): Promise<OpenBot | null> {
  const { rows } = await sql<BotRow & { secret: Buffer; webhookSecret: Buffer }>`
    select ${columns}, secret, webhook_secret as "webhookSecret" from credential
    where customer_id = ${customerId} and id = ${id} and type = 'telegram' and webhook_secret is not null
    ${lock ? sql`for update` : sql``}`.execute(db);
  const row = rows[0];
  if (row === undefined) return null;
  const { secret, webhookSecret, ...rest } = row;
  return {
    ...toBot(rest),
    botToken: openSecret(encryptionKey, tokenOwner(customerId, id), secret),
    webhookSecret: openSecret(encryptionKey, webhookOwner(customerId, id), webhookSecret),
  };
}

/** The customer's credential for a bot, if there is one. */
export async function findBotByTelegramId(
  db: Db,
  customerId: string,
  botId: number,
): Promise<{ id: string; name: string } | null> {
  const { rows } = await sql<{ id: string; name: string }>`
    select id, name from credential
    where customer_id = ${customerId} and type = 'telegram' and settings ->> 'botId' = ${String(botId)}
    limit 1`.execute(db);
  return rows[0] ?? null;
}

/**
 * The bots, of all customers, whose updates were led elsewhere than to `prefix` and the credential's id: there are no
 * more of them than there are bots.
 */
export async function selectMovedBots(
  db: Db,
  prefix: string,
): Promise<{ customerId: string; credentialId: string; webhookUrl: string }[]> {
  const { rows } = await sql<{ customerId: string; credentialId: string; webhookUrl: string }>`
    select customer_id as "customerId", id as "credentialId", settings->>'webhookUrl' as "webhookUrl"
    from credential
    where type = 'telegram' and status <> 'disabled' and webhook_secret is not null
      and settings->>'webhookUrl' <> ${prefix} || id::text
    order by id`.execute(db);
  return rows;
}

export async function insertBot(
  db: Db,
  encryptionKey: Buffer,
  customerId: string,
  bot: Pick<Bot, "id" | "name" | "settings"> & BotSecrets,
): Promise<void> {
  const { id, webhookSecret } = bot;
  await sql`
    insert into credential (customer_id, id, type, name, settings, secret, webhook_secret, webhook_secret_hash)
    values (${customerId}, ${id}, 'telegram', ${bot.name}, ${JSON.stringify(bot.settings)}::jsonb,
      ${sealSecret(encryptionKey, tokenOwner(customerId, id), bot.botToken)},
      ${sealSecret(encryptionKey, webhookOwner(customerId, id), webhookSecret)},
      ${createHash("sha256").update(webhookSecret).digest()})`.execute(db);
}

/** Writes a bot as it is now. The webhook's secret stays: what is on its way still carries it. */
export async function saveBot(
  db: Db,
  encryptionKey: Buffer,
  customerId: string,
  bot: Pick<OpenBot, "id" | "name" | "settings" | "botToken">,
): Promise<void> {
  await sql`
    update credential set name = ${bot.name}, settings = ${JSON.stringify(bot.settings)}::jsonb,
      secret = ${sealSecret(encryptionKey, tokenOwner(customerId, bot.id), bot.botToken)}, updated_at = now(),
      status_reason = null, status = case status when 'failing' then 'active' else status end
    where customer_id = ${customerId} and id = ${bot.id} and type = 'telegram'`.execute(db);
}

export function toBot(row: BotRow): Bot {
  return { ...row, settings: telegramSettings.parse(row.settings) };
}

const tokenOwner = (customerId: string, id: string) => `${customerId}/${id}`;

// Another than that of the token, so that the one can't be put in the other's place.
const webhookOwner = (customerId: string, id: string) => `${customerId}/${id}/webhook`;
