import { z } from "zod";
import { MAX_TRACKED_URL_CHARS } from "../tracking/links.ts";

/** What a node can be. A new type is a schema here, a row in EVENTS_OF (graph.ts) and a case in validate.ts. */
export const NODE_TYPES = ["message", "wait", "exit"] as const;
export const FIRES_WHEN = ["always", "sent", "failed", "opened", "clicked", "unsubscribed"] as const;

export const MAX_NODES = 200;
export const MAX_EDGES = 1000;
const MAX_NAME_LENGTH = 200;
/** RFC 5322 section 2.1.1: no line of a header may be longer. */
const MAX_SUBJECT_LENGTH = 998;
const MAX_BODY_LENGTH = 1_000_000;
/** RFC 5321 section 4.5.3.1.3, without the angle brackets. */
const MAX_ADDRESS_LENGTH = 254;
const MAX_DURATION_LENGTH = 40;
const MAX_COORDINATE = 1_000_000;

const graphId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, "must be 1 to 64 letters, digits, hyphens or underscores");

const address = z.email("must be an email address").max(MAX_ADDRESS_LENGTH);

const position = z
  .strictObject({
    x: z.number().min(-MAX_COORDINATE).max(MAX_COORDINATE),
    y: z.number().min(-MAX_COORDINATE).max(MAX_COORDINATE),
  })
  .optional()
  .meta({
    description: "Where an editor draws the node. Kept, and of no effect.",
    example: { x: 120, y: 40 },
  });

const sender = z
  .strictObject({
    email: address.meta({ example: "ann@example.com" }),
    name: z.string().max(MAX_NAME_LENGTH).nullable().default(null).meta({ example: "Ann of Example" }),
  })
  .meta({ description: "A sender instead of the credential's own." });

const messageNode = z
  .strictObject({
    id: graphId.meta({ example: "hello" }),
    type: z.literal("message"),
    channel: z.literal("email", { error: 'must be "email"' }),
    credentialId: z.uuid("must be the id of a credential").meta({
      description: "The credential that sends it.",
      example: "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a24",
    }),
    from: sender.nullable().default(null),
    replyTo: address.nullable().default(null).meta({
      description: "Where replies go instead of the sender.",
      example: "help@example.com",
    }),
    subject: z.string().max(MAX_SUBJECT_LENGTH).meta({
      description: "A Liquid template of one line, not empty.",
      example: "Hi {{ contact.attributes.firstName }}",
    }),
    html: z.string().max(MAX_BODY_LENGTH).meta({
      description: "A Liquid template of the HTML part, not empty.",
      example: '<p>Have a <a href="https://example.com/buy">look</a>.</p>',
    }),
    text: z.string().max(MAX_BODY_LENGTH).nullable().default(null).meta({
      description: "A Liquid template of the text part; null makes it from the HTML.",
      example: null,
    }),
    unsubscribeLink: z.boolean().default(true).meta({
      description: "Adds a footer with the unsubscribe link and the postal address.",
    }),
    trackOpens: z.boolean().default(true).meta({ description: "Adds the pixel; `opened` edges need it." }),
    trackClicks: z.boolean().default(true).meta({ description: "Rewrites links; `clicked` edges need it." }),
    position,
  })
  .meta({ id: "MessageNode", description: "Sends one email to the contact." });

const waitNode = z
  .strictObject({
    id: graphId.meta({ example: "pause" }),
    type: z.literal("wait"),
    duration: z.string().max(MAX_DURATION_LENGTH).meta({
      description: "An ISO 8601 duration, more than zero and at most one year: P2D, PT30M, P1W, P1DT12H.",
      example: "P2D",
    }),
    position,
  })
  .meta({ id: "WaitNode", description: "Lets time pass, then fires its `always` edges." });

const exitNode = z
  .strictObject({ id: graphId.meta({ example: "end" }), type: z.literal("exit"), position })
  .meta({ id: "ExitNode", description: "Completes the enrollment: nothing fires afterwards." });

const node = z.discriminatedUnion("type", [messageNode, waitNode, exitNode], { error: unknownType });

const edge = z
  .strictObject({
    id: graphId.meta({ example: "e1" }),
    from: graphId.meta({ example: "hello" }),
    to: graphId.meta({ example: "pause" }),
    firesWhen: z.enum(FIRES_WHEN, { error: (issue) => oneOf(FIRES_WHEN, issue.input) }).meta({
      description:
        "What the contact or the node has to do. `always`: the node is done, however it went. `failed`: the mail server refused for good. `opened`, `clicked`: by a person, or by anybody with `countAutomaticHits`.",
      example: "clicked",
    }),
    url: z.string().max(MAX_TRACKED_URL_CHARS).nullable().default(null).meta({
      description:
        "Only with `clicked`: the one link that counts, exactly as the HTML has it; null is any link.",
      example: "https://example.com/buy",
    }),
  })
  .meta({ id: "Edge", description: "Leads from a node to the next; fires at most once per enrollment." });

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
    countAutomaticHits: z.boolean().default(false).meta({
      description: "Edges also fire for hits that privacy proxies and link scanners made.",
    }),
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
        { id: "e2", from: "hello", to: "end", firesWhen: "clicked", url: "https://example.com/buy" },
        { id: "e3", from: "pause", to: "end", firesWhen: "always" },
      ],
    },
  });

export type Campaign = z.output<typeof campaignInput>;
/** What decides where an enrollment goes; everything of a campaign but its name. */
export type Graph = Omit<Campaign, "name">;
export type Node = Campaign["nodes"][number];
export type Edge = Campaign["edges"][number];
export type NodeType = (typeof NODE_TYPES)[number];
export type MessageNode = Extract<Node, { type: "message" }>;
export type WaitNode = Extract<Node, { type: "wait" }>;
export type ExitNode = Extract<Node, { type: "exit" }>;
export type FiresWhen = (typeof FIRES_WHEN)[number];

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
