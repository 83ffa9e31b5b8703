import { z } from "zod";
import type { EventType, Json } from "../../events/event.ts";
import { bounceEffect, complaintEffect, type Effect } from "./bounce.ts";

/** One thing that happened to a mail, for one recipient, as an event's details tell it. */
export type Told = {
  type: EventType;
  /** Plain and in lower case, of whom it is said; null where nobody is named. */
  recipient: string | null;
  /** Null when the fact has no time of its own. */
  at: Date | null;
  userAgent: string | null;
  ip: string | null;
  data: { [name: string]: Json };
  /** What the address is in for. */
  effect: Effect;
};

const text = z.string().catch("");
export const optionalText = z.string().nullish().catch(null);
const recipients = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.array(z.object({ emailAddress: z.string(), ...shape }));

/** What SES documents of each event, under its own names (protocols 2.3); what may be missing is missing. */
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

/** SES's name of an event, the same in both dialects. */
export type Name = keyof typeof details;

/** Where a dialect keeps the details; only one of them can be guessed from the event's name (protocols 2.1). */
export const DETAIL_KEYS: Record<Name, string> = {
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

/** The facts of each kind, from its details; null when they are not what SES documents. */
export const TELLERS: Record<Name, (detail: unknown) => Told[] | null> = {
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

export function isName(name: unknown): name is Name {
  return typeof name === "string" && Object.hasOwn(details, name);
}
