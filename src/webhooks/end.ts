import type { Result } from "../egress/result.ts";
import { storableText } from "../events/storable.ts";
import type { Db } from "../storage/pool.ts";
import {
  type EndedAttempt,
  type EndpointRef,
  endAttempts,
  type HealthOfEndpoint,
  holdHealth,
  saveHealth,
} from "./attempt-queries.ts";
import type { Attempt } from "./begin.ts";
import { afterEnd, shouldDisable } from "./breaker.ts";
import type { DisabledBy } from "./endpoint-queries.ts";
import type { Verdict } from "./outcome.ts";
import { nextDelay } from "./retry.ts";

/** An attempt that came to something. */
export type End = {
  attempt: Attempt;
  finishedAt: Date;
  /** Null when nothing was sent. */
  result: Result | null;
  verdict: Verdict;
};

/** An endpoint that nothing more should be sent to. */
export type Disabling = EndpointRef & { by: Exclude<DisabledBy, "person">; reason: string };

type Random = () => number;

/** Every delivery moves an endpoint's `last_delivered_at`: so often at most, so that a fast one is not written for each. */
const DELIVERED_EVERY_MS = 1_000;

/**
 * Keeps what came of attempts, with what it says of their endpoints. A test says nothing of its endpoint, and is not
 * tried again: somebody watches it.
 * @param db a transaction
 * @returns the endpoints that are to be disabled then, by another transaction
 */
export async function recordEnds(db: Db, ends: readonly End[], random: Random): Promise<Disabling[]> {
  const telling = ends.filter(({ attempt }) => attempt.delivery.kind !== "test");
  const byEndpoint = Map.groupBy(telling, ({ attempt }) => keyOf(attempt.delivery));
  const known = await holdHealth(
    db,
    [...byEndpoint.values()].flatMap(([first]) => (first === undefined ? [] : [first.attempt.delivery])),
  );
  const disablings: Disabling[] = [];
  const changed: HealthOfEndpoint[] = [];
  for (const health of known) {
    const its = byEndpoint.get(keyOf(health)) ?? [];
    const next = its.reduce((before, end) => healthAfter(before, end, random), health);
    if (isWorthSaving(health, next)) changed.push(next);
    const disabling = disablingOf(next, its);
    if (disabling !== null) disablings.push(disabling);
  }
  await saveHealth(db, changed);
  await endAttempts(
    db,
    ends.map((end) => endedAttempt(end, random)),
  );
  return disablings;
}

function healthAfter(health: HealthOfEndpoint, end: End, random: Random): HealthOfEndpoint {
  const { verdict, finishedAt, attempt } = end;
  const maxConcurrency = attempt.order.endpoint?.maxConcurrency ?? 1;
  const chance = { now: finishedAt.getTime(), maxConcurrency, random };
  const counts = verdict.outcome === "delivered" || verdict.countsAgainst;
  const after = counts ? { ...health, ...afterEnd(health, verdict.outcome, chance) } : health;
  return {
    ...after,
    slowedUntil: later(after.slowedUntil, verdict.slowsForS, finishedAt),
    lastDeliveredAt: verdict.outcome === "delivered" ? finishedAt : after.lastDeliveredAt,
    lastFailure: verdict.outcome === "failed" ? verdict.reason : after.lastFailure,
  };
}

function later(until: Date | null, forS: number | null, from: Date): Date | null {
  if (forS === null) return until;
  const asked = new Date(from.getTime() + forS * 1_000);
  return until === null || asked > until ? asked : until;
}

function isWorthSaving(before: HealthOfEndpoint, after: HealthOfEndpoint): boolean {
  const { lastDeliveredAt: was, ...rest } = before;
  const { lastDeliveredAt: is, ...others } = after;
  if (JSON.stringify(rest) !== JSON.stringify(others)) return true;
  return is !== null && (was === null || is.getTime() - was.getTime() >= DELIVERED_EVERY_MS);
}

function disablingOf(health: HealthOfEndpoint, ends: readonly End[]): Disabling | null {
  const { customerId, endpointId } = health;
  const gone = ends.find(({ verdict }) => verdict.disables !== null)?.verdict.disables ?? null;
  if (gone !== null) return { customerId, endpointId, by: "gone", reason: gone };
  const last = ends.at(-1);
  if (last === undefined || !shouldDisable(health, last.finishedAt.getTime())) return null;
  const reason = `Every request of the last five days failed. The last: ${last.verdict.reason}`;
  return { customerId, endpointId, by: "failures", reason };
}

function endedAttempt({ attempt, finishedAt, result, verdict }: End, random: Random): EndedAttempt {
  const { delivery } = attempt;
  const answer = result?.ok === true ? result : null;
  return {
    customerId: delivery.customerId,
    endpointId: delivery.endpointId,
    id: attempt.id,
    eventId: delivery.eventId,
    number: delivery.attempts + 1,
    finishedAt,
    outcome: verdict.outcome,
    status: answer?.status ?? null,
    failure: verdict.failure,
    reason: verdict.reason === null ? null : storableText(verdict.reason),
    address: result?.address ?? null,
    timings: result?.timings ?? null,
    responseHeaders: answer === null ? null : storableHeaders(answer.headers),
    responseBody: answer === null ? null : storableText(answer.body.toString()),
    isTruncated: answer?.isTruncated ?? null,
    retryInS: retryInS(attempt, verdict, finishedAt, random),
  };
}

function retryInS({ order, delivery }: Attempt, verdict: Verdict, at: Date, random: Random): number | null {
  if (verdict.outcome === "delivered" || verdict.isFinal || delivery.kind === "test") return null;
  return nextDelay({
    schedule: order.endpoint?.retrySchedule ?? null,
    attemptsOfSchedule: delivery.attempts + 1 - delivery.scheduleFrom,
    retryAfterS: verdict.retryAfterS,
    ageS: (at.getTime() - delivery.scheduleAt.getTime()) / 1_000,
    random,
  });
}

function storableHeaders(headers: { [name: string]: string }): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [storableText(name), storableText(value)]),
  );
}

function keyOf({ customerId, endpointId }: EndpointRef): string {
  return `${customerId}/${endpointId}`;
}
