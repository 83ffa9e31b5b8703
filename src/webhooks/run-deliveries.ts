import { setTimeout as pause } from "node:timers/promises";
import { createSignal } from "../signal.ts";
import { type Attempt, beginDeliveries } from "./begin.ts";
import { holdDueDeliveries, type Want } from "./claim-queries.ts";
import { type DeliverDeps, sendAttempt } from "./deliver.ts";
import { createDiscordLimits } from "./discord-limits.ts";
import type { End } from "./end.ts";
import { createInHand } from "./in-hand.ts";
import { createOpenEndpoints } from "./open-endpoints.ts";
import { createReadyEndpoints } from "./ready-endpoints.ts";
import { createRecorder } from "./record.ts";
import { triedAgain } from "./verdict.ts";

export type RunDeliveriesDeps = DeliverDeps & {
  /** Something was appended to the log: an endpoint was disabled. */
  onAppend: () => void;
};

export type Deliveries = {
  /** Says that deliveries may have become due. */
  wake(): void;
  /** Begins nothing more, lets the requests under way end, each within its deadline, and records what came of them. */
  stop(): Promise<void>;
};

/** Requests at the same time; each holds a payload, an answer of up to 16 kB and a connection. */
const MAX_IN_HAND = 1_024;
/** Deliveries in one claim. */
const MAX_CLAIMED = 256;
const LOOK_MS = 1_000;
/** However often it is woken. */
const LOOK_AGAIN_MS = 50;
/** From one claim to the next: one costs the same statements for one delivery as for a hundred. */
const CLAIM_MS = 10;
const RETRY_MS = 1_000;
/** Of what is recorded when the process ends, if the database is away. */
const GIVE_UP_MS = 5_000;

/**
 * Delivers what is owed to endpoints, for as long as the process lives, several processes beside each other; none ever
 * has what another has in hand. Concurrency and rate of an endpoint are kept to by each process on its own.
 *
 * Now and then it looks which endpoints have something due; for these it takes deliveries, a part for each, until one
 * gives less than was asked for.
 */
export function runDeliveries(deps: RunDeliveriesDeps): Deliveries {
  const signal = createSignal();
  const inHand = createInHand();
  const discord = createDiscordLimits();
  const ready = createReadyEndpoints({ db: deps.db, inHand, discord, now: deps.now });
  const recorder = createRecorder(deps);
  const beginning = { ...deps, endpoints: createOpenEndpoints(deps) };
  const handed = new Set<Promise<void>>();
  let lookedAt = Number.NEGATIVE_INFINITY;
  let tookAt = Number.NEGATIVE_INFINITY;
  let isWoken = false;
  let stopping = false;

  async function loop(): Promise<void> {
    while (!stopping) {
      try {
        const restMs = await turn();
        if (restMs > 0) await signal.sleep(restMs);
      } catch (error) {
        deps.log.error({ err: error }, "webhooks: could not take what is due, tries again");
        await signal.sleep(RETRY_MS);
      }
    }
  }

  /** @returns how long nothing is to be done, unless something ends or becomes due */
  async function turn(): Promise<number> {
    if (recorder.isFailing()) return RETRY_MS;
    const lookInMs = lookedAt + (isWoken ? LOOK_AGAIN_MS : LOOK_MS) - deps.now();
    if (lookInMs <= 0 || lookInMs > LOOK_MS) {
      isWoken = false;
      lookedAt = deps.now();
      await ready.look();
    }
    const restMs = Math.min(CLAIM_MS, tookAt + CLAIM_MS - deps.now());
    if (restMs > 0) await pause(restMs);
    const { wants, waitMs } = ready.plan(MAX_IN_HAND - inHand.total(), MAX_CLAIMED);
    if (wants.length === 0)
      return Math.max(1, Math.min(waitMs ?? LOOK_MS, lookInMs > 0 ? lookInMs : LOOK_MS));
    tookAt = deps.now();
    await take(wants);
    return 0;
  }

  async function take(wants: readonly Want[]): Promise<void> {
    const taken = new Map<string, number>();
    try {
      const attempts = await deps.db
        .transaction()
        .execute(async (db) => beginDeliveries(db, await holdDueDeliveries(db, wants), beginning));
      for (const attempt of attempts) {
        const { endpointId } = attempt.delivery;
        taken.set(endpointId, (taken.get(endpointId) ?? 0) + 1);
        hand(attempt);
      }
    } finally {
      for (const want of wants) ready.settle(want, taken.get(want.endpointId) ?? 0);
    }
  }

  function hand(attempt: Attempt): void {
    const { endpointId } = attempt.delivery;
    inHand.begin(endpointId);
    const done = deliver(attempt).finally(() => {
      inHand.end(endpointId);
      ready.ended(endpointId);
      handed.delete(done);
      signal.wake();
    });
    handed.add(done);
  }

  async function deliver(attempt: Attempt): Promise<void> {
    const end = await sendAttempt(attempt, deps).catch((error: unknown) => brokenEnd(attempt, error));
    const { endpointId } = attempt.delivery;
    // One that asks for a pause keeps its place until the pause is recorded: the next would not know of it.
    const isSlowing = end.verdict.slowsForS !== null;
    if (!isSlowing) inHand.answer(endpointId);
    signal.wake();
    discord.note(end);
    await recorder.record(end);
    if (isSlowing) inHand.answer(endpointId);
  }

  // The request itself could not be made: a fault of ours, which must not stop the others nor go unrecorded.
  function brokenEnd(attempt: Attempt, error: unknown): End {
    deps.log.error({ err: error, attemptId: attempt.id }, "webhooks: an attempt could not be made");
    const verdict = triedAgain("internal", "EDGR could not make the request.");
    return { attempt, finishedAt: new Date(deps.now()), result: null, verdict };
  }

  async function finish(): Promise<void> {
    await running;
    const giveUp = setTimeout(recorder.giveUp, GIVE_UP_MS);
    await Promise.all(handed);
    await recorder.settled();
    clearTimeout(giveUp);
  }

  const running = loop();
  return {
    wake() {
      isWoken = true;
      signal.wake();
    },
    async stop() {
      stopping = true;
      signal.wake();
      await finish();
    },
  };
}
