import { z } from "@hono/zod-openapi";
import { isTimeZone } from "../time-zone.ts";
import { WEEKDAYS } from "./schedule.ts";

const MAX_PER_DAY = 100_000_000;
const MAX_GROWTH_PERCENT = 1_000;
const MAX_CEILINGS = 365;

const timeOfDay = z
  .string()
  .regex(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, "must be a time of day from 00:00 to 23:59");

const timeZone = z
  .string()
  .max(64)
  .refine(isTimeZone, "must be a time zone of the IANA database, such as Europe/Paris");

const perDay = z.int().min(1).max(MAX_PER_DAY).openapi({ type: "integer", minimum: 1, maximum: MAX_PER_DAY });

export const sendWindow = z
  .strictObject({
    from: timeOfDay.openapi({ example: "09:00" }),
    to: timeOfDay.openapi({
      description: "Of the next day, when it is not later than `from`.",
      example: "17:30",
    }),
    weekdays: z
      .array(z.enum(WEEKDAYS))
      .min(1, "must name a weekday at least")
      .transform((given) => WEEKDAYS.filter((weekday) => given.includes(weekday)))
      .default([...WEEKDAYS])
      .openapi({
        type: "array",
        items: { type: "string", enum: [...WEEKDAYS] },
        description: "On which the window opens. Not given: on every day.",
        example: ["mon", "tue", "wed", "thu", "fri"],
      }),
    timeZone: timeZone.openapi({ example: "Europe/Paris" }),
  })
  .openapi({
    description:
      "Mail goes out between these times only; what is due outside waits until it opens. The credential's days, by " +
      "which `warmUp` counts, are those of its time zone.",
  });

export const warmUp = z
  .strictObject({
    startedOn: z.iso.date("must be a date such as 2026-11-25").openapi({
      description: "The first day. Its ceiling holds before it too.",
      example: "2026-11-25",
    }),
    startPerDay: perDay
      .nullable()
      .default(null)
      .openapi({ description: "Messages on the first day.", example: 50 }),
    growthPercent: z
      .number()
      .min(0)
      .max(MAX_GROWTH_PERCENT)
      .nullable()
      .default(null)
      .openapi({ description: "By how much each day's ceiling is above the one before.", example: 50 }),
    ceilings: z.array(perDay).min(1, "must not be empty").max(MAX_CEILINGS).nullable().default(null).openapi({
      description:
        "The ceiling of each day, instead of the two above. After the last, `maxPerDay` holds alone.",
      example: null,
    }),
    maxPerDay: perDay.nullable().default(null).openapi({
      description: "No day's ceiling is above this.",
      example: 50_000,
    }),
  })
  .superRefine(({ startPerDay, growthPercent, ceilings }, context) => {
    const refuse = (field: string, message: string) =>
      context.addIssue({ code: "custom", path: [field], message });
    if (ceilings === null) {
      if (startPerDay === null) refuse("startPerDay", "is required without ceilings");
      if (growthPercent === null) refuse("growthPercent", "is required without ceilings");
    } else if (startPerDay !== null || growthPercent !== null) {
      refuse("ceilings", "stand instead of startPerDay and growthPercent, not beside them");
    }
  })
  .openapi({
    description:
      "Ceilings of a new sender's first days, so that mail providers learn to trust it. An attempt counts on the day " +
      "it is made on (of `sendWindow`'s time zone, of UTC without one), whatever the server says to it.",
  });
