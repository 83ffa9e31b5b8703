import { z } from "@hono/zod-openapi";
import { id, time } from "../http/fields.ts";
import { NODE_TYPES } from "./schema.ts";

const MAX_LEAVING_IDS = 10_000;

export const ENROLLMENT_STATUSES = ["active", "completed"] as const;

const COMPLETED_REASONS = ["exit", "round_limit", "unsubscribed", "replied", "left", "deleted"] as const;

export const enrollment = z
  .object({
    id: id(),
    campaignId: id(),
    version: z.int().openapi({ description: "Of the campaign's graph.", example: 1 }),
    contactId: id(),
    status: z.enum(ENROLLMENT_STATUSES).openapi({
      description: "`completed` once an exit is reached; without one, it stays `active`.",
      example: "active",
    }),
    attempt: z.int().openapi({
      description: "How often the contact has begun this campaign, this time included.",
      example: 1,
    }),
    createdAt: time(),
    completedAt: time().nullable(),
    completedReason: z.enum(COMPLETED_REASONS).nullable().openapi({
      description:
        "`exit`: an exit was reached. `round_limit`: an edge led into one round more than `maxRounds`. `unsubscribed`, `replied`: the campaign's `exitOn`. `left`: an operator took the contact out. `deleted`: the campaign was.",
      example: null,
    }),
  })
  .openapi("Enrollment");

const run = z
  .object({
    id: id(),
    nodeId: z.string().openapi({ example: "hello" }),
    type: z.enum(NODE_TYPES),
    round: z.int().openapi({ description: "From 1; more where edges lead back to the node.", example: 1 }),
    status: z.enum(["running", "waiting", "completed", "failed", "cancelled"]),
    output: z.record(z.string(), z.json()).openapi({
      type: "object",
      additionalProperties: true,
      description: "What came of it; what has not happened is not there.",
      example: {
        sent: true,
        sentAt: "2026-03-06T20:00:26.893Z",
        opened: true,
        clickedUrl: "https://a.example",
      },
    }),
    dueAt: time().nullable().openapi({ description: "When a wait ends, or a step is to be done." }),
    createdAt: time(),
    finishedAt: time().nullable(),
    messageId: id().nullable(),
  })
  .openapi("Run");

const firedEdge = z
  .object({
    edgeId: z.string().openapi({ example: "e1" }),
    round: z.int().openapi({ description: "Of the node it leads to.", example: 1 }),
    firedAt: time(),
    eventId: id().openapi({ description: "The event that fired it." }),
  })
  .openapi("FiredEdge");

const timer = z
  .object({
    runId: id(),
    edgeId: z.string().openapi({ example: "e2" }),
    dueAt: time().openapi({ description: "When the edge fires, unless what it waits for happens before." }),
  })
  .openapi("Timer");

export const enrollmentWithRuns = enrollment
  .extend({ runs: z.array(run), edgesFired: z.array(firedEdge), timers: z.array(timer) })
  .openapi("EnrollmentWithRuns");

export const leaving = z
  .strictObject({
    contactIds: z
      .array(id())
      .min(1, "must not be empty")
      .max(MAX_LEAVING_IDS, `must be at most ${MAX_LEAVING_IDS} ids`)
      .optional(),
    all: z.literal(true, { error: "must be true, or not be there" }).optional(),
  })
  .refine((asked) => Object.keys(asked).length === 1, "must have exactly one of contactIds and all")
  .openapi("Leaving", { description: "Exactly one of the two.", example: { all: true } });

export const left = z
  .object({ cancelled: z.int().openapi({ description: "Enrollments that are over now.", example: 12 }) })
  .openapi("Left");

export const move = z
  .strictObject({
    fromVersion: z
      .int()
      .min(1, "must be a version, from 1 on")
      .optional()
      .openapi({ description: "Only who is in this version; without it, in any earlier one.", example: 1 }),
  })
  .openapi("Move");

export const moved = z
  .object({
    moved: z.int().openapi({ description: "Enrollments that are in the present version now.", example: 120 }),
    stayed: z.int().openapi({
      description: "Those that stand at a node which the present version does not have.",
      example: 3,
    }),
  })
  .openapi("Moved");
