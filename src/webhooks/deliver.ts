import type { Egress } from "../egress/client.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Db } from "../storage/pool.ts";
import { type Attempt, beginDeliveries, type Order } from "./begin.ts";
import { holdDelivery } from "./claim-queries.ts";
import { type End, recordEnds } from "./end.ts";
import { secretsOf } from "./endpoint-url.ts";
import { maskedAnswer } from "./masked-answer.ts";
import { createOpenEndpoints } from "./open-endpoints.ts";
import { judge, type Verdict } from "./outcome.ts";
import type { EndpointType } from "./told.ts";
import { triedAgain } from "./verdict.ts";

/** What counts attempts as they end. */
export type AttemptCounters = {
  webhookAttempt(type: EndpointType, outcome: "delivered" | "failed", seconds: number): void;
};

export type SendDeps = { egress: Pick<Egress, "send">; now: () => number; counters: AttemptCounters };

export type DeliverDeps = SendDeps & {
  db: Db;
  encryptionKey: Buffer;
  publicUrl: string;
  random: () => number;
  log: { error(details: object, message: string): void };
};

/** Sends what an attempt is to send, if it can be, and says what came of it. */
export async function sendAttempt(attempt: Attempt, { egress, now, counters }: SendDeps): Promise<End> {
  const { order, delivery, startedAt } = attempt;
  const result = order.ok ? await sendOrder(order, egress) : null;
  const finishedAt = new Date(now());
  const verdict =
    result === null ? unsent(order) : judge(delivery.endpointType, result, finishedAt.getTime());
  const seconds = (finishedAt.getTime() - startedAt.getTime()) / 1_000;
  counters.webhookAttempt(delivery.endpointType, verdict.outcome, seconds);
  return { attempt, finishedAt, result, verdict };
}

async function sendOrder({ endpoint, request }: Order & { ok: true }, egress: SendDeps["egress"]) {
  return maskedAnswer(await egress.send(request), secretsOf(endpoint));
}

function unsent(order: Order): Verdict {
  if (order.ok) throw new Error("what can be sent is sent");
  const { failure, reason, isFinal } = order;
  return { ...triedAgain(failure, reason), isFinal, countsAgainst: !isFinal };
}

/**
 * Makes one attempt of a delivery now, whatever its due time, its endpoint's state and how it does, and records it.
 * @returns what it came to; null when the delivery is not pending, or an attempt of it is under way
 */
export async function attemptDelivery(
  deps: DeliverDeps,
  customerId: string,
  deliveryId: string,
): Promise<Verdict | null> {
  const endpoints = createOpenEndpoints(deps);
  const attempt = await inTransaction(deps.db, async (db) => {
    const held = await holdDelivery(db, customerId, deliveryId);
    if (held === null) return undefined;
    return (await beginDeliveries(db, [held], { ...deps, endpoints }))[0];
  });
  if (attempt === undefined) return null;
  const end = await sendAttempt(attempt, deps);
  await inTransaction(deps.db, (db) => recordEnds(db, [end], deps.random));
  return end.verdict;
}
