import type { Egress } from "../../egress/client.ts";
import type { Result } from "../../egress/result.ts";
import type { Logger } from "../../logger.ts";
import { type Repeating, repeat } from "../../repeat.ts";
import type { Db } from "../../storage/pool.ts";
import { isAtTrustedHost } from "./certificates.ts";
import { confirmationUrl, parseTopic, snsHost } from "./topic.ts";
import {
  type Confirmation,
  settleConfirmation,
  TOKEN_LIFE_HOURS,
  takeConfirmations,
} from "./topic-queries.ts";

export type ConfirmDeps = {
  db: Db;
  egress: Pick<Egress, "send">;
  trustedHosts: readonly string[];
  /** How those are reached. */
  trustedEgress: Pick<Egress, "send">;
  now: () => number;
  log: Pick<Logger, "info" | "warn" | "error">;
};

const LOOK_MS = 1_000;
const AT_ONCE = 8;
/** Less than the pause before the next attempt. */
const DEADLINE_MS = 10_000;
const MAX_BYTES = 16_384;
const HOUR_MS = 60 * 60 * 1_000;

/** Confirms subscriptions of allowed topics, each until it is confirmed or its token is too old. */
export function runConfirmations(deps: ConfirmDeps): Repeating {
  return repeat(
    LOOK_MS,
    async () => ((await confirmDue(deps)) === AT_ONCE ? "more" : "done"),
    (error) => deps.log.error({ err: error }, "ses: could not confirm subscriptions, tries again"),
  );
}

/** One round. @returns how many were tried */
export async function confirmDue(deps: ConfirmDeps): Promise<number> {
  const due = await takeConfirmations(deps.db, AT_ONCE);
  await Promise.all(due.map((confirmation) => confirmOne(deps, confirmation)));
  return due.length;
}

async function confirmOne(deps: ConfirmDeps, confirmation: Confirmation): Promise<void> {
  const { topicArn } = confirmation;
  const outcome = await confirm(deps, confirmation);
  await settleConfirmation(deps.db, confirmation, outcome);
  if (outcome.kind === "confirmed") deps.log.info({ topicArn }, "ses: the subscription is confirmed");
  else deps.log.warn({ topicArn, reason: outcome.reason }, "ses: the subscription is not confirmed");
}

type Outcome = { kind: "confirmed" } | { kind: "failed" | "again"; reason: string };

async function confirm(
  deps: ConfirmDeps,
  { topicArn, token, origin, askedAt }: Confirmation,
): Promise<Outcome> {
  const topic = parseTopic(topicArn);
  if (topic === null) return { kind: "failed", reason: "It is no ARN of an SNS topic." };
  if (deps.now() - askedAt.getTime() > TOKEN_LIFE_HOURS * HOUR_MS)
    return {
      kind: "failed",
      reason: "The confirmation that SNS asked for is too old: ask it to send another.",
    };
  const isTrusted = origin !== null && isAtTrustedHost(origin, deps.trustedHosts);
  const url = confirmationUrl(isTrusted ? origin : `https://${snsHost(topic)}`, topicArn, token);
  const result = await (isTrusted ? deps.trustedEgress : deps.egress).send({
    url,
    method: "GET",
    headers: { Accept: "application/xml, text/xml" },
    body: null,
    deadlineMs: DEADLINE_MS,
    maxBodyBytes: MAX_BYTES,
  });
  return outcomeOf(result, topicArn);
}

/** @returns `failed` only for what would be answered the same again */
function outcomeOf(result: Result, topicArn: string): Outcome {
  if (!result.ok) return { kind: "again", reason: `SNS could not be asked to confirm. ${result.reason}` };
  const { status, body } = result;
  if (status === 200) {
    const subscription = /<SubscriptionArn>([^<]{1,1000})<\/SubscriptionArn>/.exec(
      body.toString("utf8"),
    )?.[1];
    return subscription?.startsWith(`${topicArn}:`) === true
      ? { kind: "confirmed" }
      : { kind: "again", reason: "SNS answered 200 and named no subscription of the topic." };
  }
  const reason = `SNS answered ${status} to the confirmation.`;
  return { kind: status >= 400 && status < 500 && status !== 429 ? "failed" : "again", reason };
}
