import type { EventType } from "../events/event.ts";
import type { NodeCount, VersionEdge } from "./analytics-queries.ts";
import { TRIGGERS } from "./graph.ts";
import { type Edge, FIRES_WHEN, type FiresWhen, type Graph, type Node, type NodeType } from "./schema.ts";

type Hits = {
  total: number;
  unique: number;
  human: number;
  uniqueHuman: number;
  agents: { human: number; proxy: number; prefetch: number; scanner: number };
};

export type Numbers = {
  queued: number;
  sent: number;
  failed: number;
  suppressed: number;
  uncertain: number;
  opened: Hits;
  clicked: Hits;
  unsubscribed: number;
};

/** What the counters say of some nodes; what they say nothing of is zero. */
export function numbersOf(counts: readonly NodeCount[]): Numbers {
  return {
    queued: totalOf(counts, "message_queued"),
    sent: totalOf(counts, "message_sent"),
    failed: totalOf(counts, "message_failed"),
    suppressed: totalOf(counts, "contact_suppressed"),
    uncertain: totalOf(counts, "message_uncertain"),
    opened: hitsOf(counts, "email_opened"),
    clicked: hitsOf(counts, "email_clicked"),
    unsubscribed: totalOf(counts, "unsubscribed"),
  };
}

export function enrollmentsOf(counts: readonly NodeCount[]) {
  const total = totalOf(counts, "campaign_started");
  const completed = totalOf(counts, "campaign_completed");
  return { total, active: total - completed, completed };
}

/** The nodes as they are edited now, then those that only earlier versions have: their numbers stay. */
export function nodeNumbers(
  nodes: readonly Node[],
  versionNodes: readonly { nodeId: string; type: NodeType }[],
  counts: readonly NodeCount[],
) {
  const byNode = Map.groupBy(counts, (count) => count.nodeId);
  const present = new Set(nodes.map((node) => node.id));
  return [
    ...nodes.map(({ id, type }) => ({ nodeId: id, type })),
    ...versionNodes.filter(({ nodeId }) => !present.has(nodeId)),
  ].map(({ nodeId, type }) => ({ nodeId, type, ...numbersOf(byNode.get(nodeId) ?? []) }));
}

/** The edges in the same order. */
export function edgeNumbers(
  edges: Graph["edges"],
  versionEdges: readonly VersionEdge[],
  fired: readonly { edgeId: string; fired: number }[],
) {
  const byEdge = new Map(fired.map((count) => [count.edgeId, count.fired]));
  const present = new Set(edges.map((edge) => edge.id));
  return [
    ...edges.map(({ id, from, to, firesWhen }: Edge) => ({ edgeId: id, from, to, firesWhen })),
    ...versionEdges
      .filter(({ edgeId }) => !present.has(edgeId))
      .map(({ edgeId, from, to, eventTypes }) => ({ edgeId, from, to, firesWhen: firesWhenOf(eventTypes) })),
  ].map((edge) => ({ ...edge, fired: byEdge.get(edge.edgeId) ?? 0 }));
}

// A version keeps the events an edge waits for, which no two kinds of edge share.
function firesWhenOf(eventTypes: readonly EventType[]): FiresWhen {
  const kind = FIRES_WHEN.find((firesWhen) => TRIGGERS[firesWhen].join() === eventTypes.join());
  return kind ?? "always";
}

function totalOf(counts: readonly NodeCount[], type: EventType): number {
  return sum(ofType(counts, type).map((count) => count.total));
}

function hitsOf(counts: readonly NodeCount[], type: EventType): Hits {
  const hits = ofType(counts, type);
  const agents = {
    human: sum(hits.map((count) => count.human)),
    proxy: sum(hits.map((count) => count.proxy)),
    prefetch: sum(hits.map((count) => count.prefetch)),
    scanner: sum(hits.map((count) => count.scanner)),
  };
  return {
    total: sum(hits.map((count) => count.total)),
    unique: sum(hits.map((count) => count.uniqueTotal)),
    human: agents.human + agents.proxy,
    uniqueHuman: sum(hits.map((count) => count.uniqueHuman)),
    agents,
  };
}

function ofType(counts: readonly NodeCount[], type: EventType): NodeCount[] {
  return counts.filter((count) => count.type === type);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
