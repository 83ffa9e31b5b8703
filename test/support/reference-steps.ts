import { createHash } from "node:crypto";
import type { Graph, Node, SplitNode, UpdateContactNode } from "../../src/campaigns/schema.ts";
import { type Filter, valueAt } from "../../src/contacts/filter.ts";
import { matches } from "../../src/contacts/filter-matches.ts";
import type { EventType, Json } from "../../src/events/event.ts";
import { notEdges } from "./reference-interpreter.ts";
import {
  draftOf,
  type EnrollmentState,
  type LoggedEvent,
  type ReferenceContact,
  type ReferenceRun,
  timerKey,
} from "./reference-state.ts";

/**
 * What the workers do when they look at `at` with nothing left to project: every run and timer that is due, each
 * judged by what was there before any of them.
 * @returns the events they append, in no order that matters, and the state with these steps taken but not projected
 */
export function dueSteps(
  graph: Graph,
  before: EnrollmentState,
  at: Date,
): { state: EnrollmentState; events: LoggedEvent[] } {
  const state = draftOf(before);
  const events: LoggedEvent[] = [];
  const append = (run: ReferenceRun, type: EventType, data: LoggedEvent["data"]) =>
    events.push({ nodeId: run.node.id, round: run.round, type, at, agent: null, data });
  for (const [key, run] of before.runs) {
    if (run.dueAt === null || run.dueAt > at || run.node.type === "webhook") continue;
    state.runs.set(key, { ...run, dueAt: null });
    if (run.node.type === "update-contact") state.contact = changed(state.contact, run.node, before);
    append(run, "run_completed", stepData(run.node, before, at));
  }
  for (const run of before.runs.values()) {
    for (const edge of notEdges(graph, run)) {
      const key = timerKey(run.node.id, run.round, edge.id);
      const dueAt = before.timers.get(key);
      if (dueAt === undefined || dueAt > at) continue;
      state.timers.delete(key);
      append(run, "timer_elapsed", { edgeId: edge.id });
    }
  }
  return { state, events };
}

function stepData(node: Node, state: EnrollmentState, now: Date): { [name: string]: Json } {
  if (node.type === "condition") return { result: holds(node.if, state, now) };
  return node.type === "split" ? { variant: variantOf(node, state) } : {};
}

function holds(filter: Filter, state: EnrollmentState, now: Date): boolean {
  const { contact, campaignId } = state;
  const activity = state.activity.map((event) => ({ ...event, campaignId }));
  return matches(filter, { now, contact, activity, outputs: latestOutputs(state) });
}

function variantOf({ id, variants }: SplitNode, { campaignId, contact }: EnrollmentState): string {
  const digest = createHash("md5").update(`${contact.id}:${campaignId}:${id}`).digest("hex");
  let rest = Number.parseInt(digest.slice(0, 8), 16) % variants.reduce((sum, { weight }) => sum + weight, 0);
  for (const variant of variants) {
    if (rest < variant.weight) return variant.id;
    rest -= variant.weight;
  }
  throw new Error("weights don't add up");
}

/** What refers to an output that is not there, or null, leaves the attribute as it is. */
function changed(
  contact: ReferenceContact,
  node: UpdateContactNode,
  state: EnrollmentState,
): ReferenceContact {
  const outputs = latestOutputs(state);
  const set = Object.entries(node.set).flatMap(([name, value]) => {
    const found = typeof value === "object" ? valueAt(outputs.get(value.node) ?? {}, value.output) : value;
    return found === undefined ? [] : [[name, found]];
  });
  const kept = Object.entries(contact.attributes).filter(([name]) => !node.unset.includes(name));
  const tags = [...new Set([...contact.tags, ...node.addTags])].filter(
    (tag) => !node.removeTags.includes(tag),
  );
  return { ...contact, attributes: Object.fromEntries([...kept, ...set]), tags };
}

function latestOutputs({ runs }: EnrollmentState): Map<string, { [name: string]: Json }> {
  const byRound = [...runs.values()].sort((a, b) => a.round - b.round);
  return new Map(byRound.map(({ node, output }) => [node.id, output]));
}
