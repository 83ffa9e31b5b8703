import type { Agent, EventType, Json } from "../events/event.ts";

export const ENDPOINT_TYPES = ["custom", "slack", "discord"] as const;

export type EndpointType = (typeof ENDPOINT_TYPES)[number];

/** Endpoints that people read: only these gather events into digests. */
export type ChatType = Exclude<EndpointType, "custom">;

/** As it was called when it was told. */
export type ToldCampaign = { id: string; name: string };

export type ToldContact = {
  id: string;
  email: string | null;
  telegramChatId: number | null;
  attributes: { [name: string]: Json };
};

/** An event with what a reader wants to know of what it is about. Nothing in it can be trusted to be harmless. */
export type Told = {
  eventId: string;
  type: EventType;
  /** When it happened. */
  at: Date;
  customerId: string;
  campaign: ToldCampaign | null;
  nodeId: string | null;
  runId: string | null;
  messageId: string | null;
  /** Null: the event is of nobody, or the contact has been deleted. */
  contact: ToldContact | null;
  agent: Agent | null;
  agentRule: string | null;
  userAgent: string | null;
  ip: string | null;
  /** The event's own. */
  data: { [key: string]: Json };
};

/** How many events of a type a digest tells of. */
export type DigestCount = {
  type: EventType;
  campaign: ToldCampaign | null;
  count: number;
  /** Of the campaign so far, this digest included; null where nobody counts that. */
  total: number | null;
};

/** What happened between two moments, of what an endpoint gathers. */
export type DigestTold = { id: string; from: Date; to: Date; counts: DigestCount[] };
