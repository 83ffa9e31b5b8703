import { setCredentialStatus } from "../credentials/queries.ts";
import { createSchedule, type Hold, holdOf } from "../credentials/schedule.ts";
import { createSignal } from "../signal.ts";
import type { Outlet } from "./channel.ts";
import { type ClaimedMessage, claimMessages } from "./claim-queries.ts";
import { type DeliverDeps, deliverMessage } from "./deliver.ts";
import type { RateLimit } from "./rate-limit.ts";

export type Lane = {
  wake(): void;
  /** Claims nothing more; resolves with `ended`. */
  stop(): Promise<void>;
  /** Resolves, and never rejects, when the lane is over and has nothing in hand any more. */
  ended: Promise<LaneEnd>;
};

/**
 * Why a lane is over. `idle`: no more work, its time was up, or it was stopped. `unreachable`: the server can't be
 * used for now. `held`: its window is closed, or its day's ceiling is reached. `broken`: a claim failed, and nobody
 * knows whether the database made it.
 */
export type LaneEnd =
  | { kind: "idle" }
  | { kind: "unreachable"; reason: string }
  | { kind: "held"; hold: Hold }
  | { kind: "broken"; error: unknown };

/** Looks without work before a lane ends and gives its credential free. */
const IDLE_LOOKS = 5;
const IDLE_MS = 1_000;
/** A busy lane ends too, now and then: the next one begins with the credential's settings as they are then. */
const MAX_LIFE_MS = 60_000;
/** How many due messages are looked at in one claim after one that found some that could not go. */
const WIDE_LOOK = 200;

/** Sends what is due through one credential, at its rate and over its connections, until there is no more. */
export function runLane(outlet: Outlet, worker: number, rate: RateLimit, deps: DeliverDeps): Lane {
  const signal = createSignal();
  const { customerId, credentialId, maxInHand } = outlet;
  const channel = outlet.open();
  const inHand = new Set<Promise<void>>();
  const endsAt = deps.now() + MAX_LIFE_MS;
  const schedule = createSchedule(outlet.schedule);
  let stopping = false;
  let hold: Hold | null = null;
  let isPuttingOff = false;
  let unreachable: string | null = null;
  let reported: "active" | "failing" | null = null;

  async function run(): Promise<LaneEnd> {
    const broken = await claimAndHand().catch((error: unknown) => ({ error }));
    await Promise.all(inHand);
    channel.close();
    if (broken !== null) return { kind: "broken", ...broken };
    if (unreachable !== null) return { kind: "unreachable", reason: unreachable };
    return hold === null ? { kind: "idle" } : { kind: "held", hold };
  }

  async function claimAndHand(): Promise<null> {
    let looks = 0;
    while (!stopping && unreachable === null && looks < IDLE_LOOKS && deps.now() < endsAt) {
      hold = holdOf(schedule, 0, deps.now());
      if (hold !== null) return null;
      const room = maxInHand - inHand.size;
      const granted = room > 0 ? rate.take(deps.now(), room) : 0;
      const begun = granted > 0 ? await begin(granted) : 0;
      if (begun === "full") return null;
      if (begun > 0) looks = 0;
      else if (granted > 0 && inHand.size === 0) looks += 1;
      if (begun >= granted && granted > 0) continue;
      await signal.sleep(room > 0 && granted === 0 ? rate.waitMs(deps.now()) : IDLE_MS);
    }
    return null;
  }

  /** @returns how many messages were taken or put off, or that nothing more goes today */
  async function begin(granted: number): Promise<number | "full"> {
    const day = schedule.day(deps.now());
    const ceiling = schedule.ceiling(day);
    const { messages, left, isFull } = await claimMessages(
      deps.db,
      { customerId, credentialId },
      { worker, limit: granted, look: isPuttingOff ? Math.max(granted, WIDE_LOOK) : granted, day, ceiling },
    );
    rate.giveBack(granted - messages.length);
    for (const message of messages) hand(message);
    isPuttingOff = left > 0;
    if (!isFull) return messages.length + left;
    hold = holdOf(schedule, ceiling ?? 0, deps.now());
    return "full";
  }

  function hand(message: ClaimedMessage): void {
    const delivery = deliver(message).finally(() => {
      inHand.delete(delivery);
      signal.wake();
    });
    inHand.add(delivery);
  }

  async function deliver(message: ClaimedMessage): Promise<void> {
    const outcome = await deliverMessage(message, channel, deps);
    if (outcome === null) return;
    const isOutage = outcome.kind === "uncertain" && outcome.isOutage;
    if (outcome.kind === "unreachable" || isOutage) {
      unreachable = outcome.reason;
      await report("failing", outcome.reason);
    } else if (outcome.kind === "resting") {
      // The queue says until when: the next lane opens then.
      stopping = true;
    } else if (outcome.kind !== "uncertain") {
      await report("active", null);
    }
  }

  async function report(status: "active" | "failing", reason: string | null): Promise<void> {
    if (reported === status) return;
    reported = status;
    await setCredentialStatus(deps.db, customerId, credentialId, status, reason).catch((error) =>
      deps.log.warn({ err: error }, "sender: could not note how a credential does"),
    );
  }

  const ended = run();
  return {
    wake: signal.wake,
    async stop() {
      stopping = true;
      signal.wake();
      await ended;
    },
    ended,
  };
}
