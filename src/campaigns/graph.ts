import type { EventType } from "../events/event.ts";
import { edgeRounds } from "./rounds.ts";
import type { Edge, FiresWhen, Graph, Node, NodeType } from "./schema.ts";

const DONE = ["run_completed"] as const;

/**
 * Which edges can leave a node, and which events of its run fire them. The projector fires in SQL, from the rows
 * that `compileGraph` gives it.
 *
 * `message_uncertain` says that EDGR was interrupted between handing the message to the mail server and hearing
 * the answer. It may or may not have been sent and is never sent again, so neither `sent` nor `failed` would be
 * true; only `always` goes on from it. The same holds for `contact_suppressed`: nothing was sent, nothing failed.
 * `message_rejected` says that the provider took the message and then would not send it: that has been `sent`, and
 * `failed` all the same.
 */
export const TRIGGERS: Record<NodeType, Partial<Record<FiresWhen, readonly EventType[]>>> = {
  message: {
    always: ["message_sent", "message_failed", "message_uncertain", "contact_suppressed"],
    sent: ["message_sent"],
    failed: ["message_failed", "message_rejected"],
    delivered: ["message_delivered"],
    bounced: ["message_bounced"],
    complained: ["message_complained"],
    opened: ["email_opened"],
    clicked: ["email_clicked"],
    replied: ["message_received"],
    unsubscribed: ["unsubscribed"],
    notOpened: ["timer_elapsed"],
    notClicked: ["timer_elapsed"],
    notReplied: ["timer_elapsed"],
  },
  wait: { always: DONE },
  condition: { always: DONE, true: DONE, false: DONE },
  split: { always: DONE, variant: DONE },
  "update-contact": { always: DONE },
  webhook: { always: ["run_completed", "run_failed"], sent: DONE, failed: ["run_failed"] },
  exit: {},
};

/** What a contact does or does not do within a time. Of edges of both signs, one fires: the first in the log. */
export type Kind = "opened" | "clicked" | "replied";

const KINDS: Partial<Record<FiresWhen, { kind: Kind; isNegative: boolean }>> = {
  opened: { kind: "opened", isNegative: false },
  clicked: { kind: "clicked", isNegative: false },
  replied: { kind: "replied", isNegative: false },
  notOpened: { kind: "opened", isNegative: true },
  notClicked: { kind: "clicked", isNegative: true },
  notReplied: { kind: "replied", isNegative: true },
};

/** Whether it waits for something that does not happen within a time. */
export function isNegative(firesWhen: FiresWhen): boolean {
  return KINDS[firesWhen]?.isNegative ?? false;
}

/** A row of `campaign_node`. */
export type CompiledNode = {
  nodeId: string;
  type: NodeType;
  isEntry: boolean;
  credentialId: string | null;
  /** ISO 8601, which PostgreSQL reads as an interval; null also for a wait until some moment. */
  wait: string | null;
  /** What the node's run needs to know: the node without id, type and its place in an editor. */
  settings: object;
};

/** A row of `campaign_edge`. */
export type CompiledEdge = {
  edgeId: string;
  fromNode: string;
  toNode: string;
  eventTypes: readonly EventType[];
  url: string | null;
  firesWhen: FiresWhen;
  /** ISO 8601. */
  within: string | null;
  variant: string | null;
  kind: Kind | null;
  isNegative: boolean;
  withinCycle: boolean;
  closesCycle: boolean;
};

/** The rows of a campaign version. The graph must be one that `validateCampaign` has nothing against. */
export function compileGraph(graph: Pick<Graph, "nodes" | "edges">): {
  nodes: CompiledNode[];
  edges: CompiledEdge[];
} {
  const entry = entriesOf(graph)[0]?.id ?? "";
  const types = new Map(graph.nodes.map((node) => [node.id, node.type]));
  const rounds = edgeRounds(graph, entry);
  return {
    nodes: graph.nodes.map((node) => compileNode(node, node.id === entry)),
    edges: graph.edges.map((edge) => ({
      ...compileEdge(edge, types.get(edge.from)),
      ...(rounds.get(edge.id) ?? { withinCycle: false, closesCycle: false }),
    })),
  };
}

function compileNode(node: Node, isEntry: boolean): CompiledNode {
  const { id, type, position, ...settings } = node;
  return {
    nodeId: id,
    type,
    isEntry,
    credentialId: node.type === "message" ? node.credentialId : null,
    wait: node.type === "wait" ? (node.duration ?? null) : null,
    settings,
  };
}

function compileEdge(edge: Edge, type: NodeType | undefined) {
  const { id, from: fromNode, to: toNode, firesWhen, url, within, variant } = edge;
  const eventTypes = (type === undefined ? undefined : TRIGGERS[type][firesWhen]) ?? [];
  const { kind, isNegative } = KINDS[firesWhen] ?? { kind: null, isNegative: false };
  return { edgeId: id, fromNode, toNode, eventTypes, url, firesWhen, within, variant, kind, isNegative };
}

/**
 * Where a graph begins: at the node that no edge leads to, an edge from a node to itself aside; when edges lead to
 * every node, at the first in the list. More than one: the graph is not valid.
 */
export function entriesOf(graph: Pick<Graph, "nodes" | "edges">): Node[] {
  const targets = new Set(graph.edges.filter((edge) => edge.from !== edge.to).map((edge) => edge.to));
  const without = graph.nodes.filter((node) => !targets.has(node.id));
  return without.length === 0 ? graph.nodes.slice(0, 1) : without;
}
