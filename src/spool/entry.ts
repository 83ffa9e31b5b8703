import { z } from "zod";
import { AGENTS, EVENT_TYPES, type Event } from "../events/event.ts";
import type { SubscriptionHit } from "../tracking/queries.ts";

/** What the spool keeps: an event as it is, or a person's request that becomes one in the database. */
export type Entry =
  | { kind: "event"; event: Event }
  | { kind: "unsubscribe" | "resubscribe"; hit: SubscriptionHit };

/** An entry as it lies in the file. `id` is the event's: the key by which the database takes it once. */
export type EntryRow = { id: string; kind: Entry["kind"]; body: string };

const time = z.iso.datetime().transform((text) => new Date(text));
const agent = z.enum(AGENTS);

const event = z.object({
  id: z.string(),
  type: z.enum(EVENT_TYPES),
  at: time,
  customerId: z.string(),
  campaignId: z.string().nullable(),
  runId: z.string().nullable(),
  messageId: z.string().nullable(),
  contactId: z.string().nullable(),
  agent: agent.nullable(),
  agentRule: z.string().nullable(),
  userAgent: z.string().nullable(),
  ip: z.string().nullable(),
  data: z.record(z.string(), z.json()),
});

const subscriptionHit = z.object({
  eventId: z.string(),
  customerId: z.string(),
  messageId: z.string(),
  at: time,
  agent,
  agentRule: z.string(),
  userAgent: z.string().nullable(),
  ip: z.string().nullable(),
  via: z.enum(["link", "button", "one_click"]),
});

export function encodeEntry(entry: Entry): EntryRow {
  return entry.kind === "event"
    ? { id: entry.event.id, kind: entry.kind, body: JSON.stringify(entry.event) }
    : { id: entry.hit.eventId, kind: entry.kind, body: JSON.stringify(entry.hit) };
}

/** @throws SyntaxError or ZodError for what this version can't read */
export function decodeEntry({ kind, body }: EntryRow): Entry {
  const value: unknown = JSON.parse(body);
  return kind === "event" ? { kind, event: event.parse(value) } : { kind, hit: subscriptionHit.parse(value) };
}
