import { holdOf, type Schedule } from "../credentials/schedule.ts";
import type { Pace, Tally } from "./progress-queries.ts";

/** Pace is measured over this time. */
export const PACE_MS = 5 * 60_000;
/** As long as one slot of the paces. */
const SLOT_MS = 10_000;
/** Windows and days that an estimate looks ahead; whoever needs more has no end in sight. */
const MAX_STEPS = 120;

/** What a campaign still sends through one credential. */
export type Line = {
  queued: number;
  /** Of those, the ones that are not put off. */
  ready: number;
  /** As it goes now; 0 when nothing was sent lately. */
  perSecond: number;
  /** At most, by the credential's settings. */
  limitPerSecond: number;
  schedule: Schedule;
  /** What the credential has sent on the day it is now. */
  sentToday: number;
  /** When the last of the queued messages is due. */
  lastDueMs: number;
};

export type Counts = {
  queued: number;
  sent: number;
  failed: number;
  suppressed: number;
  cancelled: number;
  uncertain: number;
};

export function countsOf(tallies: readonly Tally[]): Counts {
  const total = (...statuses: Tally["status"][]) =>
    sumOf(tallies.filter(({ status }) => statuses.includes(status)));
  return {
    queued: total("queued"),
    sent: total("sent", "rejected", "delivered", "bounced", "complained"),
    failed: total("failed"),
    suppressed: total("suppressed"),
    cancelled: total("cancelled"),
    uncertain: total("uncertain"),
  };
}

export function sumOf(tallies: readonly Tally[]): number {
  return tallies.reduce((sum, { messages }) => sum + messages, 0);
}

/** Messages a second since the first that the pace knows of. */
export function perSecond(pace: Pace, nowMs: number): number {
  const elapsedMs = Math.min(Math.max(nowMs - pace.since.getTime(), SLOT_MS), PACE_MS);
  return pace.sent / (elapsedMs / 1_000);
}

/**
 * When the last message goes if everything goes on as it does: at the pace of now within the credentials' windows
 * and ceilings. Where a credential sends nothing now because it is held, or because all messages are put off, it is
 * taken to send at its rate limit afterwards. Null when there is no telling.
 */
export function estimateFinishMs(lines: readonly Line[], nowMs: number): number | null {
  let latest = nowMs;
  for (const line of lines) {
    const finish = finishOf(line, nowMs);
    if (finish === null) return null;
    latest = Math.max(latest, finish);
  }
  return latest;
}

function finishOf(line: Line, nowMs: number): number | null {
  if (line.queued <= 0) return nowMs;
  const isWaiting = line.ready <= 0 || holdOf(line.schedule, line.sentToday, nowMs) !== null;
  const pace = isWaiting && line.perSecond === 0 ? line.limitPerSecond : line.perSecond;
  if (pace === 0) return null;
  const startMs = line.ready <= 0 ? Math.max(nowMs, line.lastDueMs) : nowMs;
  const drained = drainedAt(line, pace, startMs, line.schedule.day(nowMs));
  return drained === null ? null : Math.max(drained, line.lastDueMs);
}

function drainedAt(line: Line, pace: number, startMs: number, today: string): number | null {
  const { schedule } = line;
  let [at, left, day, sent] = [startMs, line.queued, today, line.sentToday];
  for (let step = 0; step < MAX_STEPS; step += 1) {
    at = schedule.opensAt(at);
    if (schedule.day(at) !== day) [day, sent] = [schedule.day(at), 0];
    const ceiling = schedule.ceiling(day);
    const closesAt = schedule.closesAt(at) ?? Number.POSITIVE_INFINITY;
    const endsAt = ceiling === null ? closesAt : Math.min(closesAt, schedule.nextDayAt(at));
    const allowed = ceiling === null ? Number.POSITIVE_INFINITY : Math.max(0, ceiling - sent);
    const going = Math.min(left, allowed, (pace * (endsAt - at)) / 1_000);
    if (going >= left) return at + (left / pace) * 1_000;
    left -= going;
    sent += going;
    at = going === allowed ? schedule.nextDayAt(at) : endsAt;
  }
  return null;
}
