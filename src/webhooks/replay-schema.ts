import { z } from "@hono/zod-openapi";
import { id, time } from "../http/fields.ts";
import { patterns } from "./endpoint-schema.ts";
import {
  campaignIds,
  endpointIds as endpointIdsField,
  moment as momentField,
  reason,
  unique,
} from "./fields.ts";
import { PAYLOADS, REPLAY_STATUSES, WHICH } from "./replay.ts";

const MAX_EVENTS = 100;

/** As it is kept with the replay. */
const moment = momentField.transform((time) => time?.toISOString() ?? null).nullable();

const filterFields = {
  from: moment.openapi({
    type: ["string", "null"],
    format: "date-time",
    description: "Of what EDGR learnt of then or later; null: from the beginning of the log.",
    example: "2026-03-06T20:00:00.000Z",
  }),
  to: moment.openapi({
    type: ["string", "null"],
    format: "date-time",
    description: "Of what EDGR learnt of before; null: to its end, as it is now.",
    example: "2026-03-07T20:00:00.000Z",
  }),
  eventTypes: patterns.nullable().openapi({
    description: "Types of `GET /api/v1/event-types`; `*` stands for any characters; null: all.",
    example: ["email_*"],
  }),
  campaignIds: campaignIds.openapi({ description: "Only what is of these campaigns.", example: null }),
  contactId: id().nullable().openapi({ description: "Only what is of this contact.", example: null }),
  messageId: id().nullable().openapi({ description: "Only what is of this message.", example: null }),
  eventIds: z
    .array(id())
    .min(1, "must name at least one event; null stands for all")
    .max(MAX_EVENTS, `must have at most ${MAX_EVENTS} events`)
    .transform(unique)
    .nullable()
    .openapi({
      description: "Only these events. What a digest gathers is replayed only when it is named here.",
      example: null,
    }),
};

export const replayFilter = z
  .strictObject({
    from: filterFields.from.default(null),
    to: filterFields.to.default(null),
    eventTypes: filterFields.eventTypes.default(null),
    campaignIds: filterFields.campaignIds.default(null),
    contactId: filterFields.contactId.default(null),
    messageId: filterFields.messageId.default(null),
    eventIds: filterFields.eventIds.default(null),
  })
  .refine(({ from, to }) => from === null || to === null || from < to, {
    path: ["to"],
    message: "must be after from",
  })
  .openapi("WebhookReplayFilter", { description: "Which events: what is given must all be so." });

const endpointIds = endpointIdsField.openapi({ description: "Whom to tell." });

const which = z.enum(WHICH).openapi({
  description:
    "`failed`: deliveries that have failed or were cancelled. `missing`: events that were never owed to the endpoint, " +
    "because it was disabled, not there yet or told of other things, and that it would be told of as it is set now. " +
    "`all`: both, and what was delivered. What is pending is left as it is.",
  example: "missing",
});

const payload = z.enum(PAYLOADS).openapi({
  description: "`original`: the bytes that were sent first, where there are any; `anew`: as it is told now.",
  example: "original",
});

const ratePerSecond = z.number().min(0.01).max(10_000).nullable().openapi({
  description: "Deliveries a second to each endpoint; null: as fast as it takes them.",
  example: null,
});

export const newReplay = z
  .strictObject({
    filter: replayFilter,
    endpointIds,
    which,
    payload: payload.default("original"),
    ratePerSecond: ratePerSecond.default(null),
    reason: reason.default(null),
    dryRun: z.boolean().default(false).openapi({ description: "Counts, and starts nothing." }),
  })
  .openapi("NewWebhookReplay");

export const replayChange = z
  .strictObject({
    status: z
      .enum(["running", "paused", "cancelled"], { error: () => 'must be "running", "paused" or "cancelled"' })
      .optional(),
    ratePerSecond: ratePerSecond.optional(),
    reason: reason.default(null),
  })
  .openapi("WebhookReplayChange");

const count = (description: string, example: number) =>
  z.int().openapi({ type: "integer", description, example });

export const replay = z
  .object({
    id: id(),
    status: z.enum(REPLAY_STATUSES).openapi({
      description: "One that fails over and over is paused, with `lastError`.",
      example: "running",
    }),
    filter: z.object(filterFields),
    endpointIds,
    which,
    payload,
    ratePerSecond,
    reason,
    createdBy: z.string().openapi({ description: "The name of the API key.", example: "production" }),
    total: z
      .int()
      .nullable()
      .openapi({
        type: ["integer", "null"],
        description: "Events of the log in the range; null: over a million.",
        example: 100_000,
      }),
    scanned: count("How many of them were looked at.", 40_000),
    matched: count("Of these, the events that fit the filter.", 12_000),
    opened: count("Deliveries that were made or opened again.", 11_500),
    lastError: z.string().nullable().openapi({ example: null }),
    createdAt: time(),
    updatedAt: time(),
    finishedAt: time().nullable().openapi({
      description: "Of a cancelled one: when nothing it had opened was pending any more.",
    }),
  })
  .openapi("WebhookReplay");

export const replayInProgress = replay
  .extend({
    deliveries: z
      .object({
        pending: count("Still to be delivered.", 500),
        delivered: count("Delivered.", 10_990),
        failed: count("Failed for good.", 10),
        cancelled: count("Cancelled before they were delivered.", 0),
      })
      .openapi({ description: "What became of what it opened, but for what another replay opened since." }),
  })
  .openapi("WebhookReplayInProgress");

export const replayCount = z
  .object({
    matched: z.object({
      events: count("Events that fit the filter.", 12_000),
      byEndpoint: z.array(
        z.object({
          endpointId: id(),
          failed: count("Their deliveries that have failed or were cancelled.", 40),
          missing: count("Never owed to it, and it would be told of them now.", 11_460),
          delivered: count("Their deliveries that were made.", 500),
          pending: count("Their deliveries that are still to be made.", 0),
          filtered: count("Never owed to it, and it would not be told of them now either.", 0),
          total: count("All that are not `filtered`.", 12_000),
          toOpen: count("What the replay would make or open again.", 11_460),
        }),
      ),
      byType: z.array(
        z.object({
          type: z.string().openapi({ example: "email_opened" }),
          events: count("Of this type.", 12_000),
        }),
      ),
    }),
    scanned: count("Events of the log that were looked at.", 100_000),
    isExact: z.boolean().openapi({
      description: "false: there are more than could be counted: a million, or 10 seconds' worth.",
      example: true,
    }),
  })
  .openapi("WebhookReplayCount");
