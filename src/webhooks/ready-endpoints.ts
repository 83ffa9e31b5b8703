import type { Db } from "../storage/pool.ts";
import { type ReadyEndpoint, selectReadyEndpoints, type Want } from "./claim-queries.ts";
import type { DiscordLimits } from "./discord-limits.ts";
import type { InHand } from "./in-hand.ts";
import { createRates } from "./rates.ts";
import { shareOut } from "./share.ts";

/** Which endpoints something can be taken for, and how much. */
export type ReadyEndpoints = {
  /** Asks the database which have something due. */
  look(): Promise<void>;
  /**
   * What to take now, a part for each.
   * @param free how much may be in hand besides what is
   * @param most how much may be taken at once
   * @returns `waitMs`: when the rate of one that gets nothing allows something again; null: none waits for that
   */
  plan(free: number, most: number): { wants: Want[]; waitMs: number | null };
  /** One gave so much of what was wanted: one that gave less has no more for now. */
  settle(want: Want, taken: number): void;
  /** An attempt has ended: its endpoint may have more again. */
  ended(endpointId: string): void;
};

export type ReadyDeps = { db: Db; inHand: InHand; discord: DiscordLimits; now: () => number };

/** Those that were asked for longest ago come first. */
export function createReadyEndpoints({ db, inHand, discord, now }: ReadyDeps): ReadyEndpoints {
  const rates = createRates();
  /** By id, in the order in which they are asked. */
  let ready = new Map<string, ReadyEndpoint>();
  /** Of these, the ones that gave less than was asked for: they may have more when an attempt has ended. */
  const drained = new Set<string>();

  function asking(at: number) {
    return [...ready.values()].flatMap((endpoint) => {
      const { endpointId } = endpoint;
      const room = endpoint.maxConcurrency - inHand.running(endpointId);
      if (room <= 0 || drained.has(endpointId)) return [];
      if (endpoint.type === "discord" && !discord.allows(at)) return [];
      return [{ endpoint, room, inHand: inHand.unended(endpointId) }];
    });
  }

  return {
    async look() {
      const found = new Map((await selectReadyEndpoints(db)).map((each) => [each.endpointId, each]));
      const known = [...ready.keys()].flatMap((id) => found.get(id) ?? []);
      ready = new Map([...known, ...found.values()].map((each) => [each.endpointId, each]));
      drained.clear();
    },
    plan(free, most) {
      if (free <= 0) return { wants: [], waitMs: null };
      const at = now();
      let waitMs: number | null = null;
      const candidates = asking(at);
      const shares = shareOut(free, most, candidates);
      const wants = candidates.flatMap(({ endpoint, inHand: unended }, index): Want[] => {
        const { customerId, endpointId, ratePerSecond } = endpoint;
        const share = shares[index] ?? 0;
        const rate = ratePerSecond === null ? null : rates.of(endpointId, ratePerSecond, at);
        const its = rate === null ? share : rate.take(at, share);
        if (rate !== null && share > 0 && its === 0) {
          waitMs = Math.min(waitMs ?? Number.POSITIVE_INFINITY, rate.waitMs(at));
        }
        if (its === 0) return [];
        return [{ customerId, endpointId, running: inHand.running(endpointId), unended, most: its }];
      });
      return { wants, waitMs };
    },
    settle({ endpointId, most }, taken) {
      const endpoint = ready.get(endpointId);
      if (endpoint === undefined) return;
      const { ratePerSecond } = endpoint;
      if (ratePerSecond !== null) rates.of(endpointId, ratePerSecond, now()).giveBack(most - taken);
      if (taken < most) drained.add(endpointId);
      // To the end of the line.
      ready.delete(endpointId);
      ready.set(endpointId, endpoint);
    },
    ended(endpointId) {
      drained.delete(endpointId);
    },
  };
}
