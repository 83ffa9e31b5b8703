import type { Agent, EventType, Json } from "../events/event.ts";
import type { Edge, FiresWhen, Graph, Node, NodeType } from "./schema.ts";

/**
 * Which events fire an edge. The projector fires in SQL, from the rows `compileGraph` gives it;
 * `edgesFiredBy` says the same in words that can be read and tested.
 *
 * `message_uncertain` says that EDGR was interrupted between handing the message to the mail server and hearing
 * the answer. It may or may not have been sent and is never sent again, so neither `sent` nor `failed` would be
 * true; only `always` goes on from it. The same holds for `contact_suppressed`: nothing was sent, nothing failed.
 */
export const TRIGGERS: Record<FiresWhen, readonly EventType[]> = {
  always: ["run_completed", "message_sent", "message_failed", "message_uncertain", "contact_suppressed"],
  sent: ["message_sent"],
  failed: ["message_failed"],
  opened: ["email_opened"],
  clicked: ["email_clicked"],
  unsubscribed: ["unsubscribed"],
};

/** Which events the run of a node can meet that fire something. Nothing leaves an exit. */
export const EVENTS_OF: Record<NodeType, readonly EventType[]> = {
  message: [
    "message_sent",
    "message_failed",
    "message_uncertain",
    "contact_suppressed",
    "email_opened",
    "email_clicked",
    "unsubscribed",
  ],
  wait: ["run_completed"],
  exit: [],
};

/** A row of `campaign_node`. */
export type CompiledNode = {
  nodeId: string;
  type: NodeType;
  isEntry: boolean;
  credentialId: string | null;
  /** ISO 8601, which PostgreSQL reads as an interval. */
  wait: string | null;
  /** What the node's run needs to know: the node without id, type and its place in an editor. */
  settings: { [key: string]: Json };
};

/** A row of `campaign_edge`. */
export type CompiledEdge = {
  edgeId: string;
  fromNode: string;
  toNode: string;
  eventTypes: readonly EventType[];
  url: string | null;
};

/** What an event tells the edges of the node it happened to. `clickedUrl` is null unless somebody clicked. */
export type RunEvent = { type: EventType; agent: Agent | null; clickedUrl: string | null };

/** The rows of a campaign version. The graph must be one that `validateCampaign` has nothing against. */
export function compileGraph(graph: Pick<Graph, "nodes" | "edges">): {
  nodes: CompiledNode[];
  edges: CompiledEdge[];
} {
  const entries = new Set(nodesWithoutIncoming(graph).map((node) => node.id));
  return {
    nodes: graph.nodes.map((node) => compileNode(node, entries.has(node.id))),
    edges: graph.edges.map((edge) => ({
      edgeId: edge.id,
      fromNode: edge.from,
      toNode: edge.to,
      eventTypes: TRIGGERS[edge.firesWhen],
      url: edge.url,
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
    wait: node.type === "wait" ? node.duration : null,
    settings,
  };
}

/** The entry of a valid graph is the only one of these. An edge from a node to itself leads nowhere new. */
export function nodesWithoutIncoming(graph: Pick<Graph, "nodes" | "edges">): Node[] {
  const targets = new Set(graph.edges.filter((edge) => edge.from !== edge.to).map((edge) => edge.to));
  return graph.nodes.filter((node) => !targets.has(node.id));
}

/**
 * The edges that fire when `event` happens to the run of `nodeId`: those that wait for such an event, whose one
 * link, if they name one, is the clicked one, and that have not fired for this enrollment before.
 */
export function edgesFiredBy(
  graph: Pick<Graph, "edges" | "countAutomaticHits">,
  nodeId: string,
  event: RunEvent,
  alreadyFired: ReadonlySet<string>,
): Edge[] {
  if (!countsForEdges(event.agent, graph.countAutomaticHits)) return [];
  return graph.edges.filter(
    (edge) =>
      edge.from === nodeId &&
      TRIGGERS[edge.firesWhen].includes(event.type) &&
      (edge.url === null || edge.url === event.clickedUrl) &&
      !alreadyFired.has(edge.id),
  );
}

/**
 * Whether a hit moves the campaign: people do, and image proxies that fetch when a person opens. Prefetching
 * proxies and scanners only where the campaign counts all. What is no hit (`agent` null) always does.
 */
export function countsForEdges(agent: Agent | null, countAutomaticHits: boolean): boolean {
  return countAutomaticHits || agent === null || agent === "human" || agent === "proxy";
}
