import { AppError } from "../errors.ts";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { appendEvents } from "../events/queries.ts";
import { invalid } from "../http/problem.ts";
import type { Db } from "../storage/pool.ts";
import { findReasons } from "../suppressions/queries.ts";
import type { Reason } from "../suppressions/reasons.ts";
import { replySubject } from "./compose-reply.ts";
import type { Channel } from "./conversation-queries.ts";
import { MAX_TELEGRAM_CHARS, type NewReply } from "./conversation-schema.ts";
import {
  type Answerable,
  findAnswerable,
  findLastReceived,
  holdAddresses,
  holdSenders,
  insertReply,
  type QueuedReply,
} from "./reply-queries.ts";

type Addresses = { email: string | null; telegramChatId: number | null };
type Thread = Pick<
  QueuedReply,
  "subject" | "answersMessageId" | "inReplyTo" | "references" | "telegramReplyTo"
>;

/**
 * Queues what somebody answers a contact, and says so in the log.
 * @param db a transaction
 * @returns the message's id
 * @throws AppError naming the field, or why the contact can't be written to
 */
export async function sendReply(
  db: Db,
  customerId: string,
  contactId: string,
  reply: NewReply,
  now: Date,
): Promise<string> {
  const addresses = await holdAddresses(db, customerId, contactId);
  if (addresses === null) throw noSuchConversation();
  const received = await findLastReceived(db, customerId, contactId);
  const named = await namedMessage(db, customerId, contactId, reply);
  const channel = reply.channel ?? named?.channel ?? received[0]?.channel ?? defaultChannel(addresses);
  if (named !== null && named.channel !== channel)
    throw unfit("replyToMessageId", `is a message in ${CHANNEL_NAMES[named.channel]}`);
  checkContent(channel, reply);
  const last = received.find((message) => message.channel === channel) ?? null;
  const answered = named ?? (channel === "email" ? last : null);
  const to = channel === "email" ? emailOf(addresses, answered) : chatOf(addresses);
  await checkStanding(db, customerId, channel, to, last !== null);
  const credentialId = await chooseSender(db, customerId, channel, reply.credentialId, named ?? last);
  const thread =
    channel === "email"
      ? mailThread(reply, answered)
      : chatThread(answered, { credentialId, chatId: Number(to) });
  const messageId = newId(now.getTime());
  const { text, author } = reply;
  await insertReply(db, customerId, {
    ...thread,
    messageId,
    contactId,
    channel,
    credentialId,
    to,
    text,
    author,
  });
  const event = {
    id: newId(now.getTime()),
    type: "message_queued" as const,
    at: now,
    customerId,
    messageId,
    contactId,
  };
  await appendEvents(db, [newEvent({ ...event, data: { channel, reply: true, author } })]);
  return messageId;
}

const CHANNEL_NAMES: Record<Channel, string> = { email: "email", telegram: "Telegram" };

async function namedMessage(
  db: Db,
  customerId: string,
  contactId: string,
  { replyToMessageId }: NewReply,
): Promise<Answerable | null> {
  if (replyToMessageId === null) return null;
  const found = await findAnswerable(db, customerId, contactId, replyToMessageId);
  if (found === null) throw unfit("replyToMessageId", "is no message of this conversation");
  if (found.mail === null && found.chat === null)
    throw unfit(
      "replyToMessageId",
      "can't be answered: only what the contact sent, or a bot has sent, can be",
    );
  return found;
}

function defaultChannel({ email, telegramChatId }: Addresses): Channel {
  return email === null && telegramChatId !== null ? "telegram" : "email";
}

function checkContent(channel: Channel, { text, subject }: NewReply): void {
  if (channel === "email") return;
  if (text.length > MAX_TELEGRAM_CHARS)
    throw invalid([
      { field: "text", reason: `must have at most ${MAX_TELEGRAM_CHARS} characters in Telegram` },
    ]);
  if (subject !== null) throw invalid([{ field: "subject", reason: "is for emails: Telegram has none" }]);
}

/** An answer goes where the mail came from, as in any mail program; else to the contact's own address. */
function emailOf({ email }: Addresses, answered: Answerable | null): string {
  const from = answered?.mail?.from ?? "";
  if (from !== "") return from;
  if (email === null) throw unfit("channel", "the contact has no email address");
  return email;
}

function chatOf({ telegramChatId }: Addresses): string {
  if (telegramChatId === null) throw unfit("channel", "the contact has no Telegram chat");
  return String(telegramChatId);
}

const OBSTACLES: Record<Reason, string> = {
  bounce: "mail to this address has bounced",
  complaint: "the contact has reported a message as spam",
  blocked: "the contact has blocked the bot",
  manual: "the address is on your suppression list",
  unsubscribe: "the contact has unsubscribed, and has not written in this channel",
};

/** Whoever wrote may be answered, even if he wants no campaigns. */
async function checkStanding(db: Db, customerId: string, channel: Channel, to: string, hasWritten: boolean) {
  const address =
    channel === "email" ? { email: to, telegramChatId: null } : { email: null, telegramChatId: Number(to) };
  const reasons = await findReasons(db, customerId, address);
  const reason = reasons.find((one) => one !== "unsubscribe" || !hasWritten);
  if (reason !== undefined) throw new AppError("conflict", `Nothing is sent to ${to}: ${OBSTACLES[reason]}.`);
}

/** The one asked for, or that the contact wrote to, or the only one there is. */
async function chooseSender(
  db: Db,
  customerId: string,
  channel: Channel,
  asked: string | null,
  answered: Answerable | null,
): Promise<string> {
  const kind = channel === "email" ? "mail server" : "bot";
  const preferred = asked ?? answered?.credentialId ?? null;
  const [found] = preferred === null ? [] : await holdSenders(db, customerId, channel, preferred);
  if (found?.isDisabled === true)
    throw new AppError("conflict", `The ${kind} of this conversation is disabled.`);
  if (found !== undefined) return found.id;
  if (asked !== null) throw unfit("credentialId", `is no ${kind} of yours`);
  const [only, other] = await holdSenders(db, customerId, channel, null);
  if (only === undefined) throw unfit("channel", `no ${kind} is connected`);
  if (other !== undefined)
    throw unfit(
      "credentialId",
      `is required: the contact has written to none of your ${kind}s that are connected`,
    );
  if (only.isDisabled) throw new AppError("conflict", `The ${kind} is disabled.`);
  return only.id;
}

function mailThread({ subject }: NewReply, answered: Answerable | null): Thread {
  const mail = answered?.mail ?? null;
  if (subject === null && mail === null)
    throw unfit("subject", "is required: there is no email of the contact that this could answer");
  const { messageId = null, references = [] } = mail ?? {};
  return {
    subject: subject ?? replySubject(mail?.subject ?? ""),
    answersMessageId: mail === null ? null : (answered?.messageId ?? null),
    inReplyTo: messageId,
    // They are kept from new to old.
    references: [...references.toReversed(), ...(messageId === null ? [] : [messageId])],
    telegramReplyTo: null,
  };
}

/** Telegram numbers messages by chat and bot: what was said to another bot can't be quoted by this one. */
function chatThread(answered: Answerable | null, to: { credentialId: string; chatId: number }): Thread {
  const chat = answered?.chat ?? null;
  const isHere = chat !== null && chat.credentialId === to.credentialId && chat.chatId === to.chatId;
  if (chat !== null && !isHere) throw unfit("replyToMessageId", "is in another chat, or of another bot");
  return {
    subject: null,
    answersMessageId: answered?.messageId ?? null,
    inReplyTo: null,
    references: [],
    telegramReplyTo: chat?.number ?? null,
  };
}

export const noSuchConversation = () => new AppError("not_found", "There is no conversation with this id.");

/** What is asked for is well formed and can't be done with this contact. */
function unfit(field: string, reason: string): AppError {
  return new AppError("unprocessable", `${field}: ${reason}.`, [{ field, reason }]);
}
