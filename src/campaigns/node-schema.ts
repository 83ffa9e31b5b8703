import { z } from "zod";
import { filter } from "../contacts/filter.ts";
import { duration, graphId, position, timeOfDay } from "./node-fields.ts";

export const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;

const MAX_VARIANTS = 20;
const MAX_WEIGHT = 1_000;
const MAX_NAMES = 50;
const MAX_NAME_LENGTH = 100;
const MAX_TAG_LENGTH = 64;
const MAX_VALUE_LENGTH = 1_000;
const MAX_URL_LENGTH = 2_048;
const MAX_HEADERS = 20;
const MAX_HEADER_LENGTH = 1_000;
const MAX_BODY_LENGTH = 100_000;
const MAX_TIMEOUT_SECONDS = 30;
const DEFAULT_TIMEOUT_SECONDS = 10;
const MAX_PATH_LENGTH = 200;

/** Of an attribute or an output: without dots, which in a filter lead into objects. */
const name = z
  .string()
  .max(MAX_NAME_LENGTH, `must have at most ${MAX_NAME_LENGTH} characters`)
  .regex(/^[^.\p{Cc}\p{Cs}]+$/u, "must be a name without dots and control characters");

const path = z
  .string()
  .max(MAX_PATH_LENGTH, `must have at most ${MAX_PATH_LENGTH} characters`)
  .regex(/^[^.\p{Cc}\p{Cs}]+(\.[^.\p{Cc}\p{Cs}]+)*$/u, "must be names with dots between them");

const weekday = z.enum(WEEKDAYS, { error: `must be one of ${WEEKDAYS.join(", ")}` });

const weekdays = z
  .array(weekday)
  .min(1, "must not be empty")
  .refine((days) => new Set(days).size === days.length, "must not have a day twice")
  .default(() => [...WEEKDAYS])
  .meta({ description: "On which days; every day by default.", example: ["mon", "tue"] });

export const waitNode = z
  .strictObject({
    id: graphId.meta({ example: "pause" }),
    type: z.literal("wait"),
    duration: duration.optional().meta({
      description: "An ISO 8601 duration, more than zero and at most one year: P2D, PT30M, P1W, P1DT12H.",
      example: "P2D",
    }),
    until: z.string().max(40).optional().meta({
      description:
        "A moment: in the contact's own time zone, or, with an offset or Z, the same for all. One that has passed ends the wait at once.",
      example: "2026-12-24T09:00",
    }),
    at: z
      .strictObject({ time: timeOfDay.meta({ example: "09:00" }), weekdays })
      .optional()
      .meta({ description: "The next time of day, on one of the days, in the contact's own time zone." }),
    position,
  })
  .refine(
    (node) => [node.duration, node.until, node.at].filter((given) => given !== undefined).length === 1,
    "must have exactly one of duration, until and at",
  )
  .meta({
    id: "WaitNode",
    description: "Lets time pass, then fires its `always` edges. Exactly one of `duration`, `until`, `at`.",
    example: { id: "pause", type: "wait", duration: "P2D" },
  });

export const conditionNode = z
  .strictObject({
    id: graphId.meta({ example: "isPro" }),
    type: z.literal("condition"),
    if: filter,
    position,
  })
  .meta({
    id: "ConditionNode",
    description:
      "Asks whether the contact fits a filter, which here may ask for the output of earlier nodes too; then fires its `true` or its `false` edges, and `always`.",
    example: { id: "isPro", type: "condition", if: { attribute: "plan", is: "equals", value: "pro" } },
  });

const variant = z.strictObject({
  id: graphId.meta({ example: "a" }),
  weight: z.int().min(1, "must be at least 1").max(MAX_WEIGHT, `must be at most ${MAX_WEIGHT}`).meta({
    description: "Its share is its weight among the weights of all.",
    example: 50,
  }),
});

export const splitNode = z
  .strictObject({
    id: graphId.meta({ example: "subject" }),
    type: z.literal("split"),
    variants: z
      .array(variant)
      .min(2, "must be at least 2 variants")
      .max(MAX_VARIANTS, `must be at most ${MAX_VARIANTS} variants`),
    position,
  })
  .meta({
    id: "SplitNode",
    description:
      "Sends each contact one of several ways, the same one however often it comes by: fires the `variant` edges of that variant, and `always`.",
    example: {
      id: "subject",
      type: "split",
      variants: [
        { id: "a", weight: 50 },
        { id: "b", weight: 50 },
      ],
    },
  });

const tags = z
  .array(
    z
      .string()
      .trim()
      .max(MAX_TAG_LENGTH, `must have at most ${MAX_TAG_LENGTH} characters`)
      .regex(/^[^\p{Cc}\p{Cs}\u2028\u2029]+$/u, "must be one line, not empty, without control characters"),
  )
  .max(MAX_NAMES, `must be at most ${MAX_NAMES}`)
  .default([])
  .meta({ example: ["vip"] });

const outputOf = z
  .strictObject({ node: graphId.meta({ example: "hook" }), output: path.meta({ example: "score" }) })
  .meta({ description: "What an earlier node gave. The attribute stays as it is when there is nothing." });

const value = z
  .union([
    z.string().max(MAX_VALUE_LENGTH, `must have at most ${MAX_VALUE_LENGTH} characters`),
    z.number(),
    z.boolean(),
    outputOf,
  ])
  .meta({ description: "Text, a number, true, false, or the output of an earlier node." });

const atMostNames = (record: object) => Object.keys(record).length <= MAX_NAMES;

export const updateContactNode = z
  .strictObject({
    id: graphId.meta({ example: "mark" }),
    type: z.literal("update-contact"),
    set: z
      .record(name, value)
      .refine(atMostNames, `must be at most ${MAX_NAMES} attributes`)
      .default({})
      .meta({
        description: "Attributes and what they become.",
        example: { plan: "pro", score: { node: "hook", output: "score" } },
      }),
    unset: z
      .array(name)
      .max(MAX_NAMES, `must be at most ${MAX_NAMES}`)
      .default([])
      .meta({ description: "Attributes that are removed.", example: ["trial"] }),
    addTags: tags,
    removeTags: tags,
    position,
  })
  .meta({
    id: "UpdateContactNode",
    description: "Changes the contact's attributes and tags, then fires its `always` edges.",
    example: { id: "mark", type: "update-contact", set: { plan: "pro" }, addTags: ["vip"] },
  });

export const webhookNode = z
  .strictObject({
    id: graphId.meta({ example: "hook" }),
    type: z.literal("webhook"),
    url: z.string().max(MAX_URL_LENGTH, `must have at most ${MAX_URL_LENGTH} characters`).meta({
      description: "An http or https address that is public.",
      example: "https://crm.example.com/score",
    }),
    method: z
      .enum(METHODS, { error: `must be one of ${METHODS.join(", ")}` })
      .default("POST")
      .meta({ example: "POST" }),
    headers: z
      .record(z.string(), z.string().max(MAX_HEADER_LENGTH))
      .refine(
        (headers) => Object.keys(headers).length <= MAX_HEADERS,
        `must be at most ${MAX_HEADERS} headers`,
      )
      .default({})
      .meta({
        description: "Sent along. They are not secret: whoever reads the campaign reads them.",
        example: { "X-Source": "edgr" },
      }),
    body: z.string().max(MAX_BODY_LENGTH).nullable().default(null).meta({
      description: "A Liquid template; null sends the contact, campaign, enrollment and run as JSON.",
      example: '{"email": {{ contact.email | json }}}',
    }),
    timeoutSeconds: z
      .int()
      .min(1, "must be at least 1")
      .max(MAX_TIMEOUT_SECONDS, `must be at most ${MAX_TIMEOUT_SECONDS}`)
      .default(DEFAULT_TIMEOUT_SECONDS)
      .meta({ example: DEFAULT_TIMEOUT_SECONDS }),
    output: z
      .record(name, path)
      .refine(atMostNames, `must be at most ${MAX_NAMES} names`)
      .default({})
      .meta({
        description: "What becomes the run's output: a name, and where its value is in the JSON answer.",
        example: { score: "data.score" },
      }),
    position,
  })
  .meta({
    id: "WebhookNode",
    description:
      "Calls another system, then fires its `sent` edges when that answered 2xx, its `failed` edges when it did not, and `always`.",
    example: {
      id: "hook",
      type: "webhook",
      url: "https://crm.example.com/score",
      output: { score: "data.score" },
    },
  });

export const exitNode = z
  .strictObject({ id: graphId.meta({ example: "end" }), type: z.literal("exit"), position })
  .meta({ id: "ExitNode", description: "Completes the enrollment: nothing fires afterwards." });
