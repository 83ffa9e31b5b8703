export const REPLAY_STATUSES = ["running", "paused", "cancelled", "completed"] as const;

export type ReplayStatus = (typeof REPLAY_STATUSES)[number];

/** Of the events that fit: those whose delivery has failed or was cancelled, those that have none, or both and more. */
export const WHICH = ["failed", "missing", "all"] as const;

export type Which = (typeof WHICH)[number];

/** The bytes that were sent first, or the event as it is told now. */
export const PAYLOADS = ["original", "anew"] as const;

/** Which events of the log; what is null says nothing. Times are those at which EDGR learnt of them. */
export type ReplayFilter = {
  from: string | null;
  to: string | null;
  /** With `*` for any characters. */
  eventTypes: string[] | null;
  campaignIds: string[] | null;
  contactId: string | null;
  messageId: string | null;
  eventIds: string[] | null;
};

/** What there is of an event at an endpoint. `filtered`: nothing, and it would not be told of it now either. */
export type Standing = "failed" | "missing" | "delivered" | "pending" | "filtered";

/** What a replay opens, whether it is there or not. What is pending is about to be delivered anyway. */
export const OPENED: { [Key in Which]: readonly Standing[] } = {
  failed: ["failed"],
  missing: ["missing"],
  all: ["failed", "missing", "delivered"],
};

export type Replay = {
  id: string;
  status: ReplayStatus;
  filter: ReplayFilter;
  endpointIds: string[];
  which: Which;
  payload: (typeof PAYLOADS)[number];
  ratePerSecond: number | null;
  reason: string | null;
  createdBy: string;
  /** How many events it has to look at; null when they were too many to count. */
  total: number | null;
  scanned: number;
  matched: number;
  opened: number;
  lastError: string | null;
  createdAt: Date;
  updatedAt: Date;
  finishedAt: Date | null;
};

/**
 * Why a replay can't go from one status to another.
 * @returns null when it can, or is there already
 */
export function transitionProblem(from: ReplayStatus, to: ReplayStatus | undefined): string | null {
  const isOver = from === "completed" || from === "cancelled";
  return isOver && to !== from ? `The replay is ${from}: it does not change any more.` : null;
}

/** A replay as people see it. */
export function presentReplay(replay: Replay) {
  return {
    ...replay,
    createdAt: replay.createdAt.toISOString(),
    updatedAt: replay.updatedAt.toISOString(),
    finishedAt: replay.finishedAt?.toISOString() ?? null,
  };
}
