import { z } from "@hono/zod-openapi";
import { time } from "../http/fields.ts";

const count = (description: string, example: number) =>
  z.int().openapi({ type: "integer", description, example });

export const progress = z
  .object({
    status: z.enum(["draft", "active", "paused"]).openapi({ example: "active" }),
    queued: count("Not sent yet, those put off among them.", 420_000),
    sent: count("Taken by the mail server, whatever became of them later.", 580_000),
    failed: count("Refused for good, or impossible to compose.", 312),
    suppressed: count("Left the queue because they must not be sent.", 1_204),
    cancelled: count("Withdrawn: the enrollment or the campaign ended first.", 88),
    uncertain: count("Nobody knows whether they were sent.", 2),
    postponed: z
      .object({
        quietHours: count("Until the contact's quiet hours end.", 12_000),
        frequencyCap: count("Until the contact may get a message again.", 301),
        deferred: count("Until the time the server is asked again.", 17),
        sendWindow: count("Until the credential's window opens.", 0),
        warmUp: count("Until the credential's next day.", 0),
      })
      .openapi({
        description:
          "How many of the queued messages were put off, by why. One whose time has come counts until it goes.",
      }),
    ratePerMinute: z.number().openapi({
      description: "Messages sent a minute, over the last five minutes or since sending began in them.",
      example: 840,
    }),
    secondsLeft: z
      .int()
      .nullable()
      .openapi({
        type: ["integer", "null"],
        description:
          "Until the last queued message goes, at this rate and within the credentials' windows and warm-ups; what " +
          "people in flight will be sent later is not in it. Null when there is no telling: the campaign does not " +
          "run, or nothing was sent lately though it might have been.",
        example: 30_000,
      }),
    finishesAt: time().nullable().openapi({ description: "The same as a moment." }),
  })
  .openapi("Progress");
