import { z } from "@hono/zod-openapi";
import { tag } from "../contacts/schema.ts";
import { id, time } from "../http/fields.ts";
import { NODE_TYPES } from "./schema.ts";

export const MAX_ENROLLED_IDS = 10_000;

export const ENROLLMENT_STATUSES = ["active", "completed"] as const;

export const audience = z
  .strictObject({
    contactIds: z
      .array(id())
      .min(1, "must not be empty")
      .max(MAX_ENROLLED_IDS, `must be at most ${MAX_ENROLLED_IDS} ids`)
      .optional(),
    tag: tag.optional().openapi({ example: "vip" }),
    all: z.literal(true, { error: "must be true, or not be there" }).optional(),
  })
  .refine((asked) => Object.keys(asked).length === 1, "must have exactly one of contactIds, tag and all")
  .openapi("Audience", { description: "Exactly one of the three.", example: { tag: "vip" } });

export const enrolled = z
  .object({
    selected: z.int().openapi({ description: "Contacts that the audience has.", example: 3 }),
    enrolled: z.int().openapi({ description: "Those who begin now.", example: 2 }),
    alreadyEnrolled: z.int().openapi({ description: "Those who had begun before.", example: 1 }),
    unknownContactIds: z.int().openapi({ description: "Ids that are no contact's.", example: 0 }),
  })
  .openapi("Enrolled");

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
    createdAt: time(),
    completedAt: time().nullable(),
  })
  .openapi("Enrollment");

const run = z
  .object({
    id: id(),
    nodeId: z.string().openapi({ example: "hello" }),
    type: z.enum(NODE_TYPES),
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
    dueAt: time().nullable().openapi({ description: "When a wait ends." }),
    createdAt: time(),
    finishedAt: time().nullable(),
    messageId: id().nullable(),
  })
  .openapi("Run");

const firedEdge = z
  .object({
    edgeId: z.string().openapi({ example: "e1" }),
    firedAt: time(),
    eventId: id().openapi({ description: "The event that fired it." }),
  })
  .openapi("FiredEdge");

export const enrollmentWithRuns = enrollment
  .extend({ runs: z.array(run), edgesFired: z.array(firedEdge) })
  .openapi("EnrollmentWithRuns");
