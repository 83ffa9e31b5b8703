import { z } from "@hono/zod-openapi";
import { EVENT_TYPES } from "../events/event.ts";
import { time } from "../http/fields.ts";
import { FIRES_WHEN, NODE_TYPES } from "./schema.ts";

const MAX_HOURS = 24 * 90;
const HOURS_REASON = `must be a whole number from 1 to ${MAX_HOURS}`;

const count = (description: string) =>
  z.int().openapi({ type: "integer", minimum: 0, description, example: 0 });

const hits = z
  .object({
    total: count("All of them, machines' included."),
    unique: count("Messages with at least one."),
    human: count("Made by a person: `agents.human` and `agents.proxy`."),
    uniqueHuman: count("Messages with at least one made by a person."),
    agents: z.object({
      human: count("People's own programs."),
      proxy: count("Image proxies that fetch when a person opens."),
      prefetch: count("Privacy proxies that fetch whether or not anybody opens."),
      scanner: count("Programs that check links."),
    }),
  })
  .openapi("Hits");

const numbers = {
  queued: count("Messages made, sent or not; once more for each retry."),
  sent: count("Accepted by the mail server."),
  failed: count("Refused for good."),
  suppressed: count("Not sent, because the address is suppressed."),
  uncertain: count("Handed over without an answer: perhaps sent."),
  opened: hits,
  clicked: hits,
  unsubscribed: count("People who unsubscribed through its messages."),
};

export const hoursQuery = z.object({
  hours: z
    .string()
    .regex(/^\d{1,4}$/, HOURS_REASON)
    .transform(Number)
    .refine((hours) => hours >= 1 && hours <= MAX_HOURS, HOURS_REASON)
    .optional()
    .openapi({
      type: "integer",
      minimum: 1,
      maximum: MAX_HOURS,
      description: "How many hours back `hours` goes, the present one included.",
    }),
});

export const analytics = z
  .object({
    enrollments: z.object({
      total: count("Ever begun."),
      active: count("Not at an exit yet."),
      completed: count("Arrived at an exit."),
    }),
    totals: z.object(numbers),
    nodes: z.array(
      z.object({ nodeId: z.string().openapi({ example: "hello" }), type: z.enum(NODE_TYPES), ...numbers }),
    ),
    edges: z.array(
      z.object({
        edgeId: z.string().openapi({ example: "e1" }),
        from: z.string().openapi({ example: "hello" }),
        to: z.string().openapi({ example: "pause" }),
        firesWhen: z.enum(FIRES_WHEN),
        fired: count("Once at most for each enrollment."),
      }),
    ),
    hours: z
      .array(
        z.object({
          hour: time().openapi({ description: "Its beginning." }),
          type: z.enum(EVENT_TYPES),
          total: count("Events of this type."),
          human: count("Of them, hits made by a person."),
        }),
      )
      .openapi({ description: "Oldest first, without empty ones; empty unless `hours` is asked for." }),
  })
  .openapi("Analytics");
