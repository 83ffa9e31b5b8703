import { z } from "@hono/zod-openapi";
import { timeZone } from "../contacts/schema.ts";
import { EVENT_TYPES } from "../events/event.ts";
import { time } from "../http/fields.ts";
import { CLIENTS, PLATFORMS } from "../tracking/device.ts";
import { formatQuery } from "./analytics-csv.ts";
import { graphId } from "./node-fields.ts";
import { FIRES_WHEN, NODE_TYPES } from "./schema.ts";

export const COUNTED_TYPES = [...EVENT_TYPES, "run_started"] as const;

const MAX_HOURS = 24 * 90;
const HOURS_REASON = `must be a whole number from 1 to ${MAX_HOURS}`;
const MAX_STEPS = 50;

export const count = (description: string) =>
  z.int().openapi({ type: "integer", minimum: 0, description, example: 0 });

export const nodeId = z.string().openapi({ example: "hello" });

export const hits = z
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

const reports = z
  .object({ total: count("All of them."), unique: count("Messages with at least one.") })
  .openapi("Reports");

export const numbers = {
  runs: z.object({
    total: count("Times the node began; again in every round of a cycle."),
    unique: count("Enrollments that reached it."),
    failed: count("Runs that failed: webhooks."),
  }),
  queued: count("Messages made, sent or not; once more for each retry."),
  sent: count("Accepted by the mail server."),
  failed: count("Refused for good."),
  suppressed: count("Not sent, because the address is suppressed."),
  uncertain: count("Handed over without an answer: perhaps sent."),
  delivered: reports,
  bounced: reports,
  complained: reports,
  replied: reports,
  opened: hits,
  clicked: hits,
  unsubscribed: count("People who unsubscribed through its messages."),
};

export const hoursQuery = z.object({
  ...formatQuery,
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

export const edgeNumbersSchema = z
  .object({
    edgeId: z.string().openapi({ example: "e1" }),
    from: nodeId,
    to: z.string().openapi({ example: "pause" }),
    firesWhen: z.enum(FIRES_WHEN).openapi({ example: "clicked" }),
    fired: count("Once at most for each enrollment, and in a cycle each round."),
  })
  .openapi("EdgeNumbers");

export const analytics = z
  .object({
    enrollments: z.object({
      total: count("Ever begun."),
      active: count("Not over yet."),
      completed: count("At an exit, or ended some other way."),
    }),
    totals: z.object(numbers),
    bounces: z.object({
      hard: count("There is no such mailbox, or it takes no mail from anybody."),
      soft: count("For the moment: a full mailbox, a server that is away."),
      providerSuppressed: count("Not tried by the provider, because the address is on its own list."),
      other: count("Of no kind that is known."),
    }),
    nodes: z.array(z.object({ nodeId, type: z.enum(NODE_TYPES), ...numbers })),
    edges: z.array(edgeNumbersSchema),
    hours: z
      .array(
        z.object({
          hour: time().openapi({ description: "Its beginning." }),
          type: z.enum(COUNTED_TYPES),
          total: count("Events of this type."),
          human: count("Of them, hits made by a person."),
        }),
      )
      .openapi({ description: "Oldest first, without empty ones; empty unless `hours` is asked for." }),
  })
  .openapi("Analytics");

export const nodeFilter = {
  nodeId: graphId.optional().openapi({ description: "Only this node's.", example: "hello" }),
};

export const linkNumbers = z
  .object({
    url: z.string().openapi({
      description: "As the HTML has it. `other`: all links after the first 1,000 of the campaign.",
      example: "https://example.com/buy",
    }),
    nodeId,
    clicked: hits.openapi({ description: "Unique are messages in which this link was clicked." }),
  })
  .openapi("LinkNumbers");

export const domainNumbers = z
  .object({
    domain: z.string().openapi({
      description: "In lower case. `other`: all domains after the first 500 of the campaign.",
      example: "gmail.com",
    }),
    ...numbers,
  })
  .openapi("DomainNumbers");

export const deviceNumbers = z
  .object({
    platform: z.enum(PLATFORMS).nullable().openapi({
      description: "`proxy` stands before a device that it hides. Null when added up by client.",
      example: "iphone",
    }),
    client: z.enum(CLIENTS).nullable().openapi({
      description: "Null when added up by platform.",
      example: "apple-mail",
    }),
    opened: hits,
    clicked: hits,
    unsubscribed: count("People who unsubscribed on it."),
  })
  .openapi("DeviceNumbers");

export const devicesQuery = z.object({
  ...formatQuery,
  ...nodeFilter,
  by: z.enum(["platform", "client", "both"]).default("platform").openapi({
    description: "What to add up by.",
    example: "platform",
  }),
});

const moment = z.iso
  .datetime({ offset: true, error: "must be an ISO 8601 time such as 2026-03-06T20:00:00Z" })
  .transform((text) => new Date(text))
  .refine((at) => at.getTime() >= 0, "must not be before 1970")
  .optional();

export const seriesQuery = z.object({
  ...formatQuery,
  ...nodeFilter,
  from: moment.openapi({
    type: "string",
    format: "date-time",
    description: "7 days before `to` by default, or 30 when days are asked for.",
    example: "2026-03-01T00:00:00Z",
  }),
  to: moment.openapi({
    type: "string",
    format: "date-time",
    description:
      "Not included; the present by default. At most 31 days after `from`, or 92 when days are asked for.",
    example: "2026-03-06T00:00:00Z",
  }),
  interval: z.enum(["hour", "day"]).default("hour").openapi({ example: "hour" }),
  zone: timeZone.default("UTC").openapi({
    description:
      "Whose days these are. An hour belongs to the day in which it begins, by the hours of UTC that are counted.",
    example: "Europe/Paris",
  }),
  type: z.enum(COUNTED_TYPES).optional().openapi({ description: "Only these.", example: "email_opened" }),
});

export const bucket = z
  .object({
    start: time().openapi({ description: "Where the hour or the day begins." }),
    type: z.enum(COUNTED_TYPES).openapi({ example: "email_opened" }),
    total: count("Events of this type."),
    unique: count("The first of their type for their run."),
    human: count("Of hits, those made by a person."),
    uniqueHuman: count("The first for their run that a person made."),
  })
  .openapi("AnalyticsBucket");

export const funnelQuery = z.object({
  ...formatQuery,
  nodes: z
    .string()
    .transform((text) => text.split(","))
    .refine(
      (ids) => ids.length <= MAX_STEPS && new Set(ids).size === ids.length,
      `must be at most ${MAX_STEPS} different nodes with commas between them`,
    )
    .optional()
    .openapi({
      type: "string",
      description:
        "Ids of nodes, in the order in which people come to them. Else the way from the entry that most have taken.",
      example: "hello,pause,end",
    }),
});

const share = (description: string) =>
  z.number().nullable().openapi({ description, minimum: 0, example: 0.25 });

export const funnelStep = z
  .object({
    nodeId,
    type: z.enum(NODE_TYPES).openapi({ example: "message" }),
    enrollments: count("That reached the node."),
    runs: count("Times it began: more where a cycle leads back to it."),
    shareOfFirst: share("Of the enrollments at the first step. Null when there are none."),
    shareOfPrevious: share(
      "Of the enrollments at the step before. Null at the first, and when there are none.",
    ),
    dropOff: z.int().openapi({
      description: "How many fewer than at the step before; negative where other ways lead here too.",
      example: 30,
    }),
  })
  .openapi("FunnelStep");
