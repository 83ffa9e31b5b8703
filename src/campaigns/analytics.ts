import type {
  BounceCount,
  Count,
  CountedType,
  FiredCount,
  NodeCount,
  VersionEdge,
} from "./analytics-queries.ts";
import type { Edge, Graph, Node, NodeType } from "./schema.ts";

export type Hits = {
  total: number;
  unique: number;
  human: number;
  uniqueHuman: number;
  agents: { human: number; proxy: number; prefetch: number; scanner: number };
};

export type Reports = { total: number; unique: number };

export type Numbers = {
  runs: { total: number; unique: number; failed: number };
  queued: number;
  sent: number;
  failed: number;
  suppressed: number;
  uncertain: number;
  delivered: Reports;
  bounced: Reports;
  complained: Reports;
  replied: Reports;
  opened: Hits;
  clicked: Hits;
  unsubscribed: number;
};

/** What the counters say of some nodes; what they say nothing of is zero. */
export function numbersOf(counts: readonly Count[]): Numbers {
  return {
    runs: { ...reportsOf(counts, "run_started"), failed: totalOf(counts, "run_failed") },
    queued: totalOf(counts, "message_queued"),
    sent: totalOf(counts, "message_sent"),
    failed: totalOf(counts, "message_failed"),
    suppressed: totalOf(counts, "contact_suppressed"),
    uncertain: totalOf(counts, "message_uncertain"),
    delivered: reportsOf(counts, "message_delivered"),
    bounced: reportsOf(counts, "message_bounced"),
    complained: reportsOf(counts, "message_complained"),
    replied: reportsOf(counts, "message_received"),
    opened: hitsOf(counts, "email_opened"),
    clicked: hitsOf(counts, "email_clicked"),
    unsubscribed: totalOf(counts, "unsubscribed"),
  };
}

/** How many there were of each kind, over all nodes. */
export function bouncesOf(counts: readonly BounceCount[]) {
  const totalOfKind = (kind: BounceCount["kind"]) => counts.find((count) => count.kind === kind)?.total ?? 0;
  return {
    hard: totalOfKind("hard"),
    soft: totalOfKind("soft"),
    providerSuppressed: totalOfKind("provider_suppressed"),
    other: totalOfKind("other"),
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
  return allNodes(nodes, versionNodes).map(({ nodeId, type }) => ({
    nodeId,
    type,
    ...numbersOf(byNode.get(nodeId) ?? []),
  }));
}

/** The nodes as they are edited now, then those that only earlier versions have. */
export function allNodes(
  nodes: readonly Node[],
  versionNodes: readonly { nodeId: string; type: NodeType }[],
): { nodeId: string; type: NodeType }[] {
  const present = new Set(nodes.map((node) => node.id));
  return [
    ...nodes.map(({ id, type }) => ({ nodeId: id, type })),
    ...versionNodes.filter(({ nodeId }) => !present.has(nodeId)),
  ];
}

/** The edges in the same order. */
export function edgeNumbers(
  edges: Graph["edges"],
  versionEdges: readonly VersionEdge[],
  fired: readonly FiredCount[],
) {
  const byEdge = new Map(fired.map((count) => [count.edgeId, count.fired]));
  const present = new Set(edges.map((edge) => edge.id));
  return [
    ...edges.map(({ id, from, to, firesWhen }: Edge) => ({ edgeId: id, from, to, firesWhen })),
    ...versionEdges.filter(({ edgeId }) => !present.has(edgeId)),
  ].map((edge) => ({ ...edge, fired: byEdge.get(edge.edgeId) ?? 0 }));
}

export function hitsOf(counts: readonly Count[], type: CountedType): Hits {
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

function reportsOf(counts: readonly Count[], type: CountedType): Reports {
  const reports = ofType(counts, type);
  return {
    total: sum(reports.map((count) => count.total)),
    unique: sum(reports.map((count) => count.uniqueTotal)),
  };
}

function totalOf(counts: readonly Count[], type: CountedType): number {
  return sum(ofType(counts, type).map((count) => count.total));
}

function ofType(counts: readonly Count[], type: CountedType): Count[] {
  return counts.filter((count) => count.type === type);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
