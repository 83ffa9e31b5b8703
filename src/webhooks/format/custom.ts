import type { Agent, EventType, Json } from "../../events/event.ts";
import type { Told } from "../told.ts";

/** What a program is told: `{type, timestamp, data}`, as Standard Webhooks has it. Payload version 1. */
export type CustomEvent = {
  type: EventType;
  /** When it happened, ISO 8601 in UTC. */
  timestamp: string;
  data: {
    /** The event's: a receiver that has seen it has seen this event. */
    id: string;
    customerId: string;
    campaignId: string | null;
    campaignName: string | null;
    nodeId: string | null;
    runId: string | null;
    messageId: string | null;
    contactId: string | null;
    contact: { email: string | null; telegramChatId: number | null } | null;
    agent: Agent | null;
    agentRule: string | null;
    userAgent: string | null;
    ip: string | null;
    /** An example that somebody asked for: nothing has happened. */
    isTest: boolean;
    data: { [key: string]: Json };
  };
};

/** The event for a program. */
export function customEvent(told: Told, { isTest }: { isTest: boolean }): CustomEvent {
  const { contact, campaign } = told;
  return {
    type: told.type,
    timestamp: told.at.toISOString(),
    data: {
      id: told.eventId,
      customerId: told.customerId,
      campaignId: campaign?.id ?? null,
      campaignName: campaign?.name ?? null,
      nodeId: told.nodeId,
      runId: told.runId,
      messageId: told.messageId,
      contactId: contact?.id ?? null,
      contact: contact === null ? null : { email: contact.email, telegramChatId: contact.telegramChatId },
      agent: told.agent,
      agentRule: told.agentRule,
      userAgent: told.userAgent,
      ip: told.ip,
      isTest,
      data: told.data,
    },
  };
}
