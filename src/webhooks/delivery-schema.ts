import { z } from "@hono/zod-openapi";
import { id, time } from "../http/fields.ts";
import { pageQuery } from "../http/pagination.ts";
import { DELIVERY_STATUSES, type DeliveryFilter, TRIGGERS } from "./delivery-scan-queries.ts";
import { PATTERN, patternProblem, toLikePattern } from "./event-pattern.ts";
import { moment } from "./fields.ts";
import { ENDPOINT_TYPES } from "./told.ts";
import { WAITING } from "./waiting.ts";

export const status = z
  .enum(DELIVERY_STATUSES, { error: () => `must be one of ${DELIVERY_STATUSES.join(", ")}` })
  .openapi({ example: "failed" });

const trigger = z.enum(TRIGGERS, { error: () => `must be one of ${TRIGGERS.join(", ")}` }).openapi({
  description: "What the present schedule began with: by itself, by a retry or resend, by a replay.",
  example: "automatic",
});

// What a digest gathers is no type of the catalogue.
const eventType = z
  .string()
  .superRefine((pattern, context) => {
    const problem = PATTERN.test(pattern) && pattern === "digest" ? null : patternProblem(pattern);
    if (problem !== null) context.addIssue({ code: "custom", message: problem });
  })
  .openapi({
    description: "A type of `GET /api/v1/event-types`, `*` standing for any characters, or `digest`.",
    example: "email_*",
  });

const filterFields = {
  endpointId: id().optional(),
  status: status.optional(),
  eventType: eventType.optional(),
  campaignId: id().optional(),
  contactId: id().optional(),
  messageId: id().optional(),
  eventId: id().optional(),
  trigger: trigger.optional(),
  from: moment.optional().openapi({
    type: "string",
    format: "date-time",
    description: "Of what became due then or later for the first time.",
    example: "2026-03-06T20:00:00Z",
  }),
  to: moment.optional().openapi({
    type: "string",
    format: "date-time",
    description: "Of what became due before that for the first time.",
    example: "2026-03-07T20:00:00Z",
  }),
};

export const deliveryQuery = z.object({ ...pageQuery, ...filterFields });

export const filterSchema = z.strictObject(filterFields);

export type GivenFilter = z.infer<typeof filterSchema>;

/** What was given, with null for what was not. */
export function filterOf(given: GivenFilter): DeliveryFilter {
  return {
    endpointId: given.endpointId ?? null,
    status: given.status ?? null,
    typePattern: given.eventType === undefined ? null : toLikePattern(given.eventType),
    campaignId: given.campaignId ?? null,
    contactId: given.contactId ?? null,
    messageId: given.messageId ?? null,
    eventId: given.eventId ?? null,
    trigger: given.trigger ?? null,
    from: given.from ?? null,
    to: given.to ?? null,
  };
}

export const whole = (description: string, example: number) =>
  z.int().openapi({ type: "integer", description, example });

const wholeOrNull = (description: string, example: number | null) =>
  z
    .int()
    .nullable()
    .openapi({ type: ["integer", "null"], description, example });

const fields = {
  id: id(),
  endpoint: z
    .object({
      id: id(),
      type: z.enum(ENDPOINT_TYPES).nullable().openapi({ example: "custom" }),
      url: z.string().nullable().openapi({ example: "https://example.com/hooks/edgr" }),
    })
    .openapi("WebhookDeliveryEndpoint", {
      description: "As it is now; without `type` and `url` when it has been deleted.",
    }),
  kind: z.enum(["event", "digest", "test"]).openapi({ example: "event" }),
  eventId: id().openapi({ description: "The event's; of a digest or a test, one of its own." }),
  webhookId: z.string().openapi({
    description: "The header `webhook-id`: the same over retries and replays.",
    example: "evt_01989c2a7d3c7cc398c4dc0c0c07398f",
  }),
  eventType: z.string().openapi({ description: "`digest` for one.", example: "email_clicked" }),
  eventAt: time(),
  campaignId: id().nullable(),
  contactId: id().nullable(),
  messageId: id().nullable(),
  status,
  attempts: whole("That were made, of all schedules.", 2),
  trigger,
  replayId: id().nullable().openapi({ description: "The replay that opened it last.", example: null }),
  nextAttemptAt: time().nullable().openapi({
    description:
      "Of one that is pending: the earliest time of its next attempt, or the end of the present one.",
  }),
  lastStatus: wholeOrNull("HTTP status of the last answer.", 503),
  lastFailure: z.string().nullable().openapi({ example: "The server answered 503 Service Unavailable." }),
  lastAttemptAt: time().nullable(),
  finishedAt: time().nullable().openapi({ example: null }),
  createdAt: time(),
};

export const delivery = z.object(fields).openapi("WebhookDelivery");

const headers = z
  .record(z.string(), z.unknown())
  .nullable()
  .openapi({
    type: ["object", "null"],
    additionalProperties: true,
    example: { "Content-Type": "application/json" },
  });

const milliseconds = z.number().nullable();

export const attempt = z
  .object({
    id: id(),
    number: whole("The first is 1.", 2),
    trigger,
    startedAt: time(),
    finishedAt: time().nullable(),
    outcome: z.enum(["running", "delivered", "failed", "interrupted"]).openapi({
      description: "`interrupted`: the process that made it died before it saw an answer; it was made again.",
      example: "failed",
    }),
    status: wholeOrNull("Of the answer.", 503),
    failure: z.string().nullable().openapi({ description: "Its class, for programs.", example: "http_503" }),
    reason: z.string().nullable().openapi({ example: "The server answered 503 Service Unavailable." }),
    address: z.string().nullable().openapi({ description: "That was connected to.", example: "203.0.113.9" }),
    timings: z
      .record(z.string(), milliseconds)
      .nullable()
      .openapi({
        type: ["object", "null"],
        additionalProperties: { type: ["number", "null"] },
        description:
          "Milliseconds since the request began; null for what a connection kept from before did not need.",
        example: { dnsMs: 3.1, connectMs: 21.4, tlsMs: 48.9, firstByteMs: 80.3, totalMs: 84.2 },
      }),
    requestHeaders: headers.openapi({ description: "With ••• for the values of headers of yours." }),
    responseHeaders: headers,
    responseBody: z.string().nullable().openapi({ description: "Its first 16 kB.", example: "Try later" }),
    isTruncated: z.boolean().nullable().openapi({ example: false }),
  })
  .openapi("WebhookAttempt");

const waiting = z
  .object({
    code: z.enum(WAITING).openapi({ example: "schedule" }),
    until: time().nullable(),
    reason: z.string().openapi({ example: "Its next attempt is due then." }),
  })
  .openapi("WebhookDeliveryWaiting");

const verification = z
  .object({
    id: z.string().openapi({ example: "evt_01989c2a7d3c7cc398c4dc0c0c07398f" }),
    timestamp: z.string().openapi({ description: "Unix seconds, of the attempt.", example: "1772827226" }),
    signature: z.string().openapi({
      description: "The header `webhook-signature`: one of each key, with spaces in between.",
      example: "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    }),
    signedContent: z.string().openapi({
      description:
        "What is signed: `webhook-id`, `webhook-timestamp` and the body, byte for byte, with dots in between.",
      example: 'evt_01989c2a7d3c7cc398c4dc0c0c07398f.1772827226.{"type":"email_clicked",…}',
    }),
    secrets: z
      .array(
        z.object({
          id: id(),
          last4: z.string().openapi({ example: "aSw=" }),
          isVerified: z.boolean().openapi({ example: true }),
        }),
      )
      .openapi({
        description: "Those that sign now, newest first: one that is newer than the attempt did not sign it.",
      }),
    publicKey: z.object({
      key: z.string().openapi({ example: "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=" }),
      isVerified: z.boolean().openapi({ example: true }),
    }),
    isRecent: z.boolean().openapi({
      description: "Receivers refuse a timestamp that is more than five minutes away.",
      example: false,
    }),
  })
  .openapi("WebhookVerification");

export const deliveryDetail = z
  .object({
    ...fields,
    waiting: waiting.nullable().openapi({
      description: "Of one that is pending: what it waits for. null for the others.",
    }),
    payload: z.string().nullable().openapi({
      description:
        "The request's body, byte for byte. null: nothing was sent, and its event or its endpoint is gone, or can't be put into words.",
      example: '{"type":"email_clicked",…}',
    }),
    payloadIs: z.enum(["kept", "preview"]).nullable().openapi({
      description:
        "`kept`: what was sent, or will be. `preview`: nothing is kept yet; as it would be put now.",
      example: "kept",
    }),
    attemptList: z.array(attempt).openapi({ description: "Newest first, the last 100 at most." }),
    hasMoreAttempts: z.boolean().openapi({ description: "`GET …/attempts` lists them all.", example: false }),
    curl: z
      .string()
      .nullable()
      .openapi({
        description:
          "A shell command that makes the last request again. What is secret comes from variables: `$WEBHOOK_URL`, " +
          "`$HEADER_AUTHORIZATION`. null when none was made, or its bytes are not kept any more.",
        example: "curl --globoff --request POST --url 'https://example.com/hooks/edgr' …",
      }),
    verification: verification.nullable().openapi({
      description:
        "How to verify the last request's signature, and which keys do. null for chats, which check none.",
    }),
  })
  .openapi("WebhookDeliveryDetail");
