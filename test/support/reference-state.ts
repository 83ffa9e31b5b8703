import type { ExitReason, Node } from "../../src/campaigns/schema.ts";
import type { FilterFacts } from "../../src/contacts/filter-matches.ts";
import type { Agent, EventType, Json } from "../../src/events/event.ts";

/** One enrollment as the reference keeps it. */
export type EnrollmentState = {
  campaignId: string;
  /** As it is now: `update-contact` changes it at the step, not when its event is projected. */
  contact: ReferenceContact;
  /** The events that have happened to this enrollment, for filters that ask for them. */
  activity: readonly LoggedEvent[];
  active: boolean;
  reason: CompletedReason | null;
  /** By `runKey`. Each of a message node has had its message queued. */
  runs: ReadonlyMap<string, ReferenceRun>;
  /** By `firingKey`: the edge and the round it led to. */
  fired: ReadonlySet<string>;
  /** By `timerKey`: when the timer is due. None is kept for what has happened already. */
  timers: ReadonlyMap<string, Date>;
};

export type ReferenceContact = FilterFacts["contact"] & { id: string };
export type CompletedReason = "exit" | "round_limit" | ExitReason;
export type RunStatus = "running" | "waiting" | "completed" | "failed" | "cancelled";

export type ReferenceRun = {
  node: Node;
  round: number;
  status: RunStatus;
  /** Times in it are ISO 8601 in UTC. */
  output: { [name: string]: Json };
  /** When a worker has to do something; null once it has, and for messages and exits. */
  dueAt: Date | null;
  /** What the contact has done, as far as it counts. */
  did: ReadonlySet<Kind>;
  /** What a not… edge of this run has fired for: late, it fires no edge of its kind. */
  elapsed: ReadonlySet<Kind>;
};

/** An event that happened to a run. `data` is as the log has it: `clickedUrl`, `result`, `variant`, `edgeId`, … */
export type LoggedEvent = {
  nodeId: string;
  round: number;
  type: EventType;
  at: Date;
  agent: Agent | null;
  data: { [name: string]: Json };
};

export type Kind = "opened" | "clicked" | "replied";

export const runKey = (nodeId: string, round: number) => `${nodeId}/${round}`;
export const firingKey = (edgeId: string, round: number) => `${edgeId}/${round}`;
export const timerKey = (nodeId: string, round: number, edgeId: string) => `${nodeId}/${round}/${edgeId}`;

/** A state while it is being put together. */
export type Draft = Omit<EnrollmentState, "activity" | "runs" | "fired" | "timers"> & {
  activity: LoggedEvent[];
  runs: Map<string, ReferenceRun>;
  fired: Set<string>;
  timers: Map<string, Date>;
};

export function draftOf(state: EnrollmentState): Draft {
  return {
    ...state,
    activity: [...state.activity],
    runs: new Map(state.runs),
    fired: new Set(state.fired),
    timers: new Map(state.timers),
  };
}
