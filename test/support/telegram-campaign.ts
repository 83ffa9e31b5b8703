import { sql } from "kysely";
import { newEvent } from "../../src/events/event.ts";
import { newId } from "../../src/events/id.ts";
import { append, createCampaign, enroll, listRuns, projectAll } from "./campaigns.ts";
import { edge } from "./graphs.ts";
import type { TelegramEdge } from "./telegram-edge.ts";

export type SentInTelegram = { campaignId: string; contactId: string; runId: string; messageId: string };

export type SendingInTelegram = {
  contactId: string;
  chatId: number;
  /** As Telegram numbers the message. */
  number: number;
  sentAt: Date;
  exitOn?: ("replied" | "unsubscribed")[];
};

/** Every end that a message in Telegram can have leads to a node of its name. */
const ENDS = ["replied", "unsubscribed", "clicked"] as const;

/** A campaign whose one message was sent into a chat, as sending keeps it. */
export async function sendInTelegram(
  { database: { db }, customer, credentialId }: TelegramEdge,
  { contactId, chatId, number, sentAt, exitOn = [] }: SendingInTelegram,
): Promise<SentInTelegram> {
  const message = { id: "hello", type: "message", channel: "telegram", credentialId, text: "Hi" };
  const campaign = await createCampaign(db, customer.id, {
    nodes: [message, ...ENDS.map((id) => ({ id, type: "wait", duration: "P1D" }))],
    edges: ENDS.map((id) => edge(id, "hello", id, id)),
    exitOn,
  });
  await enroll(db, campaign, { contactIds: [contactId] });
  await projectAll(db);
  const [run] = await listRuns(db, campaign.campaignId);
  const messageId = run?.messageId ?? null;
  if (run === undefined || messageId === null) throw new Error("whoever enters gets a message");
  const { campaignId, id: runId } = run;
  await sql`
    update message set channel = 'telegram', to_address = ${String(chatId)}
    where customer_id = ${customer.id} and id = ${messageId}`.execute(db);
  await sql`
    insert into outbound_telegram (customer_id, message_id, credential_id, chat_id, telegram_message_id, html, keyboard, sent_at)
    values (${customer.id}, ${messageId}, ${credentialId}, ${chatId}, ${number}, 'Hi', '[]', ${sentAt})`.execute(
    db,
  );
  const about = { at: sentAt, customerId: customer.id, campaignId, runId, messageId, contactId };
  const data = { channel: "telegram", chatId, telegramMessageId: number };
  await append(
    db,
    newEvent({ ...about, id: newId(), type: "message_sent", data }),
    newEvent({ ...about, id: newId(), type: "message_delivered", data: { channel: "telegram" } }),
  );
  await projectAll(db);
  return { campaignId, contactId, runId, messageId };
}
