import { z } from "zod";
import type { CatalogueType } from "./catalogue-types.ts";

type Entry = { description: string; data: z.ZodType };

// Loose: what an event says may grow, and receivers that check it should not break.
const fields = z.looseObject;
const text = z.string();
const textOrNull = text.nullable();
const reason = text.describe("Why, as a sentence");
const channel = z.literal("telegram");
const chatId = z.int();
const nothing = fields({});

const received = fields({
  provider: z.enum(["ses", "telegram"]),
  kind: text.describe("What kind of message it is"),
  answersMessageId: textOrNull.describe("The message of yours that it answers"),
  matchedBy: textOrNull.describe("How that was found out"),
  subject: textOrNull.optional(),
  from: text.optional().describe("Of a mail: the address it came from"),
  text: textOrNull.optional().describe("Of a Telegram message: its first 1,000 characters"),
  command: textOrNull.optional().describe("Of a Telegram message: the bot command without its slash"),
  chatId: chatId.optional(),
  telegramMessageId: z.int().optional(),
});

const subscription = fields({
  via: text.optional().describe("By what other way than the link in a mail"),
  channel: channel.optional(),
  chatId: chatId.optional(),
});

const chat = fields({ channel, chatId });

/** What each type means, and its own `data` in words of Zod: the source of the catalogue's JSON Schemas. */
export const EVENT_DATA: Record<CatalogueType, Entry> = {
  message_queued: {
    description: "A message to a contact waits to be sent.",
    data: fields({ retry: z.boolean().optional().describe("Somebody sends it again") }),
  },
  message_sent: {
    description: "The mail server or Telegram took the message.",
    data: fields({
      subject: textOrNull.optional(),
      providerMessageId: textOrNull.optional().describe("The provider's own name of it"),
      channel: channel.optional(),
    }),
  },
  message_failed: {
    description: "The message was refused, or given up; it is not sent.",
    data: fields({ reason }),
  },
  message_uncertain: {
    description: "Nobody knows whether the message was sent, and it is not sent again by itself.",
    data: fields({ reason }),
  },
  message_delivered: {
    description: "The message arrived at the contact's mail server or chat.",
    data: fields({
      smtpResponse: text.optional(),
      processingTimeMillis: z.number().optional(),
      channel: channel.optional(),
    }),
  },
  message_bounced: {
    description: "The contact's mail server gave the message back.",
    data: fields({
      bounceType: text.describe("Permanent, Transient or Undetermined"),
      bounceSubType: text.optional(),
      status: text.optional().describe("RFC 3463, such as 5.1.1"),
      action: text.optional(),
      diagnosticCode: text.optional().describe("What the server said"),
      feedbackId: text.optional(),
    }),
  },
  message_delayed: {
    description: "The message is not delivered yet; the mail provider goes on trying.",
    data: fields({
      delayType: text.optional(),
      expirationTime: text.optional().describe("Until when it is tried"),
      status: text.optional(),
      diagnosticCode: text.optional(),
    }),
  },
  message_complained: {
    description: "The contact said that the message is spam.",
    data: fields({
      complaintType: text.optional().describe("Such as abuse"),
      complaintSubType: text.optional(),
      reporter: text.optional(),
      arrivalDate: text.optional(),
      feedbackId: text.optional(),
    }),
  },
  message_rejected: {
    description: "The mail provider took the message and then refused to send it.",
    data: fields({ reason, templateName: text.optional() }),
  },
  email_opened: {
    description: "Somebody opened the email, or a machine fetched its pixel: `agent` says which.",
    data: nothing,
  },
  email_clicked: {
    description: "Somebody, or a machine that checks links, followed a link: `agent` says which.",
    data: fields({ clickedUrl: text }),
  },
  unsubscribed: { description: "The contact wants no more messages on this channel.", data: subscription },
  resubscribed: { description: "The contact took an unsubscribe back.", data: subscription },
  topic_left: {
    description: "The contact wants no more mail of one topic.",
    data: fields({ topicId: z.uuid() }),
  },
  topic_rejoined: {
    description: "The contact wants mail of a topic again.",
    data: fields({ topicId: z.uuid() }),
  },
  message_received: { description: "The contact wrote: an answer, or of his own accord.", data: received },
  auto_reply_received: {
    description: "A machine answered for the contact: an absence note, say.",
    data: received,
  },
  message_reacted: {
    description: "The contact's reactions to a message of yours are others now.",
    data: fields({
      channel,
      chatId,
      telegramMessageId: z.int(),
      reactions: z.array(text).describe("All there are now; none: taken back"),
    }),
  },
  contact_blocked: { description: "The contact blocked the bot.", data: chat },
  contact_unblocked: { description: "The contact let the bot write again.", data: chat },
  contact_suppressed: {
    description: "The contact's address must not be written to; what was due to it is not sent.",
    data: fields({ reason: text.describe("unsubscribe, bounce, complaint, blocked, manual or topic") }),
  },
  campaign_started: {
    description: "The contact entered the campaign.",
    data: fields({ enrollmentId: z.uuid() }),
  },
  campaign_completed: {
    description: "The contact came to the campaign's end, or left it.",
    data: fields({ enrollmentId: z.uuid(), reason: text }),
  },
  run_failed: {
    description: "A step could not be done for the contact: a webhook node's call, say.",
    data: fields({ reason, status: z.int().nullable().optional() }),
  },
  endpoint_disabled: {
    description: "EDGR or somebody switched an endpoint off: it is told of nothing more.",
    data: fields({
      endpointId: z.uuid(),
      url: text.describe("Without what is secret of it"),
      by: z.enum(["person", "failures", "gone"]),
      reason,
    }),
  },
  provider_sent: { description: "The mail provider says that it sent the message.", data: nothing },
  provider_opened: {
    description: "The mail provider saw the message opened, by a pixel of its own.",
    data: nothing,
  },
  provider_clicked: {
    description: "The mail provider saw a link followed.",
    data: fields({ clickedUrl: text }),
  },
  provider_preferences_changed: {
    description: "The contact changed his preferences at the mail provider.",
    data: fields({ contactList: text, source: text, unsubscribeAll: z.boolean() }),
  },
};
