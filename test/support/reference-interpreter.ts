import type { Edge, ExitReason, Graph, Node } from "../../src/campaigns/schema.ts";
import { momentOf } from "../../src/contacts/moment.ts";
import type { EventType, Json } from "../../src/events/event.ts";
import { entryOf, targetRound } from "./reference-rounds.ts";
import {
  type CompletedReason,
  type Draft,
  draftOf,
  type EnrollmentState,
  firingKey,
  type Kind,
  type LoggedEvent,
  type ReferenceContact,
  type ReferenceRun,
  type RunStatus,
  runKey,
  timerKey,
} from "./reference-state.ts";
import { waitEnds } from "./wait-ends.ts";

/**
 * One enrollment, one event at a time: the plainest possible statement of what the projector and the workers do to
 * many at once, written from the design's text. It shares no code with what it is the reference for but the meaning
 * of filters and durations.
 *
 * - `enrolled`: the contact has just begun; the entry has a run.
 * - `advance`: what an event of the log does, in the log's order: recorded, and what it fires.
 * - `dueSteps` (reference-steps.ts): what the workers of waits, conditions, splits, updates and timers append to the
 *   log when they look next. Of webhooks only the answer tells, so theirs are appended by whoever plays the other
 *   system: `run_completed` with `status` and `output`, or `run_failed` with `reason` and `status`.
 *
 * Where the design's text leaves it open: what completes the enrollment by `exitOn` fires nothing; an exit goes before
 * a round too many; no timer is kept for what has been done already.
 *
 * It knows no pause, no operator and no sender: a message that one has claimed when the enrollment completes stays
 * `running` in EDGR and is `cancelled` here.
 */

/** A contact has just been enrolled: the entry has begun. */
export function enrolled(
  graph: Graph,
  { campaignId, contact, at }: { campaignId: string; contact: ReferenceContact; at: Date },
): EnrollmentState {
  const state = draftOf({
    campaignId,
    contact,
    activity: [],
    active: true,
    reason: null,
    runs: new Map(),
    fired: new Set(),
    timers: new Map(),
  });
  start(graph, state, entryOf(graph), 1, at);
  if (entryOf(graph)?.type === "exit") complete(state, "exit");
  return state;
}

/** An event for a run that has not begun is none that EDGR can meet, and does nothing. */
export function advance(graph: Graph, before: EnrollmentState, event: LoggedEvent): EnrollmentState {
  const state = draftOf(before);
  const key = runKey(event.nodeId, event.round);
  const run = state.runs.get(key);
  if (run === undefined) return before;
  const counts =
    graph.countAutomaticHits || event.agent === null || event.agent === "human" || event.agent === "proxy";
  const after = recorded(run, event, counts);
  state.activity.push(event);
  state.runs.set(key, after);
  if (!before.active) return state;
  setTimers(graph, state, run, after, event);
  const exit = exitReason(graph, event, counts);
  if (exit !== null) complete(state, exit);
  else if (counts) fire(graph, state, run, event);
  return state;
}

const ENDS: Partial<Record<EventType, RunStatus>> = {
  message_sent: "completed",
  message_uncertain: "completed",
  contact_suppressed: "completed",
  run_completed: "completed",
  message_failed: "failed",
  run_failed: "failed",
};

const KIND_OF_EVENT: Partial<Record<EventType, Kind>> = {
  email_opened: "opened",
  email_clicked: "clicked",
  message_received: "replied",
};

const KIND_OF_EDGE: Partial<Record<Edge["firesWhen"], Kind>> = {
  opened: "opened",
  clicked: "clicked",
  replied: "replied",
  notOpened: "opened",
  notClicked: "clicked",
  notReplied: "replied",
};

function recorded(run: ReferenceRun, event: LoggedEvent, counts: boolean): ReferenceRun {
  const isOpen = run.status === "running" || run.status === "waiting";
  const status = (isOpen ? ENDS[event.type] : undefined) ?? run.status;
  // What was there first stays, but for what a provider reports more than once.
  const told = outputOf(event, counts);
  const output = { ...told, ...run.output, ...leastOf(told, run.output) };
  const kind = counts ? KIND_OF_EVENT[event.type] : undefined;
  const did = kind === undefined ? run.did : new Set([...run.did, kind]);
  const dueAt = status === run.status ? run.dueAt : null;
  return { ...run, status, output, did, dueAt };
}

/** Of reports the earliest time and the gravest kind; `Permanent` comes before `Transient`. */
const LEAST = [
  "deliveredAt",
  "bouncedAt",
  "bounceType",
  "complainedAt",
  "complaintType",
  "rejectedAt",
  "repliedAt",
];

function leastOf(told: ReferenceRun["output"], before: ReferenceRun["output"]): ReferenceRun["output"] {
  const both = LEAST.filter((name) => told[name] !== undefined && before[name] !== undefined);
  return Object.fromEntries(
    both.map((name) => [name, [String(told[name]), String(before[name])].sort()[0] ?? ""]),
  );
}

function outputOf({ type, at, data }: LoggedEvent, counts: boolean): { [name: string]: Json } {
  const happened = (name: string, ...fields: string[]) => ({
    [name]: true,
    [`${name}At`]: at.toISOString(),
    ...given(data, fields),
  });
  switch (type) {
    case "message_sent":
      return happened("sent");
    case "message_failed":
      return { failed: true, ...given(data, ["reason"]) };
    case "message_uncertain":
      return { uncertain: true };
    case "contact_suppressed":
      return { suppressed: true };
    case "message_delivered":
      return happened("delivered");
    case "message_bounced":
      return happened("bounced", "bounceType");
    case "message_complained":
      return happened("complained", "complaintType");
    case "message_rejected":
      return happened("rejected", "reason");
    case "message_delayed":
      return { delayed: true };
    case "unsubscribed":
      return happened("unsubscribed");
    case "email_opened":
      return counts ? happened("opened") : {};
    case "email_clicked":
      return counts ? happened("clicked", "clickedUrl") : {};
    case "message_received":
      return counts ? happened("replied") : {};
    case "run_completed":
      return { ...objectIn(data, "output"), ...given(data, ["result", "variant", "status"]) };
    case "run_failed":
      return { failed: true, ...given(data, ["reason", "status"]) };
    default:
      return {};
  }
}

/** Timers begin with the first word that the message went out, and end with what they wait for. */
function setTimers(
  graph: Graph,
  state: Draft,
  before: ReferenceRun,
  after: ReferenceRun,
  event: LoggedEvent,
): void {
  const wasOut = before.output.sent === true || before.output.uncertain === true;
  const isOut = event.type === "message_sent" || event.type === "message_uncertain";
  for (const edge of notEdges(graph, after)) {
    const key = timerKey(after.node.id, after.round, edge.id);
    if (isOut && !wasOut) state.timers.set(key, momentOf(edge.within ?? "", event.at));
    const hasElapsed = event.type === "timer_elapsed" && event.data.edgeId === edge.id;
    if (hasElapsed || didAlready(edge, after)) state.timers.delete(key);
  }
}

/** The edges of a run's node that wait for something not to happen. */
export function notEdges(graph: Graph, { node }: ReferenceRun): Edge[] {
  return graph.edges.filter((edge) => edge.from === node.id && isNot(edge));
}

function isNot({ firesWhen }: Edge): boolean {
  return firesWhen === "notOpened" || firesWhen === "notClicked" || firesWhen === "notReplied";
}

function didAlready(edge: Edge, run: ReferenceRun): boolean {
  const kind = KIND_OF_EDGE[edge.firesWhen];
  return kind !== undefined && run.did.has(kind);
}

function exitReason(graph: Graph, { type }: LoggedEvent, counts: boolean): ExitReason | null {
  if (type === "unsubscribed" && graph.exitOn.includes("unsubscribed")) return "unsubscribed";
  if (type === "message_received" && counts && graph.exitOn.includes("replied")) return "replied";
  return null;
}

/** All that fire begin what they lead to; then an exit among it, or a round too many, completes the enrollment. */
function fire(graph: Graph, state: Draft, run: ReferenceRun, event: LoggedEvent): void {
  const edges = graph.edges.filter((edge) => edge.from === run.node.id && fires(edge, run, event));
  let reason: CompletedReason | null = null;
  for (const edge of edges) {
    const round = targetRound(graph, edge, run.round);
    const node = graph.nodes.find(({ id }) => id === edge.to);
    if (round > graph.maxRounds) {
      reason ??= "round_limit";
    } else if (!state.fired.has(firingKey(edge.id, round))) {
      state.fired.add(firingKey(edge.id, round));
      if (isNot(edge)) rememberElapsed(state, run, edge);
      start(graph, state, node, round, event.at);
      if (node?.type === "exit") reason = "exit";
    }
  }
  if (reason !== null) complete(state, reason);
}

function rememberElapsed(state: Draft, { node, round }: ReferenceRun, { firesWhen }: Edge): void {
  const run = state.runs.get(runKey(node.id, round));
  const kind = KIND_OF_EDGE[firesWhen];
  if (run === undefined || kind === undefined) return;
  state.runs.set(runKey(node.id, round), { ...run, elapsed: new Set([...run.elapsed, kind]) });
}

/** @param run as it was before the event */
function fires(edge: Edge, run: ReferenceRun, { type, data }: LoggedEvent): boolean {
  const kind = KIND_OF_EDGE[edge.firesWhen];
  if (kind !== undefined && (isNot(edge) ? run.did : run.elapsed).has(kind)) return false;
  switch (edge.firesWhen) {
    case "always":
      return ENDS[type] !== undefined;
    case "sent":
      return type === "message_sent" || (type === "run_completed" && run.node.type === "webhook");
    case "failed":
      return type === "message_failed" || type === "message_rejected" || type === "run_failed";
    case "delivered":
      return type === "message_delivered";
    case "bounced":
      return type === "message_bounced";
    case "complained":
      return type === "message_complained";
    case "opened":
      return type === "email_opened";
    case "clicked":
      return type === "email_clicked" && (edge.url === null || edge.url === data.clickedUrl);
    case "replied":
      return type === "message_received";
    case "unsubscribed":
      return type === "unsubscribed";
    case "true":
      return type === "run_completed" && data.result === true;
    case "false":
      return type === "run_completed" && data.result === false;
    case "variant":
      return type === "run_completed" && data.variant === edge.variant;
    case "notOpened":
    case "notClicked":
    case "notReplied":
      return type === "timer_elapsed" && data.edgeId === edge.id;
  }
}

/** A node begins once in each round. */
function start(graph: Graph, state: Draft, node: Node | undefined, round: number, at: Date): void {
  if (node === undefined || state.runs.has(runKey(node.id, round))) return;
  const run = { node, round, output: {}, did: new Set<Kind>(), elapsed: new Set<Kind>() };
  state.runs.set(runKey(node.id, round), { ...run, ...beginning(graph, state, node, at) });
}

function beginning(graph: Graph, { contact }: Draft, node: Node, at: Date) {
  if (node.type === "message") return { status: "running" as const, dueAt: null };
  if (node.type === "exit") return { status: "completed" as const, dueAt: null };
  const zone = [contact.timeZone, graph.timeZone].find((name) => name !== null && isZone(name)) ?? "UTC";
  return { status: "waiting" as const, dueAt: node.type === "wait" ? waitEnds(node, at, zone) : at };
}

function complete(state: Draft, reason: CompletedReason): void {
  state.active = false;
  state.reason = reason;
  state.timers.clear();
  for (const [key, run] of state.runs) {
    const isOpen = run.status === "running" || run.status === "waiting";
    if (isOpen) state.runs.set(key, { ...run, status: "cancelled", dueAt: null });
  }
}

function given(data: LoggedEvent["data"], names: readonly string[]): { [name: string]: Json } {
  return Object.fromEntries(names.flatMap((name) => (data[name] == null ? [] : [[name, data[name]]])));
}

function objectIn(data: LoggedEvent["data"], name: string): { [name: string]: Json } {
  const found = data[name];
  return typeof found === "object" && found !== null && !Array.isArray(found) ? found : {};
}

function isZone(name: string): boolean {
  return Intl.supportedValuesOf("timeZone").includes(name) || name === "UTC";
}
