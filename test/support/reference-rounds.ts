import type { Edge, Graph, Node } from "../../src/campaigns/schema.ts";

/** The node that no edge leads to, from itself aside; when there is none, the first. */
export function entryOf({ nodes, edges }: Graph): Node | undefined {
  return nodes.find(({ id }) => !edges.some((edge) => edge.to === id && edge.from !== id)) ?? nodes[0];
}

/**
 * In which round `edge` makes its target begin, from a run of this round: outside cycles the first; within one the
 * same, or the next where the edge closes it.
 */
export function targetRound(graph: Graph, edge: Edge, round: number): number {
  if (!leadsTo(graph, edge.to, edge.from)) return 1;
  return closesCycle(graph, edge) ? round + 1 : round;
}

/** Whether there is a way of any length, none included. */
function leadsTo({ edges }: Graph, from: string, to: string): boolean {
  const reached = new Set([from]);
  for (const id of reached) for (const edge of edges) if (edge.from === id) reached.add(edge.to);
  return reached.has(to);
}

/** Whether the depth-first search, at the edge for the first time, comes back to its own path by it. */
function closesCycle(graph: Graph, edge: Edge): boolean {
  const seen = new Set<string>();
  const visit = (id: string, path: readonly string[]): boolean => {
    seen.add(id);
    const onward = graph.edges.filter(({ from }) => from === id);
    return onward.some((next) => {
      if (next === edge) return [...path, id].includes(edge.to);
      return !seen.has(next.to) && visit(next.to, [...path, id]);
    });
  };
  return visit(entryOf(graph)?.id ?? "", []);
}
