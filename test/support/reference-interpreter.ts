import { edgesFiredBy, nodesWithoutIncoming, type RunEvent } from "../../src/campaigns/graph.ts";
import type { Graph } from "../../src/campaigns/schema.ts";
import type { EventType } from "../../src/events/event.ts";

export type RunStatus = "running" | "waiting" | "completed" | "failed" | "cancelled";

/** One enrollment. `messagesQueued` has the nodes whose message was ever queued; nodes that begin at one event are in no order. */
export type EnrollmentState = {
  active: boolean;
  runs: ReadonlyMap<string, RunStatus>;
  fired: ReadonlySet<string>;
  messagesQueued: readonly string[];
};

/** An event that happened to the run of `nodeId`. */
export type AddressedEvent = RunEvent & { nodeId: string };

const ENDS: Partial<Record<EventType, RunStatus>> = {
  message_sent: "completed",
  message_uncertain: "completed",
  contact_suppressed: "completed",
  run_completed: "completed",
  message_failed: "failed",
};

/** A contact has just been enrolled: the entry has begun. */
export function enrolled(graph: Graph): EnrollmentState {
  const nothing = { active: true, runs: new Map(), fired: new Set<string>(), messagesQueued: [] };
  return startNodes(
    graph,
    nothing,
    nodesWithoutIncoming(graph).map((node) => node.id),
  );
}

/**
 * What one event does to one enrollment: the plainest possible statement of what the projector does to many at
 * once. An event for a node that has not begun is none that EDGR can meet, and does nothing.
 *
 * It knows no worker: a message that one has claimed when an exit is reached stays `running` in EDGR, and is
 * `cancelled` here.
 */
export function advance(graph: Graph, state: EnrollmentState, event: AddressedEvent): EnrollmentState {
  const status = state.runs.get(event.nodeId);
  if (status === undefined) return state;
  const open = status === "running" || status === "waiting";
  const runs = new Map(state.runs).set(event.nodeId, (open ? ENDS[event.type] : undefined) ?? status);
  if (!state.active) return { ...state, runs };
  const edges = edgesFiredBy(graph, event.nodeId, event, state.fired);
  const fired = new Set([...state.fired, ...edges.map((edge) => edge.id)]);
  return startNodes(
    graph,
    { ...state, runs, fired },
    edges.map((edge) => edge.to),
  );
}

/** All of them begin, each that has not yet; then an exit among them cancels what is unfinished. */
function startNodes(graph: Graph, state: EnrollmentState, ids: readonly string[]): EnrollmentState {
  const runs = new Map(state.runs);
  const messagesQueued = [...state.messagesQueued];
  let active = state.active;
  for (const node of graph.nodes) {
    if (!ids.includes(node.id) || runs.has(node.id)) continue;
    if (node.type === "message") messagesQueued.push(node.id);
    if (node.type === "exit") active = false;
    runs.set(node.id, node.type === "message" ? "running" : node.type === "wait" ? "waiting" : "completed");
  }
  if (active) return { ...state, runs, messagesQueued };
  for (const [id, status] of runs)
    if (status === "running" || status === "waiting") runs.set(id, "cancelled");
  return { ...state, active, runs, messagesQueued };
}
