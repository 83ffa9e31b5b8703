import type { FieldProblem } from "../errors.ts";
import { entriesOf } from "./graph.ts";
import type { Graph, Node } from "./schema.ts";

type Shape = Pick<Graph, "nodes" | "edges">;

/**
 * What is wrong with the graph as a whole: one entry, everything reachable from it. While an edge leads nowhere,
 * nobody can say where the entry is or what it reaches.
 */
export function structureProblems(graph: Shape): FieldProblem[] {
  const ids = new Set(graph.nodes.map((node) => node.id));
  const isWhole = graph.edges.every((edge) => ids.has(edge.from) && ids.has(edge.to));
  return isWhole ? entryProblems(graph) : [];
}

function entryProblems(graph: Shape): FieldProblem[] {
  const entries = entriesOf(graph);
  const several = `several nodes have no incoming edge, and only the entry may be without: ${entries.map(quoted).join(", ")}`;
  return [
    ...(entries.length > 1 ? [{ field: "nodes", reason: several }] : []),
    ...unreachableNodes(graph, entries),
  ];
}

function unreachableNodes(graph: Shape, entries: readonly Node[]): FieldProblem[] {
  const outgoing = Map.groupBy(graph.edges, (edge) => edge.from);
  const reached = new Set(entries.map((node) => node.id));
  for (const id of reached) for (const edge of outgoing.get(id) ?? []) reached.add(edge.to);
  const isLedTo = graph.edges.some((edge) => edge.to === entries[0]?.id && edge.from !== edge.to);
  const why = isLedTo ? ", where it begins: edges lead to every node, and that is the first" : "";
  const from = entries.map(quoted).join(", ") + why;
  return graph.nodes.flatMap((node, index) =>
    reached.has(node.id)
      ? []
      : [{ field: `nodes.${index}`, reason: `node "${node.id}" can't be reached from ${from}` }],
  );
}

function quoted(node: Node): string {
  return `"${node.id}"`;
}
