import type { Logger } from "pino";
import type { SmtpCredential } from "../credentials/schema.ts";
import { type Event, type Json, newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { createReplyAddresses } from "../inbound/ses/reply-address.ts";
import type { Db } from "../storage/pool.ts";
import type { Tokens } from "../tracking/token.ts";
import type { ClaimedMessage } from "./claim-queries.ts";
import { type CompiledEmail, type ComposedEmail, compileEmail, composeEmail } from "./compose.ts";
import { emailNode } from "./email-node.ts";
import { findNodeSettings, giveAttemptBack, releaseMessage } from "./queries.ts";
import { retryDelayMs } from "./retry.ts";
import type { SmtpChannel } from "./smtp.ts";
import type { SendOutcome } from "./smtp-outcome.ts";

export type DeliverDeps = {
  db: Db;
  /** Resolves when the event is durable. */
  append: (event: Event) => Promise<void>;
  tokens: Tokens;
  publicUrl: string;
  /** Signs the addresses that answers go to. */
  encryptionKey: Buffer;
  now: () => number;
  random: () => number;
  log: Logger;
};

/** Compiled nodes by campaign, version and node; versions never change, so nothing here goes stale. */
export type NodeCache = Map<string, CompiledNode>;

type CompiledNode = { ok: true; email: CompiledEmail } | { ok: false; field: string; reason: string };
type Composed = { ok: true; email: ComposedEmail } | { ok: false; reason: string };
type Prepared = { ok: true; email: ComposedEmail } | { ok: false; outcome: NotSent };
type NotSent = Exclude<SendOutcome, { kind: "sent" }>;

const MAX_CACHED_NODES = 200;
const DATABASE_RETRY_MS = 1_000;

/**
 * Composes one claimed message, hands it to the server and records what became of it. Resolves when that is
 * durable: until then the claim stands, and if the process dies the message counts as uncertain.
 * @returns what the server made of it; null when it could not be composed and the server was not asked
 */
export async function deliverMessage(
  message: ClaimedMessage,
  credential: SmtpCredential,
  channel: SmtpChannel,
  nodes: NodeCache,
  deps: DeliverDeps,
): Promise<SendOutcome | null> {
  const prepared = await prepare(message, credential, nodes, deps);
  if (!prepared.ok) {
    await untilDone(() => giveAttemptBack(deps.db, message), deps);
    await settle(message, prepared.outcome, deps);
    return null;
  }
  const outcome = await channel.send(prepared.email);
  if (outcome.kind === "sent") {
    const { subject } = prepared.email;
    await record(message, "message_sent", { subject, providerMessageId: outcome.providerMessageId }, deps);
  } else {
    await settle(message, outcome, deps);
  }
  return outcome;
}

async function settle(message: ClaimedMessage, { kind, reason }: NotSent, deps: DeliverDeps): Promise<void> {
  switch (kind) {
    case "refused":
      return record(message, "message_failed", { reason }, deps);
    case "uncertain":
      return record(message, "message_uncertain", { reason }, deps);
    case "later":
      return postpone(message, reason, deps);
    case "unreachable": {
      const release = {
        dueAt: new Date(deps.now()),
        error: reason,
        countAttempt: false,
        wasHandedOver: false,
      };
      return untilDone(() => releaseMessage(deps.db, message, release), deps);
    }
  }
}

async function postpone(message: ClaimedMessage, reason: string, deps: DeliverDeps): Promise<void> {
  const delay = retryDelayMs(message.attempts, deps.random());
  if (delay === null) {
    const data = { reason: `${reason} (given up after ${message.attempts} attempts)` };
    return record(message, "message_failed", data, deps);
  }
  const dueAt = new Date(deps.now() + delay);
  const release = { dueAt, error: reason, countAttempt: true, wasHandedOver: true };
  await untilDone(() => releaseMessage(deps.db, message, release), deps);
}

// What fails here is the database or a fault of ours, not the recipient: the message waits its turn again.
async function prepare(
  message: ClaimedMessage,
  credential: SmtpCredential,
  nodes: NodeCache,
  deps: DeliverDeps,
): Promise<Prepared> {
  try {
    const composed = await compose(message, credential, nodes, deps);
    return composed.ok ? composed : { ok: false, outcome: { kind: "refused", reason: composed.reason } };
  } catch (error) {
    return { ok: false, outcome: { kind: "later", reason: String(error) } };
  }
}

async function compose(
  message: ClaimedMessage,
  credential: SmtpCredential,
  nodes: NodeCache,
  deps: DeliverDeps,
): Promise<Composed> {
  if (!message.contactExists) return { ok: false, reason: "The contact was deleted." };
  if (message.toAddress === "") return { ok: false, reason: "The contact has no email address." };
  const node = await compiledNode(message, credential, nodes, deps.db);
  if (!node.ok) return { ok: false, reason: `${node.field}: ${node.reason}` };
  const { configurationSet = null, replyDomain = null } = credential.settings.ses ?? {};
  const replyAddresses = createReplyAddresses(deps.encryptionKey);
  const composed = composeEmail(node.email, {
    ids: {
      customerId: message.customerId,
      campaignId: message.campaignId,
      nodeId: message.nodeId,
      runId: message.runId,
      messageId: message.id,
    },
    contact: { email: message.toAddress, attributes: message.attributes, tags: message.tags },
    campaignName: message.campaignName,
    publicUrl: deps.publicUrl,
    postalAddress: message.postalAddress,
    configurationSet,
    replyAddress:
      replyDomain === null
        ? null
        : replyAddresses.addressOf({ customerId: message.customerId, messageId: message.id }, replyDomain),
    tokens: deps.tokens,
    now: deps.now(),
  });
  return composed.ok ? composed : { ok: false, reason: `${composed.field}: ${composed.reason}` };
}

async function compiledNode(
  message: ClaimedMessage,
  credential: SmtpCredential,
  nodes: NodeCache,
  db: Db,
): Promise<CompiledNode> {
  const key = `${message.campaignId}/${message.version}/${message.nodeId}`;
  const cached = nodes.get(key);
  if (cached !== undefined) return cached;
  const settings = await findNodeSettings(db, message);
  const compiled = compileEmail(emailNode(settings, credential));
  if (nodes.size >= MAX_CACHED_NODES) nodes.clear();
  nodes.set(key, compiled);
  return compiled;
}

async function record(
  message: ClaimedMessage,
  type: "message_sent" | "message_failed" | "message_uncertain",
  data: { [key: string]: Json },
  deps: DeliverDeps,
): Promise<void> {
  const event = newEvent({
    id: newId(deps.now()),
    type,
    at: new Date(deps.now()),
    customerId: message.customerId,
    campaignId: message.campaignId,
    runId: message.runId,
    messageId: message.id,
    contactId: message.contactId,
    data,
  });
  await untilDone(() => deps.append(event), deps);
}

// The server has answered: whatever the database does, the answer is not given up while the process lives.
async function untilDone(write: () => Promise<void>, { log }: DeliverDeps): Promise<void> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      log.error({ err: error }, "sender: could not record what became of a message, tries again");
      await new Promise((resolve) => setTimeout(resolve, DATABASE_RETRY_MS));
    }
  }
}
