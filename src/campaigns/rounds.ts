import type { Edge, Graph } from "./schema.ts";

type Shape = Pick<Graph, "nodes" | "edges">;

/** What an edge does to the round of the node it leads to. */
export type EdgeRound = {
  /** Both of its nodes can be reached from each other: the round goes on. Otherwise the target begins at round 1. */
  withinCycle: boolean;
  /** It leads back to a node on the way from the entry to it: the next round begins. */
  closesCycle: boolean;
};

/**
 * Of every edge, by its id. A depth-first search from the entry takes the edges in the order they are given; an edge
 * to a node on the path that it has come closes a cycle, so every cycle has one that does. The edge that makes a
 * cycle is always within it.
 * @param entry the node that the search begins at; what it does not reach is in no cycle
 */
export function edgeRounds(graph: Shape, entry: string): ReadonlyMap<string, EdgeRound> {
  const { components, back } = searchFrom(entry, graph.edges);
  return new Map(
    graph.edges.map((edge) => {
      const component = components.get(edge.from);
      const withinCycle = component !== undefined && component === components.get(edge.to);
      return [edge.id, { withinCycle, closesCycle: back.has(edge.id) }];
    }),
  );
}

/** Tarjan's strongly connected components, each under the number of one of its nodes, and the edges back. */
function searchFrom(entry: string, edges: readonly Edge[]) {
  const outgoing = Map.groupBy(edges, (edge) => edge.from);
  const numbers = new Map<string, number>();
  const components = new Map<string, number>();
  const back = new Set<string>();
  const path = new Set<string>();
  const open: string[] = [];

  /** @returns the lowest number among the open nodes that can be reached from `id` */
  function visit(id: string): number {
    const number = numbers.size;
    numbers.set(id, number);
    path.add(id);
    open.push(id);
    let lowest = number;
    for (const edge of outgoing.get(id) ?? []) {
      if (path.has(edge.to)) back.add(edge.id);
      const known = numbers.get(edge.to);
      if (known === undefined) lowest = Math.min(lowest, visit(edge.to));
      else if (!components.has(edge.to)) lowest = Math.min(lowest, known);
    }
    path.delete(id);
    if (lowest === number) for (const member of open.splice(open.indexOf(id))) components.set(member, number);
    return lowest;
  }

  visit(entry);
  return { components, back };
}
