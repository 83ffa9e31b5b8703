import type { Db } from "../storage/pool.ts";
import { OPENED, type Standing, type Which } from "./replay.ts";
import { type Counted, countDeliveries, type Scope } from "./replay-chunk-queries.ts";

const CHUNK_PAIRS = 20_000;
const MAX_EVENTS = 1_000_000;
const MAX_MS = 10_000;

type EndpointCount = { endpointId: string; total: number; toOpen: number } & Record<Standing, number>;

export type ReplayCount = {
  matched: {
    events: number;
    byEndpoint: EndpointCount[];
    byType: { type: string; events: number }[];
  };
  scanned: number;
  isExact: boolean;
};

/**
 * What a replay would find, counted chunk by chunk until the end, a million events or ten seconds: one that is not
 * exact has counted the oldest.
 */
export async function countReplay(db: Db, scope: Scope, which: Which, now: () => Date): Promise<ReplayCount> {
  const until = now().getTime() + MAX_MS;
  const events = Math.floor(CHUNK_PAIRS / scope.endpointIds.length);
  const tally = newTally(scope.endpointIds);
  for (let afterId = scope.afterId; ; ) {
    const counted = await countDeliveries(db, { ...scope, afterId }, events);
    tally.add(counted);
    const isExact = counted.scanned < events;
    if (isExact || tally.scanned() >= MAX_EVENTS || now().getTime() >= until)
      return tally.read(which, isExact);
    afterId = counted.lastId ?? scope.untilId;
  }
}

function newTally(endpointIds: readonly string[]) {
  const byType = new Map<string, number>();
  const byEndpoint = new Map(
    endpointIds.map((id) => [id, { failed: 0, missing: 0, delivered: 0, pending: 0, filtered: 0 }]),
  );
  let scanned = 0;
  let events = 0;

  return {
    scanned: () => scanned,
    add(counted: Counted): void {
      scanned += counted.scanned;
      events += counted.events;
      for (const of of counted.byType) byType.set(of.type, (byType.get(of.type) ?? 0) + of.events);
      for (const { endpointId, standing, events: more } of counted.byEndpoint) {
        const counts = byEndpoint.get(endpointId);
        if (counts !== undefined) counts[standing] += more;
      }
    },
    read(which: Which, isExact: boolean): ReplayCount {
      const sum = (counts: Record<Standing, number>, standings: readonly Standing[]) =>
        standings.reduce((total, standing) => total + counts[standing], 0);
      const endpoints = [...byEndpoint].map(([endpointId, counts]) => ({
        endpointId,
        ...counts,
        total: sum(counts, ["failed", "missing", "delivered", "pending"]),
        toOpen: sum(counts, OPENED[which]),
      }));
      const types = [...byType].map(([type, count]) => ({ type, events: count }));
      types.sort((a, b) => b.events - a.events);
      return { matched: { events, byEndpoint: endpoints, byType: types }, scanned, isExact };
    },
  };
}
