import { z } from "zod";
import { MAX_TRACKED_URL_CHARS } from "../tracking/links.ts";
import { messageNode } from "./message-schema.ts";
import { duration, graphId, timeOfDay } from "./node-fields.ts";
import {
  conditionNode,
  exitNode,
  splitNode,
  updateContactNode,
  waitNode,
  webhookNode,
} from "./node-schema.ts";

/** What a node can be. A new type is a schema here, a row in TRIGGERS (graph.ts) and a case in validate.ts. */
export const NODE_TYPES = [
  "message",
  "wait",
  "condition",
  "split",
  "update-contact",
  "webhook",
  "exit",
] as const;
export const FIRES_WHEN = [
  "always",
  "sent",
  "failed",
  "delivered",
  "bounced",
  "complained",
  "opened",
  "clicked",
  "replied",
  "unsubscribed",
  "notOpened",
  "notClicked",
  "notReplied",
  "true",
  "false",
  "variant",
] as const;
export const EXIT_REASONS = ["replied", "unsubscribed"] as const;

export const MAX_NODES = 200;
export const MAX_EDGES = 1000;
const MAX_NAME_LENGTH = 200;
const MAX_ROUNDS = 100;
const DEFAULT_ROUNDS = 10;
const MAX_ZONE_LENGTH = 64;

const node = z.discriminatedUnion(
  "type",
  [messageNode, waitNode, conditionNode, splitNode, updateContactNode, webhookNode, exitNode],
  { error: unknownType },
);

const edge = z
  .strictObject({
    id: graphId.meta({ example: "e1" }),
    from: graphId.meta({ example: "hello" }),
    to: graphId.meta({ example: "pause" }),
    firesWhen: z.enum(FIRES_WHEN, { error: (issue) => oneOf(FIRES_WHEN, issue.input) }).meta({
      description:
        "What the contact or the node has to do. `always`: the node is done, however it went. `sent`, `failed`: the mail server took it, or refused it for good; a webhook answered 2xx, or did not. `opened`, `clicked`, `replied`: by a person, or by anybody with `countAutomaticHits`. `notOpened`, `notClicked`, `notReplied`: not `within` that time after it was sent; of the two edges that wait for the opposite, one fires. `true`, `false`: what a condition found. `variant`: what a split chose.",
      example: "clicked",
    }),
    url: z.string().max(MAX_TRACKED_URL_CHARS).nullable().default(null).meta({
      description:
        "Only with `clicked`: the one link that counts, exactly as the HTML has it; null is any link.",
      example: "https://example.com/buy",
    }),
    within: duration.nullable().default(null).meta({
      description:
        "Only with `notOpened`, `notClicked` and `notReplied`, which need it: an ISO 8601 duration, at most one year.",
      example: null,
    }),
    variant: graphId.nullable().default(null).meta({
      description: "Only with `variant`, which needs it: the id of the split's variant.",
      example: null,
    }),
  })
  .meta({
    id: "Edge",
    description:
      "Leads from a node to the next; fires at most once per enrollment, on a way back once in each round.",
    example: { id: "e1", from: "hello", to: "pause", firesWhen: "opened" },
  });

const quietHours = z.strictObject({
  from: timeOfDay.meta({ example: "21:00" }),
  to: timeOfDay.meta({ example: "08:00" }),
});

/** What a campaign does beside its graph: it takes effect at once, for people under way too. */
export const campaignSettings = {
  countAutomaticHits: z.boolean().meta({
    description: "Edges also fire for hits that privacy proxies and link scanners made.",
  }),
  maxRounds: z.int().min(1, "must be at least 1").max(MAX_ROUNDS, `must be at most ${MAX_ROUNDS}`).meta({
    description:
      "How often one enrollment may go through the same node, where edges lead back. The edge that would begin one round more completes the enrollment.",
    example: DEFAULT_ROUNDS,
  }),
  exitOn: z
    .array(z.enum(EXIT_REASONS, { error: (issue) => oneOf(EXIT_REASONS, issue.input) }))
    .refine((reasons) => new Set(reasons).size === reasons.length, "must not have a reason twice")
    .meta({ description: "What completes an enrollment, wherever it is.", example: ["unsubscribed"] }),
  reenrollAfter: duration.nullable().meta({
    description:
      "How long after completing it a contact may enroll again: an ISO 8601 duration of at most one year, PT0S for at once, null for never.",
    example: "P30D",
  }),
  timeZone: z.string().max(MAX_ZONE_LENGTH).meta({
    description: "A time zone of the IANA database, for contacts that have none of their own.",
    example: "Europe/Paris",
  }),
  quietHours: quietHours.nullable().meta({
    description: "When nothing is sent, in the contact's own time zone; it is sent when they are over.",
    example: { from: "21:00", to: "08:00" },
  }),
  ignoreFrequencyCap: z.boolean().meta({
    description: "Its messages are sent however many the contact has had.",
  }),
  topicId: z
    .string()
    .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "must be an id, a UUID in lower case")
    .nullable()
    .meta({
      description: "What its messages are about: contacts who have left the topic are sent none.",
      example: "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a24",
    }),
};

/**
 * The shape of a campaign as people write it. What one field can't tell (a graph that hangs together, texts that
 * are fit for a header) is `validateCampaign`'s.
 */
export const campaignInput = z
  .strictObject({
    name: z.string().max(MAX_NAME_LENGTH).meta({ example: "Welcome" }),
    nodes: z
      .array(node)
      .min(1, "must have at least one node")
      .max(MAX_NODES, `must have at most ${MAX_NODES} nodes`),
    edges: z.array(edge).max(MAX_EDGES, `must have at most ${MAX_EDGES} edges`),
    countAutomaticHits: campaignSettings.countAutomaticHits.default(false),
    maxRounds: campaignSettings.maxRounds.default(DEFAULT_ROUNDS),
    exitOn: campaignSettings.exitOn.default([]),
    reenrollAfter: campaignSettings.reenrollAfter.default(null),
    timeZone: campaignSettings.timeZone.default("UTC"),
    quietHours: campaignSettings.quietHours.default(null),
    ignoreFrequencyCap: campaignSettings.ignoreFrequencyCap.default(false),
    topicId: campaignSettings.topicId.default(null),
  })
  .meta({
    id: "CampaignInput",
    example: {
      name: "Welcome",
      nodes: [
        {
          id: "hello",
          type: "message",
          channel: "email",
          credentialId: "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a24",
          subject: "Hi {{ contact.attributes.firstName }}",
          html: '<p>Have a <a href="https://example.com/buy">look</a>.</p>',
        },
        { id: "pause", type: "wait", duration: "P2D" },
        { id: "end", type: "exit" },
      ],
      edges: [
        { id: "e1", from: "hello", to: "pause", firesWhen: "opened" },
        { id: "e2", from: "hello", to: "end", firesWhen: "notOpened", within: "P3D" },
        { id: "e3", from: "hello", to: "end", firesWhen: "clicked", url: "https://example.com/buy" },
        { id: "e4", from: "pause", to: "end", firesWhen: "always" },
      ],
      exitOn: ["unsubscribed"],
      quietHours: { from: "21:00", to: "08:00" },
    },
  });

export type Campaign = z.output<typeof campaignInput>;
/** What decides where an enrollment goes; everything of a campaign but its name. */
export type Graph = Omit<Campaign, "name">;
export type Node = Campaign["nodes"][number];
export type Edge = Campaign["edges"][number];
export type NodeType = (typeof NODE_TYPES)[number];
export type MessageNode = Extract<Node, { type: "message" }>;
export type EmailMessageNode = Extract<MessageNode, { channel: "email" }>;
export type TelegramMessageNode = Extract<MessageNode, { channel: "telegram" }>;
export type WaitNode = Extract<Node, { type: "wait" }>;
export type ConditionNode = Extract<Node, { type: "condition" }>;
export type SplitNode = Extract<Node, { type: "split" }>;
export type UpdateContactNode = Extract<Node, { type: "update-contact" }>;
export type WebhookNode = Extract<Node, { type: "webhook" }>;
export type FiresWhen = (typeof FIRES_WHEN)[number];
export type ExitReason = (typeof EXIT_REASONS)[number];

function unknownType(issue: z.core.$ZodRawIssue): string {
  const input: unknown = issue.input;
  if (typeof input !== "object" || input === null || Array.isArray(input)) return "must be a node, an object";
  return oneOf(NODE_TYPES, "type" in input ? input.type : undefined);
}

function oneOf(possible: readonly string[], given: unknown): string {
  const choice = `must be one of ${possible.join(", ")}`;
  return typeof given === "string" ? `${choice}, not ${shown(given)}` : choice;
}

function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
