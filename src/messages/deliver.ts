import type { Logger } from "pino";
import { type Event, newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import type { Db } from "../storage/pool.ts";
import type { Channel, Composed, Fact, Outcome } from "./channel.ts";
import type { ClaimedMessage } from "./claim-queries.ts";
import { giveAttemptBack, type Release, releaseMessage } from "./queries.ts";
import { retryDelayMs } from "./retry.ts";
import { untilDone } from "./until-done.ts";

export type DeliverDeps = {
  db: Db;
  /** Resolves when the events are durable, all of them or none. */
  append: (events: readonly Event[]) => Promise<void>;
  now: () => number;
  random: () => number;
  log: Logger;
};

/**
 * Composes one claimed message, hands it over and records what became of it. Resolves when that is durable: until
 * then the claim stands, and if the process dies the message counts as uncertain.
 * @returns what became of it; null when it could not be composed and nobody was asked
 */
export async function deliverMessage(
  message: ClaimedMessage,
  channel: Channel,
  deps: DeliverDeps,
): Promise<Outcome | null> {
  const composed = await compose(message, channel);
  if (!composed.ok) {
    await untilDone(() => giveAttemptBack(deps.db, message), deps.log);
    await settle(message, composed.outcome, deps);
    return null;
  }
  const outcome = await composed.send();
  await settle(message, outcome, deps);
  return outcome;
}

// What fails here is the database or a fault of ours, not the recipient: the message waits its turn again.
async function compose(
  message: ClaimedMessage,
  channel: Channel,
): Promise<Composed | { ok: false; outcome: { kind: "later"; reason: string } }> {
  try {
    return await channel.compose(message);
  } catch (error) {
    return { ok: false, outcome: { kind: "later", reason: String(error) } };
  }
}

async function settle(message: ClaimedMessage, outcome: Outcome, deps: DeliverDeps): Promise<void> {
  switch (outcome.kind) {
    case "sent":
      return record(message, outcome.facts, deps, outcome.at);
    case "refused":
      return record(message, outcome.facts, deps);
    case "uncertain":
      return record(message, [{ type: "message_uncertain", data: { reason: outcome.reason } }], deps);
    case "later":
      return postpone(message, outcome.reason, deps);
    case "put_off":
      // What the day counts of it was given back before.
      return release(message, { ...DID_NOT_FAIL, dueAt: outcome.until, wasHandedOver: true }, outcome, deps);
    case "readdressed":
      return release(message, { ...DID_NOT_FAIL, countAttempt: true, wasHandedOver: true }, outcome, deps);
    case "unreachable":
    case "resting":
      return release(message, DID_NOT_FAIL, outcome, deps);
  }
}

const DID_NOT_FAIL = { dueAt: null, countAttempt: false, wasHandedOver: false };

async function postpone(message: ClaimedMessage, reason: string, deps: DeliverDeps): Promise<void> {
  const delay = retryDelayMs(message.attempts, deps.random());
  if (delay === null) {
    const data = { reason: `${reason} (given up after ${message.attempts} attempts)` };
    return record(message, [{ type: "message_failed", data }], deps);
  }
  const dueAt = new Date(deps.now() + delay);
  await release(message, { dueAt, countAttempt: true, wasHandedOver: true }, { reason }, deps);
}

/** @param dueAt null: now */
async function release(
  message: ClaimedMessage,
  { dueAt, ...how }: Omit<Release, "dueAt" | "error"> & { dueAt: Date | null },
  { reason }: { reason: string },
  deps: DeliverDeps,
): Promise<void> {
  const released = { ...how, dueAt: dueAt ?? new Date(deps.now()), error: reason };
  await untilDone(() => releaseMessage(deps.db, message, released), deps.log);
}

async function record(
  message: ClaimedMessage,
  facts: readonly Fact[],
  deps: DeliverDeps,
  at = new Date(deps.now()),
): Promise<void> {
  const events = facts.map(({ type, data }) =>
    newEvent({
      id: newId(deps.now()),
      type,
      at,
      customerId: message.customerId,
      campaignId: message.campaignId,
      runId: message.runId,
      messageId: message.id,
      contactId: message.contactId,
      data,
    }),
  );
  await untilDone(() => deps.append(events), deps.log);
}
