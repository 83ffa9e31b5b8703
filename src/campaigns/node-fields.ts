import { z } from "zod";

const MAX_COORDINATE = 1_000_000;
const MAX_DURATION_LENGTH = 40;

export const graphId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, "must be 1 to 64 letters, digits, hyphens or underscores");

export const position = z
  .strictObject({
    x: z.number().min(-MAX_COORDINATE).max(MAX_COORDINATE),
    y: z.number().min(-MAX_COORDINATE).max(MAX_COORDINATE),
  })
  .optional()
  .meta({
    description: "Where an editor draws the node. Kept, and of no effect.",
    example: { x: 120, y: 40 },
  });

/** Text that `durationProblem` looks at. */
export const duration = z.string().max(MAX_DURATION_LENGTH);

/** A time of day, to the minute. */
export const timeOfDay = z
  .string()
  .regex(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, "must be a time of day from 00:00 to 23:59");
