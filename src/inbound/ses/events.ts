import { z } from "zod";
import type { Agent, EventType, Json } from "../../events/event.ts";
import { bounceEffect, complaintEffect, type Effect } from "./bounce.ts";

/**
 * One thing that happened to a mail, for one recipient. The names are SES's; both of its dialects (event publishing
 * and feedback notifications, protocols 2.1) become the same fact.
 */
export type SesFact = {
  type: EventType;
  /** Plain and in lower case, of whom it is said; null where nobody is named. */
  recipient: string | null;
  /** Null when the fact has no time of its own. */
  at: Date | null;
  /**
   * The same however often and in whichever dialect the fact is told, and another for another fact: to be made
   * unique by the customer.
   */
  key: string;
  userAgent: string | null;
  ip: string | null;
  agent: Agent | null;
  data: { [name: string]: Json };
  /** What the address is in for. */
  effect: Effect;
};

/** The mail it happened to, by everything that can tell which of ours it is. */
export type SesMail = {
  /** The id that SES gave it when it took it. */
  sesMessageId: string | null;
  /** Our own Message-ID, where the headers came along. */
  messageIdHeader: string | null;
  /** From `X-SES-MESSAGE-TAGS`; other people's headers may say anything. */
  tags: { [name: string]: string };
  destination: string[];
};

/** What the text of a notification is. */
export type SesMessage =
  | { kind: "facts"; name: string; mail: SesMail; facts: SesFact[] }
  | { kind: "received"; json: { [name: string]: unknown } }
  /** SES's own word about the subscription, or something that is not SES's: nothing to do. */
  | { kind: "other"; what: string }
  /** It says that it is SES's, and is not what SES documents: kept for a person to see. */
  | { kind: "odd"; reason: string };

const MAX_NAME_CHARS = 100;

const text = z.string().catch("");
const optionalText = z.string().nullish().catch(null);
const recipients = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.array(z.object({ emailAddress: z.string(), ...shape }));

const mail = z.object({
  messageId: z.string().nullish().catch(null),
  timestamp: optionalText,
  destination: z.array(z.string()).catch([]),
  headers: z.array(z.object({ name: z.string(), value: z.string() })).catch([]),
  tags: z.record(z.string(), z.array(z.string())).catch({}),
});

const details = {
  Bounce: z.object({
    bounceType: z.string(),
    bounceSubType: text,
    bouncedRecipients: recipients({
      action: optionalText,
      status: optionalText,
      diagnosticCode: optionalText,
    }),
    timestamp: optionalText,
    feedbackId: optionalText,
  }),
  Complaint: z.object({
    complainedRecipients: recipients({}),
    complaintSubType: optionalText,
    complaintFeedbackType: optionalText,
    userAgent: optionalText,
    timestamp: optionalText,
    arrivalDate: optionalText,
    feedbackId: optionalText,
  }),
  Delivery: z.object({
    recipients: z.array(z.string()),
    timestamp: optionalText,
    smtpResponse: optionalText,
    processingTimeMillis: z.number().nullish().catch(null),
  }),
  DeliveryDelay: z.object({
    delayType: text,
    delayedRecipients: recipients({ status: optionalText, diagnosticCode: optionalText }),
    expirationTime: optionalText,
    timestamp: optionalText,
  }),
  Reject: z.object({ reason: text }),
  "Rendering Failure": z.object({ templateName: text, errorMessage: text }),
  Send: z.object({}),
  Open: z.object({ ipAddress: optionalText, userAgent: optionalText, timestamp: optionalText }),
  Click: z.object({
    ipAddress: optionalText,
    userAgent: optionalText,
    timestamp: optionalText,
    link: text,
  }),
  Subscription: z.object({
    contactList: text,
    source: text,
    timestamp: optionalText,
    newTopicPreferences: z
      .object({ unsubscribeAll: z.boolean().catch(false) })
      .catch({ unsubscribeAll: false }),
  }),
};

type Name = keyof typeof details;
type Told = Omit<SesFact, "key" | "agent">;

/** Where a dialect keeps the details; only one of them can be guessed from the event's name (protocols 2.1). */
const DETAIL_KEYS: Record<Name, string> = {
  Bounce: "bounce",
  Complaint: "complaint",
  Delivery: "delivery",
  DeliveryDelay: "deliveryDelay",
  Reject: "reject",
  "Rendering Failure": "failure",
  Send: "send",
  Open: "open",
  Click: "click",
  Subscription: "subscription",
};

const TYPES: Record<Name, EventType> = {
  Bounce: "message_bounced",
  Complaint: "message_complained",
  Delivery: "message_delivered",
  DeliveryDelay: "message_delayed",
  Reject: "message_rejected",
  "Rendering Failure": "message_rejected",
  Send: "provider_sent",
  Open: "provider_opened",
  Click: "provider_clicked",
  Subscription: "provider_preferences_changed",
};

/** Reads the text that SES published to a topic. */
export function parseSesMessage(message: string): SesMessage {
  const json = z.record(z.string(), z.unknown()).safeParse(parseJson(message)).data;
  if (json === undefined) return { kind: "other", what: "a text" };
  const name = json.eventType ?? json.notificationType;
  if (name === undefined) return { kind: "other", what: "not SES's" };
  if (name === "AmazonSnsSubscriptionSucceeded") return { kind: "other", what: name };
  if (name === "Received") return { kind: "received", json };
  if (!isName(name))
    return {
      kind: "odd",
      reason: `an event of a kind that is not known: ${JSON.stringify(name).slice(0, MAX_NAME_CHARS)}`,
    };
  return parseFacts(name, json);
}

function parseFacts(name: Name, json: { [key: string]: unknown }): SesMessage {
  const about = mail.safeParse(json.mail);
  if (!about.success) return { kind: "odd", reason: `a ${name} event without its mail` };
  const told = TELLERS[name](json[DETAIL_KEYS[name]]);
  if (told === null) return { kind: "odd", reason: `a ${name} event without what it is about` };
  const { messageId = null, headers, tags, destination } = about.data;
  const facts = told.map((fact) => ({ ...fact, agent: null, key: keyOf(name, messageId, fact) }));
  return {
    kind: "facts",
    name,
    mail: {
      sesMessageId: messageId?.trim() || null,
      messageIdHeader: headers.find((header) => /^message-id$/i.test(header.name))?.value.trim() ?? null,
      tags: Object.fromEntries(
        Object.entries(tags).flatMap(([tag, [value]]) => (value ? [[tag, value]] : [])),
      ),
      destination: destination.map(plainAddress),
    },
    // What names nobody is of the mail's one recipient, if it has one.
    facts: facts.map((fact) => ({ ...fact, recipient: fact.recipient ?? onlyOne(destination) })),
  };
}

/** The facts of each kind, from its details; null when they are not what SES documents. */
const TELLERS: Record<Name, (detail: unknown) => Told[] | null> = {
  Bounce: telling(details.Bounce, (bounce) =>
    bounce.bouncedRecipients.map((recipient) => ({
      ...told("Bounce", recipient.emailAddress, bounce.timestamp),
      effect: bounceEffect(bounce.bounceType, bounce.bounceSubType, {
        action: recipient.action ?? null,
        status: recipient.status ?? null,
        diagnosticCode: recipient.diagnosticCode ?? null,
      }),
      data: compact({
        bounceType: bounce.bounceType,
        bounceSubType: bounce.bounceSubType,
        status: recipient.status,
        action: recipient.action,
        diagnosticCode: recipient.diagnosticCode,
        feedbackId: bounce.feedbackId,
      }),
    })),
  ),
  Complaint: telling(details.Complaint, (complaint) =>
    complaint.complainedRecipients.map((recipient) => ({
      ...told("Complaint", recipient.emailAddress, complaint.timestamp),
      effect: complaintEffect(complaint.complaintFeedbackType ?? null),
      data: compact({
        complaintType: complaint.complaintFeedbackType,
        complaintSubType: complaint.complaintSubType,
        reporter: complaint.userAgent,
        arrivalDate: complaint.arrivalDate,
        feedbackId: complaint.feedbackId,
      }),
    })),
  ),
  Delivery: telling(details.Delivery, (delivery) =>
    delivery.recipients.map((recipient) => ({
      ...told("Delivery", recipient, delivery.timestamp),
      data: compact({
        smtpResponse: delivery.smtpResponse,
        processingTimeMillis: delivery.processingTimeMillis,
      }),
    })),
  ),
  DeliveryDelay: telling(details.DeliveryDelay, (delay) =>
    delay.delayedRecipients.map((recipient) => ({
      ...told("DeliveryDelay", recipient.emailAddress, delay.timestamp),
      data: compact({
        delayType: delay.delayType,
        expirationTime: delay.expirationTime,
        status: recipient.status,
        diagnosticCode: recipient.diagnosticCode,
      }),
    })),
  ),
  Reject: telling(details.Reject, ({ reason }) => [
    { ...told("Reject", null, null), data: { reason: `Amazon SES refused the message: ${reason}` } },
  ]),
  "Rendering Failure": telling(details["Rendering Failure"], ({ templateName, errorMessage }) => [
    { ...told("Rendering Failure", null, null), data: { reason: errorMessage, templateName } },
  ]),
  Send: telling(details.Send, () => [told("Send", null, null)]),
  Open: telling(details.Open, (open) => [
    {
      ...told("Open", null, open.timestamp),
      userAgent: open.userAgent ?? null,
      ip: open.ipAddress ?? null,
    },
  ]),
  Click: telling(details.Click, (click) => [
    {
      ...told("Click", null, click.timestamp),
      userAgent: click.userAgent ?? null,
      ip: click.ipAddress ?? null,
      data: { clickedUrl: click.link },
    },
  ]),
  Subscription: telling(details.Subscription, (change) => [
    {
      ...told("Subscription", null, change.timestamp),
      effect: change.newTopicPreferences.unsubscribeAll
        ? { kind: "suppress", reason: "unsubscribe" }
        : { kind: "none" },
      data: {
        contactList: change.contactList,
        source: change.source,
        unsubscribeAll: change.newTopicPreferences.unsubscribeAll,
      },
    },
  ]),
};

function telling<Detail>(schema: z.ZodType<Detail>, tell: (detail: Detail) => Told[]) {
  return (detail: unknown): Told[] | null => {
    const parsed = schema.safeParse(detail);
    return parsed.success ? tell(parsed.data) : null;
  };
}

function told(name: Name, recipient: string | null, timestamp: string | null | undefined): Told {
  return {
    type: TYPES[name],
    recipient: recipient === null ? null : plainAddress(recipient),
    at: readTime(timestamp),
    userAgent: null,
    ip: null,
    data: {},
    effect: { kind: "none" },
  };
}

function compact(data: { [name: string]: Json | undefined }): { [name: string]: Json } {
  const present: { [name: string]: Json } = {};
  for (const [name, value] of Object.entries(data))
    if (value !== undefined && value !== null && value !== "") present[name] = storable(value);
  return present;
}

/** Without the NUL characters and halves of surrogate pairs that PostgreSQL refuses. */
function storable(value: Json): Json {
  return typeof value === "string" ? value.toWellFormed().replaceAll("\0", "") : value;
}

/**
 * SES names its feedback, and the same feedback in both dialects by the same name. What it does not name is told
 * apart by its time, which openings and clicks that are truly several have each of their own.
 */
function keyOf(name: Name, sesMessageId: string | null | undefined, fact: Told): string {
  const { feedbackId } = fact.data;
  const which = typeof feedbackId === "string" ? feedbackId : (fact.at?.toISOString() ?? "");
  const link = fact.data.clickedUrl ?? "";
  return JSON.stringify(["ses", name, sesMessageId ?? "", fact.recipient ?? "", which, link]);
}

/** `Ann <ann@example.com>` and `<ann@example.com>` are ann@example.com. */
export function plainAddress(address: string): string {
  const inside = /<([^<>]*)>\s*$/.exec(address)?.[1] ?? address;
  return inside.trim().toLowerCase();
}

/** ISO 8601, and what the guide shows beside it: `2018-10-08T14:05:45 +0000`. */
export function readTime(timestamp: string | null | undefined): Date | null {
  if (timestamp === null || timestamp === undefined) return null;
  const iso = timestamp.trim().replace(/ ?([+-]\d{2}):?(\d{2})$/, "$1:$2");
  const time = /^\d{4}-\d{2}-\d{2}T/.test(iso) ? Date.parse(iso) : Number.NaN;
  return Number.isNaN(time) ? null : new Date(time);
}

function onlyOne(destination: readonly string[]): string | null {
  const [first] = destination;
  return destination.length === 1 && first !== undefined ? plainAddress(first) : null;
}

function isName(name: unknown): name is Name {
  return typeof name === "string" && Object.hasOwn(details, name);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
