import { z } from "@hono/zod-openapi";
import { tag } from "../contacts/schema.ts";
import { id, time } from "../http/fields.ts";
import { JOB_STATUSES } from "./enroll-job.ts";

export const MAX_ENROLLED_IDS = 10_000;

const audiences = {
  tag: tag.optional().openapi({ example: "vip" }),
  segmentId: id().optional(),
  all: z.literal(true, { error: "must be true, or not be there" }).optional(),
};

export const audience = z
  .strictObject({
    contactIds: z
      .array(id())
      .min(1, "must not be empty")
      .max(MAX_ENROLLED_IDS, `must be at most ${MAX_ENROLLED_IDS} ids`)
      .optional(),
    ...audiences,
  })
  .refine(
    (asked) => Object.keys(asked).length === 1,
    "must have exactly one of contactIds, tag, segmentId and all",
  )
  .openapi("Audience", { description: "Exactly one of the four.", example: { tag: "vip" } });

const counts = {
  selected: z.int().openapi({ description: "Contacts of the audience that were looked at.", example: 3 }),
  enrolled: z.int().openapi({ description: "Those who begin.", example: 2 }),
  alreadyEnrolled: z.int().openapi({
    description: "Those who are in the campaign, or have been and may not enroll again yet.",
    example: 1,
  }),
};

export const enrolled = z
  .object({
    status: z.literal("completed"),
    ...counts,
    unknownContactIds: z.int().openapi({ description: "Ids that are no contact's.", example: 0 }),
  })
  .openapi("Enrolled");

export const enrollJob = z
  .object({
    id: id(),
    campaignId: id(),
    audience: z
      .object(audiences)
      .openapi({ description: "As it was asked for; of a segment, its filter at that time is what counts." }),
    status: z.enum(JOB_STATUSES).openapi({
      description: "While its campaign is paused, a running job shows as paused and goes on with it.",
      example: "running",
    }),
    reason: z
      .string()
      .nullable()
      .openapi({ description: "Why it stands still or has ended early.", example: null }),
    ...counts,
    total: z.int().nullable().openapi({
      description: "How many the audience has; null until they have been counted.",
      example: 1_000_000,
    }),
    perSecond: z.number().nullable().openapi({ description: "Contacts done per second.", example: 25_000 }),
    secondsLeft: z.int().nullable().openapi({
      description: "At that rate; null when it does not run or there is no telling yet.",
      example: 38,
    }),
    createdAt: time(),
    updatedAt: time().openapi({ description: "When it last got on." }),
    finishedAt: time().nullable(),
  })
  .openapi("EnrollJob");
