import { z } from "zod";
import type { Egress } from "../egress/client.ts";
import type { Result } from "../egress/result.ts";
import { type Event, newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import type { Logger } from "../logger.ts";
import { compileTemplate } from "../messages/template.ts";
import { createSignal } from "../signal.ts";
import type { Db } from "../storage/pool.ts";
import { METHODS } from "./node-schema.ts";
import { type Answer, type Outcome, outcomeOf, standardBody, type WebhookCall } from "./webhook-call.ts";
import { endWebhookCall, postponeWebhookCall, takeWebhookCalls } from "./webhook-queries.ts";

export type WebhookDeps = {
  db: Db;
  egress: Egress;
  /** Called when something was appended to the log. */
  onAppend: () => void;
  now: () => number;
  random: () => number;
  log: Pick<Logger, "error">;
};

export type Webhooks = {
  /** Says that runs may have become due. */
  wake(): void;
  /** Lets the calls under way end, each within its deadline. */
  stop(): Promise<void>;
};

/** A campaign whose server is slow leaves three quarters of the calls to the others. */
const MAX_CALLS = 64;
const MAX_CALLS_OF_CAMPAIGN = 16;
const MAX_ANSWER_BYTES = 256 * 1024;
const IDLE_MS = 1_000;
const RETRY_MS = 1_000;
/** Longer than any call with everything around it: a run is called again sooner only if nobody calls it now. */
const LEASE_MS = 120_000;

/**
 * Makes the calls of webhook nodes for as long as the process lives, several processes beside each other. A call is
 * made at least once: the run's id goes along as `Idempotency-Key`, for receivers that must not do a thing twice.
 */
export function runWebhooks(deps: WebhookDeps): Webhooks {
  const signal = createSignal();
  const busy = new Map<string, number>();
  const inHand = new Set<Promise<void>>();
  let stopping = false;

  async function loop(): Promise<void> {
    while (!stopping) {
      try {
        if ((await begin()) === 0) await signal.sleep(IDLE_MS);
      } catch (error) {
        deps.log.error({ err: error }, "webhooks: could not look for due calls, tries again");
        await signal.sleep(RETRY_MS);
      }
    }
    await Promise.all(inHand);
  }

  async function begin(): Promise<number> {
    const total = MAX_CALLS - inHand.size;
    if (total === 0) return 0;
    const limits = { total, perCampaign: MAX_CALLS_OF_CAMPAIGN, busy, leaseMs: LEASE_MS };
    const calls = await takeWebhookCalls(deps.db, limits);
    for (const call of calls) hand(call);
    return calls.length;
  }

  function hand(call: WebhookCall): void {
    busy.set(call.campaignId, (busy.get(call.campaignId) ?? 0) + 1);
    const done = makeCall(call, deps)
      .catch((error: unknown) =>
        deps.log.error({ err: error, runId: call.runId }, "webhooks: a call is made again after its lease"),
      )
      .finally(() => {
        const rest = (busy.get(call.campaignId) ?? 1) - 1;
        if (rest === 0) busy.delete(call.campaignId);
        else busy.set(call.campaignId, rest);
        inHand.delete(done);
        signal.wake();
      });
    inHand.add(done);
  }

  const running = loop();
  return {
    wake: signal.wake,
    async stop() {
      stopping = true;
      signal.wake();
      await running;
    },
  };
}

async function makeCall(call: WebhookCall, deps: WebhookDeps): Promise<void> {
  const settings = webhookSettings.parse(call.settings);
  const answer = await ask(call, settings, deps.egress);
  const outcome = outcomeOf(answer, settings.output, call.attempts, deps.random(), deps.now());
  if (outcome.kind === "again") {
    await postponeWebhookCall(deps.db, call, outcome.delayMs, outcome.reason);
    return;
  }
  const event = endEvent(call, outcome, deps.now());
  await deps.db.transaction().execute((db) => endWebhookCall(db, call, event));
  deps.onAppend();
}

/** The settings of a webhook node as its campaign's version keeps them. */
const webhookSettings = z.object({
  url: z.string(),
  method: z.enum(METHODS),
  headers: z.record(z.string(), z.string()),
  body: z.string().nullable(),
  timeoutSeconds: z.number(),
  output: z.record(z.string(), z.string()),
});

type WebhookSettings = z.output<typeof webhookSettings>;

async function ask(call: WebhookCall, settings: WebhookSettings, egress: Egress): Promise<Answer> {
  if (call.contact === null) return { ok: false, reason: "The contact was deleted.", isFinal: true };
  const body = settings.method === "GET" ? { ok: true as const, text: null } : bodyOf(call, settings.body);
  if (!body.ok) return { ok: false, reason: `The body can't be made: ${body.reason}.`, isFinal: true };
  const result = await egress.send({
    url: settings.url,
    method: settings.method,
    headers: {
      Accept: "application/json",
      ...(body.text === null ? {} : { "Content-Type": "application/json" }),
      ...settings.headers,
      "Idempotency-Key": call.runId,
    },
    body: body.text,
    deadlineMs: settings.timeoutSeconds * 1_000,
    maxBodyBytes: MAX_ANSWER_BYTES,
  });
  return answerOf(result);
}

function answerOf(result: Result): Answer {
  if (result.ok) return result;
  return { ok: false, reason: result.reason, isFinal: result.failure === "refused" };
}

function bodyOf(
  call: WebhookCall,
  source: string | null,
): { ok: true; text: string } | { ok: false; reason: string } {
  if (source === null) return { ok: true, text: standardBody(call) };
  const template = compileTemplate(source, "text");
  if (!template.ok) return template;
  const { email = null, attributes = {}, tags = [] } = call.contact ?? {};
  return template.render({
    contact: { email: email ?? "", attributes, tags },
    campaign: { name: call.campaignName },
    unsubscribeUrl: "",
    preferencesUrl: "",
    viewInBrowserUrl: "",
  });
}

function endEvent(call: WebhookCall, outcome: Exclude<Outcome, { kind: "again" }>, now: number): Event {
  return newEvent({
    id: newId(),
    type: outcome.kind === "completed" ? "run_completed" : "run_failed",
    at: new Date(now),
    customerId: call.customerId,
    campaignId: call.campaignId,
    runId: call.runId,
    contactId: call.contactId,
    data:
      outcome.kind === "completed"
        ? { status: outcome.status, output: outcome.output }
        : { status: outcome.status, reason: outcome.reason },
  });
}
