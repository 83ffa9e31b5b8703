import type { FiredCount, NodeCount } from "./analytics-queries.ts";
import { entriesOf } from "./graph.ts";
import type { Graph, NodeType } from "./schema.ts";

export type FunnelStep = {
  nodeId: string;
  type: NodeType;
  enrollments: number;
  runs: number;
  shareOfFirst: number | null;
  shareOfPrevious: number | null;
  dropOff: number;
};

/** The nodes from the entry along the edge that has fired most, the first of those that fired as often. */
export function usualPath(graph: Pick<Graph, "nodes" | "edges">, fired: readonly FiredCount[]): string[] {
  const byEdge = new Map(fired.map((count) => [count.edgeId, count.fired]));
  const path = new Set<string>();
  let next = entriesOf(graph)[0]?.id;
  while (next !== undefined) {
    path.add(next);
    const from = next;
    const onward = graph.edges.filter((edge) => edge.from === from && !path.has(edge.to));
    const often = Math.max(...onward.map((edge) => byEdge.get(edge.id) ?? 0));
    next = onward.find((edge) => (byEdge.get(edge.id) ?? 0) === often)?.to;
  }
  return [...path];
}

/** How many enrollments reached each of the nodes; whether they came there by the others is not asked. */
export function funnelOf(
  nodes: readonly { nodeId: string; type: NodeType }[],
  counts: readonly NodeCount[],
): FunnelStep[] {
  const begun = counts.filter((count) => count.type === "run_started");
  const reached = nodes.map(({ nodeId, type }) => {
    const count = begun.find((row) => row.nodeId === nodeId);
    return { nodeId, type, enrollments: count?.uniqueTotal ?? 0, runs: count?.total ?? 0 };
  });
  return reached.map((step, index) => {
    const previous = reached[index - 1];
    return {
      ...step,
      shareOfFirst: share(step.enrollments, reached[0]?.enrollments ?? 0),
      shareOfPrevious: previous === undefined ? null : share(step.enrollments, previous.enrollments),
      dropOff: previous === undefined ? 0 : previous.enrollments - step.enrollments,
    };
  });
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}
