import type { Json } from "../events/event.ts";
import type { CatalogueType } from "./catalogue-types.ts";

type Data = { [key: string]: Json };

const ENROLLMENT_ID = "01989c2a-7d3c-7cc3-98c4-dc0c0c073901";
const TOPIC_ID = "01989c2a-7d3c-7cc3-98c4-dc0c0c073902";
const ENDPOINT_ID = "01989c2a-7d3c-7cc3-98c4-dc0c0c073903";

const CHAT = { channel: "telegram", chatId: 123456789 };
const REPLY = {
  provider: "ses",
  matchedBy: "reply_address",
  answersMessageId: null,
  from: "ann@example.com",
};

/** The `data` of an event of each type, as it might be. */
export const EXAMPLE_DATA: Record<CatalogueType, Data> = {
  message_queued: {},
  message_sent: { subject: "Welcome, Ann", providerMessageId: "0102019c2a7d3ccc-7cc3-example" },
  message_failed: { reason: "550 5.1.1 No such user" },
  message_uncertain: { reason: "The connection broke before the server answered." },
  message_delivered: { smtpResponse: "250 2.6.0 Message received", processingTimeMillis: 641 },
  message_bounced: {
    bounceType: "Permanent",
    bounceSubType: "General",
    status: "5.1.1",
    action: "failed",
    diagnosticCode: "smtp; 550 5.1.1 user unknown",
  },
  message_delayed: { delayType: "MailboxFull", status: "4.2.2", diagnosticCode: "452 4.2.2 mailbox full" },
  message_complained: { complaintType: "abuse" },
  message_rejected: { reason: "Amazon SES refused the message: Bad content" },
  email_opened: {},
  email_clicked: { clickedUrl: "https://example.com/buy" },
  unsubscribed: {},
  resubscribed: {},
  topic_left: { topicId: TOPIC_ID },
  topic_rejoined: { topicId: TOPIC_ID },
  message_received: { ...REPLY, kind: "person", subject: "Re: Welcome, Ann" },
  auto_reply_received: { ...REPLY, kind: "auto_reply", subject: "Out of office" },
  message_reacted: { ...CHAT, telegramMessageId: 42, reactions: ["👍"] },
  contact_blocked: CHAT,
  contact_unblocked: CHAT,
  contact_suppressed: { reason: "bounce" },
  campaign_started: { enrollmentId: ENROLLMENT_ID },
  campaign_completed: { enrollmentId: ENROLLMENT_ID, reason: "exit" },
  run_failed: { status: 404, reason: "The server answered 404." },
  endpoint_disabled: {
    endpointId: ENDPOINT_ID,
    url: "https://example.com/hooks",
    by: "failures",
    reason: "Every attempt of the last 5 days failed.",
  },
  provider_sent: {},
  provider_opened: {},
  provider_clicked: { clickedUrl: "https://example.com/buy" },
  provider_preferences_changed: { contactList: "news", source: "UnsubscribeHeader", unsubscribeAll: true },
};
