import { invalid } from "../http/problem.ts";
import type { MessageNode, Node } from "./schema.ts";

/** The message node of this id, and its place in the list; a 400 that names `nodeId` when there is none. */
export function messageIn(nodes: readonly Node[], nodeId: string): { node: MessageNode; index: number } {
  const index = nodes.findIndex((node) => node.id === nodeId);
  const node = nodes[index];
  if (node === undefined) throw invalid([{ field: "nodeId", reason: "is no node of this campaign" }]);
  if (node.type !== "message") {
    throw invalid([{ field: "nodeId", reason: `is a node of type ${node.type}, not a message` }]);
  }
  return { node, index };
}
