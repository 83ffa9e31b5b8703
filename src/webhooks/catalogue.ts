import { z } from "zod";
import { AGENTS, type Json } from "../events/event.ts";
import type { CatalogueType } from "./catalogue-types.ts";
import { EVENT_DATA } from "./event-data.ts";
import { EXAMPLE_DATA } from "./event-examples.ts";
import { customEvent } from "./format/custom.ts";
import type { Told } from "./told.ts";

/** Which shape of payload the schemas describe; an endpoint keeps the one that it was made with. */
export const PAYLOAD_VERSION = 1;

/** A type of event as the catalogue has it. */
export type CatalogueEntry = {
  type: CatalogueType;
  description: string;
  payloadVersion: number;
  /** JSON Schema 2020-12 of the whole payload of a `custom` endpoint. */
  schema: { [key: string]: unknown };
  example: { [key: string]: Json };
};

export function catalogueEntry(type: CatalogueType): CatalogueEntry {
  const told = exampleTold(type, {
    customerId: EXAMPLE_IDS.customer,
    eventId: EXAMPLE_IDS.event,
    at: EXAMPLE_AT,
  });
  return {
    type,
    description: EVENT_DATA[type].description,
    payloadVersion: PAYLOAD_VERSION,
    schema: z.toJSONSchema(payloadSchema(type)),
    example: customEvent(told, { isTest: false }),
  };
}

/** What a `custom` endpoint gets for an event of a type. */
export function payloadSchema(type: CatalogueType) {
  const idOrNull = z.uuid().nullable();
  const textOrNull = z.string().nullable();
  return z.looseObject({
    type: z.literal(type),
    timestamp: z.iso.datetime().describe("When it happened"),
    data: z.looseObject({
      id: z.uuid().describe("The event's: the same over retries and replays"),
      customerId: z.uuid(),
      campaignId: idOrNull,
      campaignName: textOrNull,
      nodeId: textOrNull,
      runId: idOrNull,
      messageId: idOrNull,
      contactId: idOrNull,
      contact: z.looseObject({ email: textOrNull, telegramChatId: z.int().nullable() }).nullable(),
      agent: z.enum(AGENTS).nullable().describe("Who made it: a person, or what kind of machine"),
      agentRule: textOrNull,
      userAgent: textOrNull,
      ip: textOrNull,
      isTest: z.boolean().describe("An example that somebody asked for"),
      data: EVENT_DATA[type].data,
    }),
  });
}

/** An event as it might be, of a customer, about nobody there is. */
export function exampleTold(
  type: CatalogueType,
  { customerId, eventId, at }: { customerId: string; eventId: string; at: Date },
): Told {
  const isHit = HITS.has(type);
  const isOfCampaign = type !== "endpoint_disabled";
  return {
    eventId,
    type,
    at,
    customerId,
    campaign: isOfCampaign ? { id: EXAMPLE_IDS.campaign, name: "Welcome" } : null,
    nodeId: isOfCampaign ? "hello" : null,
    runId: isOfCampaign ? EXAMPLE_IDS.run : null,
    messageId: isOfCampaign && !type.startsWith("campaign_") ? EXAMPLE_IDS.message : null,
    contact: isOfCampaign ? EXAMPLE_CONTACT : null,
    agent: isHit ? "human" : null,
    agentRule: isHit ? "default" : null,
    userAgent: isHit ? "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" : null,
    ip: isHit ? "203.0.113.7" : null,
    data: EXAMPLE_DATA[type],
  };
}

const HITS: ReadonlySet<string> = new Set(["email_opened", "email_clicked", "unsubscribed", "resubscribed"]);

const EXAMPLE_AT = new Date("2026-03-06T20:00:26.893Z");

const EXAMPLE_IDS = {
  customer: "01989c2a-7d3c-7cc3-98c4-dc0c0c073910",
  event: "01989c2a-7d3c-7cc3-98c4-dc0c0c073911",
  campaign: "01989c2a-7d3c-7cc3-98c4-dc0c0c073912",
  run: "01989c2a-7d3c-7cc3-98c4-dc0c0c073913",
  message: "01989c2a-7d3c-7cc3-98c4-dc0c0c073914",
};

const EXAMPLE_CONTACT = {
  id: "01989c2a-7d3c-7cc3-98c4-dc0c0c073915",
  email: "ann@example.com",
  telegramChatId: null,
  attributes: { firstName: "Ann" },
};
