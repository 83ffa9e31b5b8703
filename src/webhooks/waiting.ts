/** Why a delivery that is pending is not being made at this moment. */
export const WAITING = [
  "running",
  "endpoint_disabled",
  "endpoint_paused",
  "endpoint_slowed",
  "schedule",
  "order",
  "turn",
] as const;

/** `until`: null when it is not known. */
export type Waiting = { code: (typeof WAITING)[number]; until: Date | null; reason: string };

export type Pending = {
  dueAt: Date;
  /** An attempt is being made. */
  isRunning: boolean;
  isEndpointDisabled: boolean;
  /** The endpoint failed often, or asked for less: nothing goes to it before. */
  pausedUntil: Date | null;
  slowedUntil: Date | null;
  /** The endpoint takes one after the other, and another one is before this. */
  isBehind: boolean;
};

/** The first of the reasons, in the order in which they hold a delivery up. */
export function waitingFor(pending: Pending, now: Date): Waiting {
  const { dueAt, pausedUntil, slowedUntil } = pending;
  if (pending.isRunning) return { code: "running", until: null, reason: "It is being tried now." };
  if (pending.isEndpointDisabled)
    return { code: "endpoint_disabled", until: null, reason: "The endpoint is disabled." };
  const holding = [
    { code: "endpoint_paused", until: pausedUntil, reason: "The endpoint failed often and is left alone." },
    { code: "endpoint_slowed", until: slowedUntil, reason: "The endpoint asked to be called less." },
    { code: "schedule", until: dueAt, reason: "Its next attempt is due then." },
  ] as const;
  const last = holding.reduce((latest, next) => (msOf(next.until) > msOf(latest.until) ? next : latest));
  if (msOf(last.until) > now.getTime()) return last;
  if (pending.isBehind)
    return { code: "order", until: null, reason: "The endpoint takes one after the other, in order." };
  return {
    code: "turn",
    until: null,
    reason: "It is due, and waits for the endpoint's rate or its requests in hand.",
  };
}

function msOf(time: Date | null): number {
  return time === null ? 0 : time.getTime();
}
