import { createHash } from "node:crypto";
import { sql } from "kysely";
import type { Json } from "../../src/events/event.ts";
import { newId } from "../../src/events/id.ts";
import type { ApiRoutes } from "../../src/http/env.ts";
import { inboundRoutes } from "../../src/inbound/routes.ts";
import { telegramLinkRoutes } from "../../src/inbound/telegram/link-routes.ts";
import { matchWaitingReactions } from "../../src/inbound/telegram/match-waiting.ts";
import { createTelegramReceiver } from "../../src/inbound/telegram/receiver.ts";
import { telegramUpdateRoutes } from "../../src/inbound/telegram/routes.ts";
import { createTestApp, type TestApp } from "./app.ts";
import { projectAll, TEST_ENCRYPTION_KEY } from "./campaigns.ts";

export type TelegramEdge = TestApp & {
  credentialId: string;
  botId: number;
  /** Moves the receiver's clock. */
  setTime(time: Date): void;
  /** As Telegram posts it; `secret`: null for no header. */
  post(
    update: object | string,
    options?: { secret?: string | null; credentialId?: string },
  ): Promise<Response>;
  /** One more bot, with the same secret. */
  createBot(botId: number, customerId?: string): Promise<string>;
  project(): Promise<void>;
  /** Forgets all that was received. */
  forget(): Promise<void>;
  contacts(): Promise<StoredContact[]>;
  bubbles(): Promise<StoredBubble[]>;
  kept(): Promise<{ updateId: string; name: string; status: string; reason: string; raw: string }[]>;
  events(): Promise<StoredEvent[]>;
  suppressions(): Promise<{ address: string; reason: string }[]>;
  /** What people's reactions are, by the numbers of the messages. */
  reactions(): Promise<StoredReaction[]>;
  /** As if the time had come to look for the messages of what waits. */
  matchWaiting(): Promise<{ taken: number; matched: number }>;
};

export type StoredContact = { id: string; chatId: number | null; attributes: { [name: string]: Json } };

export type StoredEvent = {
  type: string;
  at: Date;
  campaignId: string | null;
  runId: string | null;
  messageId: string | null;
  contactId: string | null;
  data: { [name: string]: Json };
};

export type StoredBubble = {
  messageId: string;
  contactId: string;
  chatId: number;
  telegramMessageId: number;
  at: Date;
  status: string;
  kind: string;
  fromId: number | null;
  text: string | null;
  html: string | null;
  entities: Json[];
  media: Json[];
  replyToMessageId: number | null;
  mediaGroupId: string | null;
  editedAt: Date | null;
  campaignId: string | null;
  answersMessageId: string | null;
  matchedBy: string | null;
};

export type StoredReaction = { telegramMessageId: number; fromId: number; reactions: string[]; at: Date };

export const BOT_ID = 7_100_000_001;
export const SECRET = "a-secret_token-of-43-characters-0123456789A";

/** The app with a customer's bot whose webhook is `SECRET`'s. @param more what else its API has */
export async function createTelegramEdge(more: readonly ApiRoutes[] = []): Promise<TelegramEdge> {
  const api = await createTestApp([
    inboundRoutes(),
    telegramLinkRoutes({ encryptionKey: TEST_ENCRYPTION_KEY }),
    ...more,
  ]);
  const { db } = api.database;
  let time: Date | null = null;
  const receiver = createTelegramReceiver({
    db,
    encryptionKey: TEST_ENCRYPTION_KEY,
    now: () => time ?? new Date(),
    onAppend: () => {},
    counters: { telegramUpdates: () => {} },
    log: { error: () => {} },
  });
  api.app.route("/", telegramUpdateRoutes(receiver));

  async function createBot(botId: number, customerId = api.customer.id): Promise<string> {
    const id = newId();
    await sql`
      insert into credential (customer_id, id, type, name, settings, secret, webhook_secret, webhook_secret_hash)
      values (${customerId}, ${id}, 'telegram', 'Bot', ${JSON.stringify({ botId, botUsername: `bot_${botId}` })}::jsonb, '', '',
        ${createHash("sha256").update(SECRET).digest()})`.execute(db);
    return id;
  }

  const botCredentialId = await createBot(BOT_ID);
  const of = sql`customer_id = ${api.customer.id}`;
  return {
    ...api,
    credentialId: botCredentialId,
    botId: BOT_ID,
    setTime(present) {
      time = present;
    },
    async post(update, { secret = SECRET, credentialId = botCredentialId } = {}) {
      const headers = new Headers({ "Content-Type": "application/json" });
      if (secret !== null) headers.set("X-Telegram-Bot-Api-Secret-Token", secret);
      const body = typeof update === "string" ? update : JSON.stringify(update);
      return api.app.request(
        `/api/telegram/webhook/${credentialId}`,
        { method: "POST", headers, body },
        { ip: null },
      );
    },
    createBot,
    project: () => projectAll(db),
    async forget() {
      for (const table of ["event_log", "inbound_event", "inbound_seen", "message", "contact", "suppression"])
        await sql`delete from ${sql.table(table)}`.execute(db);
      await sql`delete from suppression_lift`.execute(db);
    },
    async contacts() {
      const { rows } = await sql<StoredContact>`
        select id, telegram_chat_id as "chatId", attributes from contact where ${of}
        order by telegram_chat_id`.execute(db);
      return rows;
    },
    async bubbles() {
      const { rows } = await sql<StoredBubble>`
        select t.message_id as "messageId", m.contact_id as "contactId", t.chat_id as "chatId",
          t.telegram_message_id as "telegramMessageId", m.sent_at as at, m.status, t.kind, t.from_id as "fromId", t.text,
          t.html, t.entities, t.media, t.reply_to_message_id as "replyToMessageId",
          t.media_group_id as "mediaGroupId", t.edited_at as "editedAt", m.campaign_id as "campaignId",
          t.answers_message_id as "answersMessageId", t.matched_by as "matchedBy"
        from inbound_telegram t
        join message m on m.customer_id = t.customer_id and m.id = t.message_id
        where t.customer_id = ${api.customer.id} order by t.chat_id, t.telegram_message_id`.execute(db);
      return rows;
    },
    async kept() {
      const { rows } = await sql<{
        updateId: string;
        name: string;
        status: string;
        reason: string;
        raw: string;
      }>`
        select envelope_id as "updateId", name, status, reason, raw from inbound_event where ${of}
        order by envelope_id::bigint`.execute(db);
      return rows;
    },
    async events() {
      const { rows } = await sql<StoredEvent>`
        select type, at, campaign_id as "campaignId", run_id as "runId", message_id as "messageId",
          contact_id as "contactId", data
        from event_log where ${of} order by position`.execute(db);
      return rows;
    },
    async reactions() {
      const { rows } = await sql<StoredReaction>`
        select coalesce(i.telegram_message_id, o.telegram_message_id) as "telegramMessageId", r.from_id as "fromId",
          r.reactions, r.at
        from telegram_reaction r
        left join inbound_telegram i on i.customer_id = r.customer_id and i.message_id = r.message_id
        left join outbound_telegram o on o.customer_id = r.customer_id and o.message_id = r.message_id
        where r.customer_id = ${api.customer.id} order by 1, 2`.execute(db);
      return rows;
    },
    async matchWaiting() {
      await sql`update inbound_event set look_at = now() where look_at is not null`.execute(db);
      return matchWaitingReactions(db);
    },
    async suppressions() {
      const { rows } = await sql<{ address: string; reason: string }>`
        select address, reason from suppression where ${of} and channel = 'telegram'
        order by address, reason`.execute(db);
      return rows;
    },
  };
}

export const ANN = {
  id: 5_823_456_789,
  is_bot: false,
  first_name: "Ann",
  last_name: "Voter",
  username: "ann_voter",
};

/** An update in which somebody writes to the bot. */
export function messageUpdate(updateId: number, message: object = {}, kind = "message") {
  return {
    update_id: updateId,
    [kind]: {
      message_id: updateId,
      from: ANN,
      chat: { id: ANN.id, type: "private", first_name: ANN.first_name },
      date: 1_790_000_000,
      text: "hello",
      ...message,
    },
  };
}

/** One in which somebody presses a button below the message of this number. */
export function pressUpdate(updateId: number, data: string, number: number, more: object = {}) {
  const message = { message_id: number, date: 1_790_000_000, chat: { id: ANN.id, type: "private" } };
  const query = { id: `43823${updateId}`, from: ANN, chat_instance: "1", message, data, ...more };
  return { update_id: updateId, callback_query: query };
}

/** One in which somebody's reactions to a message become these. */
export function reactionUpdate(
  updateId: number,
  number: number,
  emoji: readonly string[],
  more: object = {},
) {
  return {
    update_id: updateId,
    message_reaction: {
      chat: { id: ANN.id, type: "private" },
      message_id: number,
      user: ANN,
      date: 1_790_000_100,
      old_reaction: [],
      new_reaction: emoji.map((one) => ({ type: "emoji", emoji: one })),
      ...more,
    },
  };
}

/** One in which the bot's standing changes. */
export function standingUpdate(
  updateId: number,
  status: string,
  date: number,
  chat: object = {},
  from: object = ANN,
) {
  return {
    update_id: updateId,
    my_chat_member: {
      chat: { id: ANN.id, type: "private", ...chat },
      from,
      date,
      old_chat_member: { status: "member", user: { id: BOT_ID, is_bot: true, first_name: "Bot" } },
      new_chat_member: { status, user: { id: BOT_ID, is_bot: true, first_name: "Bot" } },
    },
  };
}
