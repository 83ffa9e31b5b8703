import { z } from "@hono/zod-openapi";
import { MAX_URL_CHARS } from "../egress/url.ts";
import { id, lines, time } from "../http/fields.ts";
import { patternProblem } from "./event-pattern.ts";
import { campaignIds, MAX_REASON_CHARS, unique } from "./fields.ts";
import { headerProblem } from "./header-names.ts";
import { ENDPOINT_TYPES } from "./told.ts";

const MAX_PATTERNS = 50;
const MAX_HEADERS = 20;
const MAX_ATTEMPTS = 20;
const DAY_S = 86_400;
const MAX_SCHEDULE_S = 5 * DAY_S;
const MAX_OVERLAP_S = 7 * DAY_S;

export const patterns = z
  .array(
    z.string().superRefine((pattern, context) => {
      const problem = patternProblem(pattern);
      if (problem !== null) context.addIssue({ code: "custom", message: problem });
    }),
  )
  .min(1, "must name at least one type; * stands for all")
  .max(MAX_PATTERNS, `must have at most ${MAX_PATTERNS} patterns`)
  .transform(unique);

const type = z.enum(ENDPOINT_TYPES, { error: () => 'must be "custom", "slack" or "discord"' });

const headers = z
  .record(z.string(), z.string())
  .superRefine((all, context) => {
    const names = Object.keys(all);
    const refuse = (message: string, path: string[] = []) =>
      context.addIssue({ code: "custom", message, path });
    if (names.length > MAX_HEADERS) refuse(`must have at most ${MAX_HEADERS} headers`);
    for (const [index, name] of names.entries()) {
      const problem = headerProblem(name, all[name] ?? "");
      if (problem !== null) refuse(problem, [name]);
      const isRepeated = names.slice(0, index).some((other) => other.toLowerCase() === name.toLowerCase());
      if (isRepeated) refuse("is given twice, in another case", [name]);
    }
  })
  .openapi({
    type: "object",
    additionalProperties: { type: "string" },
    writeOnly: true,
    description: "Sent with every request. Kept encrypted; only their names are ever returned.",
    example: { Authorization: "Bearer …" },
  });

const fields = {
  description: lines(1_000).nullable().openapi({ example: "The CRM" }),
  eventTypes: patterns.openapi({
    description: "Types of `GET /api/v1/event-types`; `*` stands for any characters.",
    example: ["email_*", "unsubscribed"],
  }),
  campaignIds: campaignIds.openapi({
    description: "Only what is of these campaigns; null: everything, also what is of none.",
    example: null,
  }),
  includeAutomatic: z.boolean().openapi({
    description: "Also the opens and clicks of machines: privacy proxies and link checkers.",
    example: false,
  }),
  ratePerSecond: z
    .number()
    .min(0.01)
    .max(10_000)
    .nullable()
    .openapi({ description: "Requests a second at most; null: as fast as it answers.", example: null }),
  maxConcurrency: z.int().min(1).max(100).openapi({
    type: "integer",
    minimum: 1,
    maximum: 100,
    description: "Requests at once, at most.",
    example: 10,
  }),
  strictOrder: z.boolean().openapi({
    description: "One after the other in the order of the log: one that fails holds up those behind it.",
    example: false,
  }),
  digestSeconds: z
    .int()
    .min(10)
    .max(DAY_S)
    .nullable()
    .openapi({
      type: ["integer", "null"],
      description: "Chats only: how long `digestTypes` are gathered into one message; null: never.",
      example: null,
    }),
  digestTypes: patterns.openapi({
    description: "Chats only: what is gathered; everything else is told at once.",
    example: ["email_opened", "email_clicked"],
  }),
  retrySchedule: z
    .array(z.int().min(0).max(DAY_S))
    .min(1)
    .max(MAX_ATTEMPTS, `must have at most ${MAX_ATTEMPTS} attempts`)
    .refine((waits) => waits.reduce((sum, wait) => sum + wait, 0) <= MAX_SCHEDULE_S, "must end within 5 days")
    .nullable()
    .openapi({
      type: ["array", "null"],
      items: { type: "integer", minimum: 0, maximum: DAY_S },
      description:
        "Seconds to wait before each attempt, the first one included. null: 0, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, " +
        "14 h, 20 h, 24 h. Each is spread by 20 % both ways.",
      example: null,
    }),
};

const url = z
  .string()
  .max(MAX_URL_CHARS, `must have at most ${MAX_URL_CHARS} characters`)
  .openapi({ format: "uri", description: "Kept encrypted.", example: "https://example.com/hooks/edgr" });

// What a chat gathers and how fast it may be written to have defaults of their own, by type.
export const newEndpoint = z
  .strictObject({
    type,
    url,
    ...fields,
    description: fields.description.default(null),
    eventTypes: fields.eventTypes.default(["*"]),
    campaignIds: fields.campaignIds.default(null),
    includeAutomatic: fields.includeAutomatic.default(false),
    headers: headers.default({}),
    ratePerSecond: fields.ratePerSecond.optional(),
    maxConcurrency: fields.maxConcurrency.optional(),
    strictOrder: fields.strictOrder.default(false),
    digestSeconds: fields.digestSeconds.optional(),
    digestTypes: fields.digestTypes.optional(),
    retrySchedule: fields.retrySchedule.default(null),
  })
  .openapi("NewWebhookEndpoint");

export type NewEndpoint = z.infer<typeof newEndpoint>;

export const endpointChange = z
  .strictObject({ url, ...fields, headers })
  .partial()
  .openapi("WebhookEndpointChange", {
    description:
      "What is not given stays: secrets and keys always, also with another `url`. `headers` are replaced as a whole.",
  });

export type EndpointChange = z.infer<typeof endpointChange>;

const health = z
  .object({
    consecutiveFailures: z.int().openapi({ type: "integer", example: 0 }),
    failingSince: time().nullable().openapi({ description: "Since when nothing has been delivered." }),
    pausedUntil: time()
      .nullable()
      .openapi({ description: "It failed often: until then nothing is tried, then one delivery." }),
    slowedUntil: time()
      .nullable()
      .openapi({ description: "It asked for less (429): until then it gets nothing." }),
    lastDeliveredAt: time().nullable(),
    lastFailure: z.string().nullable().openapi({ example: null }),
  })
  .openapi("WebhookEndpointHealth");

export const endpoint = z
  .object({
    id: id(),
    type,
    url: z.string().openapi({
      description: "With … where a secret is: the end of a chat's address, the values of a query.",
      example: "https://example.com/hooks/edgr",
    }),
    ...fields,
    headerNames: z.array(z.string()).openapi({ example: ["Authorization"] }),
    payloadVersion: z.int().openapi({ type: "integer", example: 1 }),
    publicKey: z.string().nullable().openapi({
      description: "ed25519 (`v1a`), not secret; null for chats, which check no signature.",
      example: "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
    }),
    status: z.enum(["enabled", "disabled"]),
    disabled: z
      .object({
        by: z.enum(["person", "failures", "gone"]),
        reason: z.string().openapi({ example: "It answered 410 Gone." }),
        since: time(),
      })
      .nullable()
      .openapi({
        description:
          "`failures`: nothing was delivered for 5 days; `gone`: it said that it is no longer there.",
        example: null,
      }),
    health,
    version: z
      .int()
      .openapi({ type: "integer", example: 1, description: "Grows when what it is told of changes." }),
    createdAt: time(),
    updatedAt: time(),
  })
  .openapi("WebhookEndpoint");

const secretText = z.string().openapi({
  description: "Shown once: keep it now.",
  example: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
});

export const createdEndpoint = endpoint
  .extend({
    secret: secretText.nullable().openapi({ description: "null for chats. Shown once: keep it now." }),
  })
  .openapi("CreatedWebhookEndpoint");

export const disabling = z
  .strictObject({
    reason: lines(MAX_REASON_CHARS).default("Somebody disabled it.").openapi({ example: "The CRM moves." }),
  })
  .openapi("WebhookEndpointDisabling");

export const rotation = z
  .strictObject({
    overlapSeconds: z.int().min(0).max(MAX_OVERLAP_S).default(DAY_S).openapi({
      type: "integer",
      minimum: 0,
      maximum: MAX_OVERLAP_S,
      default: DAY_S,
      description: "How long the secrets there are go on signing beside the new one; 0: not at all.",
    }),
  })
  .openapi("WebhookSecretRotation");

const secretFields = {
  id: id(),
  createdAt: time(),
  expiresAt: time().nullable().openapi({ description: "null: the newest one, which stays." }),
};

export const secret = z
  .object({ ...secretFields, last4: z.string().openapi({ description: "How it ends.", example: "aSw=" }) })
  .openapi("WebhookSecret");

export const rotatedSecret = z
  .object({ ...secretFields, secret: secretText })
  .openapi("RotatedWebhookSecret");

export const stats = z
  .object({
    pending: z
      .int()
      .openapi({ type: "integer", example: 12, description: "Deliveries that are still to be made." }),
    oldestPendingSeconds: z
      .number()
      .nullable()
      .openapi({ example: 3.2, description: "How long the oldest of them waits." }),
    last24Hours: z
      .object({
        delivered: z
          .int()
          .openapi({ type: "integer", example: 998, description: "Attempts that delivered." }),
        failed: z.int().openapi({ type: "integer", example: 2, description: "Attempts that did not." }),
        successRate: z
          .number()
          .nullable()
          .openapi({ description: "0 to 1; null without attempts.", example: 0.998 }),
        p50Ms: z
          .number()
          .nullable()
          .openapi({ description: "Half of the answers came within.", example: 84 }),
        p95Ms: z.number().nullable().openapi({ example: 312 }),
      })
      .openapi({ description: "Of the newest 100,000 attempts at most." }),
  })
  .openapi("WebhookEndpointStats");
