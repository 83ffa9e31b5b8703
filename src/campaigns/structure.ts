import type { FieldProblem } from "../errors.ts";
import { nodesWithoutIncoming } from "./graph.ts";
import type { Edge, Graph, Node } from "./schema.ts";

type Shape = Pick<Graph, "nodes" | "edges">;

/**
 * What is wrong with the graph as a whole: one entry, everything reachable from it, no way back. While an edge
 * leads nowhere, nobody can say where the entry is or what it reaches, so only cycles are looked for.
 */
export function structureProblems(graph: Shape): FieldProblem[] {
  const ids = new Set(graph.nodes.map((node) => node.id));
  const isWhole = graph.edges.every((edge) => ids.has(edge.from) && ids.has(edge.to));
  return [...(isWhole ? entryProblems(graph) : []), ...cycleProblems(graph)];
}

function entryProblems(graph: Shape): FieldProblem[] {
  const entries = nodesWithoutIncoming(graph);
  if (entries.length === 0)
    return [{ field: "nodes", reason: "there is no entry: exactly one node must have no incoming edge" }];
  const several = `several nodes have no incoming edge, and only the entry may be without: ${entries.map(quoted).join(", ")}`;
  return [
    ...(entries.length > 1 ? [{ field: "nodes", reason: several }] : []),
    ...unreachableNodes(graph, entries),
  ];
}

function unreachableNodes(graph: Shape, entries: readonly Node[]): FieldProblem[] {
  const outgoing = edgesByNode(graph.edges);
  const reached = new Set(entries.map((node) => node.id));
  for (const id of reached) for (const edge of outgoing.get(id) ?? []) reached.add(edge.to);
  const from = entries.map(quoted).join(", ");
  return graph.nodes.flatMap((node, index) =>
    reached.has(node.id)
      ? []
      : [{ field: `nodes.${index}`, reason: `node "${node.id}" can't be reached from ${from}` }],
  );
}

/** One problem for each cycle that shares no node with one named already. */
function cycleProblems(graph: Shape): FieldProblem[] {
  const outgoing = edgesByNode(graph.edges.filter((edge) => edge.from !== edge.to));
  const visited = new Set<string>();
  const named = new Set<string>();
  const problems: FieldProblem[] = [];
  const visit = (id: string, path: readonly string[]): void => {
    visited.add(id);
    for (const edge of outgoing.get(id) ?? []) {
      const start = path.indexOf(edge.to);
      if (start === -1) {
        if (!visited.has(edge.to)) visit(edge.to, [...path, edge.to]);
        continue;
      }
      const cycle = path.slice(start);
      if (cycle.some((member) => named.has(member))) continue;
      for (const member of cycle) named.add(member);
      problems.push(cycleProblem(graph.edges.indexOf(edge), edge, cycle));
    }
  };
  for (const node of graph.nodes) if (!visited.has(node.id)) visit(node.id, [node.id]);
  return problems;
}

function cycleProblem(index: number, edge: Edge, cycle: readonly string[]): FieldProblem {
  const round = [...cycle, cycle[0]].join(" → ");
  return {
    field: `edges.${index}`,
    reason: `edge "${edge.id}" closes the cycle ${round}, which can never be gone through again: a node runs once per enrollment`,
  };
}

function edgesByNode(edges: readonly Edge[]): ReadonlyMap<string, readonly Edge[]> {
  const byNode = new Map<string, Edge[]>();
  for (const edge of edges) byNode.set(edge.from, [...(byNode.get(edge.from) ?? []), edge]);
  return byNode;
}

function quoted(node: Node): string {
  return `"${node.id}"`;
}
