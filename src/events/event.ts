/**
 * Every fact EDGR records. Immutable once appended; everything else (activity, outputs, counters, statuses,
 * fired edges) is derived from these by the projector.
 */
export const EVENT_TYPES = [
  "message_queued",
  "message_sent",
  "message_failed",
  "message_uncertain",
  "message_delivered",
  "message_bounced",
  "message_delayed",
  "message_complained",
  "message_rejected",
  "email_opened",
  "email_clicked",
  "unsubscribed",
  "resubscribed",
  "topic_left",
  "topic_rejoined",
  "message_received",
  "auto_reply_received",
  "message_reacted",
  "contact_blocked",
  "contact_unblocked",
  "contact_suppressed",
  "campaign_started",
  "campaign_completed",
  "run_completed",
  "run_failed",
  "timer_elapsed",
  "endpoint_disabled",
  // Told by a provider of its own accord: activity and nothing else, no status, counter or edge. Of preferences, that
  // somebody wants no mail any more is followed.
  "provider_sent",
  "provider_opened",
  "provider_clicked",
  "provider_preferences_changed",
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

/**
 * Who made a hit: a person, an image proxy that fetches when a person opens, a privacy proxy that fetches
 * whether or not anybody opens, or a machine that checks links.
 */
export const AGENTS = ["human", "proxy", "prefetch", "scanner"] as const;

export type Agent = (typeof AGENTS)[number];

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export type Event = {
  /** UUIDv7, the idempotency key everywhere: appending the same id twice changes nothing. */
  id: string;
  type: EventType;
  /** When it happened; the id's own time is when EDGR learnt of it. */
  at: Date;
  customerId: string;
  campaignId: string | null;
  runId: string | null;
  messageId: string | null;
  contactId: string | null;
  agent: Agent | null;
  /** Which classification rule decided `agent`. */
  agentRule: string | null;
  userAgent: string | null;
  /** As seen at the edge; the log keeps it whole, truncated or not at all, as the customer chose. */
  ip: string | null;
  data: { [key: string]: Json };
};

/** An event with everything that does not apply to it left empty. */
export function newEvent(event: Pick<Event, "id" | "type" | "at" | "customerId"> & Partial<Event>): Event {
  return {
    campaignId: null,
    runId: null,
    messageId: null,
    contactId: null,
    agent: null,
    agentRule: null,
    userAgent: null,
    ip: null,
    data: {},
    ...event,
  };
}
