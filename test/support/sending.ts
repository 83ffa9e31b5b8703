import { sql } from "kysely";
import pino from "pino";
import { insertReply } from "../../src/conversations/reply-queries.ts";
import type { Event } from "../../src/events/event.ts";
import { newId } from "../../src/events/id.ts";
import { createPostgresLog } from "../../src/events/postgres-log.ts";
import { runSender, type Sender } from "../../src/messages/sender.ts";
import { runProjector } from "../../src/projector/run-projector.ts";
import type { Database } from "../../src/storage/pool.ts";
import type { BotApi } from "../../src/telegram/api.ts";
import { failureOf } from "../../src/telegram/failure.ts";
import { createTokens } from "../../src/tracking/token.ts";
import { TEST_ENCRYPTION_KEY } from "./campaigns.ts";

const NO_BOT: Pick<BotApi, "sendMessage"> = {
  sendMessage: async () => failureOf({ code: 404, description: "Not Found" }),
};

export type Sending = {
  sender: Sender;
  /** Resolves when the condition holds; it is looked at after every projected batch and every warning. */
  until(condition: () => Promise<boolean>): Promise<void>;
  stop(): Promise<void>;
};

/** What may be replaced; the clock decides when a failing server is tried again and what a rate allows. */
export type SendingOptions = {
  now?: () => number;
  random?: () => number;
  append?: (event: Event, usual: (event: Event) => Promise<void>) => Promise<void>;
  api?: Pick<BotApi, "sendMessage">;
};

/** The part of a process that sends: log, projector and sender, as `serve` wires them. */
export function startSending(database: Database, options: SendingOptions = {}): Sending {
  const watching: (() => void)[] = [];
  const look = () => {
    for (const resolve of watching.splice(0)) resolve();
  };
  const logger = pino({ level: "warn" }, { write: look });
  const log = createPostgresLog(database.pool, () => projector.wake());
  const usual = (event: Event) => log.append([event]);
  const sender = runSender({
    database,
    db: database.db,
    async append(events) {
      const [event] = events;
      if (event === undefined || events.length > 1 || options.append === undefined) return log.append(events);
      await options.append(event, usual);
    },
    api: options.api ?? NO_BOT,
    tokens: createTokens([{ kid: "a", secret: Buffer.alloc(32, 1), retired: false }]),
    publicUrl: "https://edgr.example.com",
    now: options.now ?? Date.now,
    random: options.random ?? Math.random,
    encryptionKey: TEST_ENCRYPTION_KEY,
    log: logger,
  });
  const projector = runProjector(
    database.db,
    () => {
      sender.wake();
      look();
    },
    logger,
  );

  async function until(condition: () => Promise<boolean>): Promise<void> {
    for (;;) {
      const news = new Promise<void>((resolve) => watching.push(resolve));
      if (await condition()) return;
      await news;
    }
  }

  return {
    sender,
    until,
    async stop() {
      await sender.stop();
      await projector.stop();
    },
  };
}

export type MessageRow = {
  id: string;
  to: string;
  status: string;
  attempts: number;
  error: string | null;
  providerMessageId: string | null;
  subject: string | null;
  isClaimed: boolean;
  dueAt: Date;
  runStatus: string;
  output: Record<string, unknown>;
};

/** Every message of a campaign with its run, by address. */
export async function listMessages({ db }: Database, campaignId: string): Promise<MessageRow[]> {
  const { rows } = await sql<MessageRow>`
    select m.id, m.to_address as "to", m.status, m.attempts, m.error, m.subject,
      m.provider_message_id as "providerMessageId", m.claimed_by is not null as "isClaimed",
      m.due_at as "dueAt", r.status as "runStatus", r.output
    from message m join node_run r on r.customer_id = m.customer_id and r.id = m.run_id
    where m.campaign_id = ${campaignId} order by m.to_address`.execute(db);
  return rows;
}

/** As if somebody had answered a contact by mail. @returns the message */
export async function queueReply(
  { db }: Database,
  to: { customerId: string; credentialId: string; contactId: string; address: string },
): Promise<string> {
  const { customerId, credentialId, contactId, address } = to;
  const messageId = newId();
  await insertReply(db, customerId, {
    messageId,
    contactId,
    channel: "email",
    credentialId,
    to: address,
    text: "Hello",
    subject: "Re: Hi",
    author: null,
    answersMessageId: null,
    inReplyTo: null,
    references: [],
    telegramReplyTo: null,
  });
  return messageId;
}
