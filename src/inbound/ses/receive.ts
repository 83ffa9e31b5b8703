import { newId } from "../../events/id.ts";
import { storableText } from "../../events/storable.ts";
import type { Logger } from "../../logger.ts";
import { type Certificates, isAtTrustedHost } from "./certificates.ts";
import { parseSesMessage } from "./events.ts";
import { type Content, type Notice, possibleTime, storableFact, storableMail } from "./notice.ts";
import { isSignedBy, parseSnsMessage, type SnsMessage } from "./sns.ts";
import type { Topic } from "./topic.ts";
import type { AllowedTopic } from "./topic-queries.ts";
import type { Topics } from "./topics.ts";

/** Why a message was taken or not, as it is counted. */
export type Outcome =
  | "recorded"
  | "nothing_to_do"
  | "confirmation"
  | "unsubscribe"
  | "malformed"
  | "forged"
  | "stale"
  | "unknown_topic"
  | "certificate_unavailable"
  | "database_away";

/** @property status of the answer; 503 asks SNS to deliver again */
export type Reception = { status: 200 | 400 | 403 | 503; outcome: Outcome; detail: string };

export type ReceiveDeps = {
  topics: Topics;
  certificates: Certificates;
  trustedHosts: readonly string[];
  now: () => number;
  /** Older messages are refused: that they were taken before is not remembered any longer. Null: however old. */
  maxAgeMs: number | null;
  /** Whether a topic that nobody named would be allowed if SNS signed for it. */
  isFitting(topic: Topic): Promise<boolean>;
  /** Allows such a topic, now that SNS did. @returns null when it stays refused */
  adopt(topic: Topic): Promise<AllowedTopic | null>;
  /** Each resolves when it is durable and rejects when it is not. */
  record(notice: Notice): Promise<void>;
  confirm(message: SnsMessage, topic: AllowedTopic, confirmation: Asked): Promise<void>;
  unsubscribed(message: SnsMessage, topic: AllowedTopic): Promise<void>;
  /** A topic that nobody allowed, with a message that SNS signed. */
  ask(message: SnsMessage, confirmation: Asked | null): Promise<void>;
  /** That an allowed topic spoke. Never rejects. */
  heard(topic: AllowedTopic): Promise<void>;
  log: Pick<Logger, "debug" | "error">;
};

/** What SNS wants to have confirmed. */
export type Asked = { token: string; origin: string | null; askedAt: Date };

/** As SNS signs today: of RSA-2048 or longer. */
const MIN_SIGNATURE_BYTES = 256;

/** As long as redeliveries are remembered, with days to spare (queries.ts). */
export const MAX_AGE_MS = 30 * 24 * 60 * 60 * 1_000;

/**
 * What is done with the body of a request that says it comes from SNS. What needs no request to anybody is checked
 * first, the signature before anything is written. Never rejects.
 */
export async function receive(deps: ReceiveDeps, body: string): Promise<Reception> {
  const parsed = parseSnsMessage(body);
  if (!parsed.ok) return { status: 400, outcome: "malformed", detail: `The message ${parsed.reason}.` };
  const { message } = parsed;
  const named = { messageId: message.messageId, topicArn: message.topic.arn };
  try {
    const reception = await receiveMessage(deps, message);
    if (reception.status !== 200) deps.log.debug({ ...named, ...reception }, "ses: refused");
    return reception;
  } catch (error) {
    deps.log.error({ ...named, err: error }, "ses: could not be recorded, SNS delivers it again");
    return {
      status: 503,
      outcome: "database_away",
      detail: "The message can't be recorded now. Deliver it again.",
    };
  }
}

async function receiveMessage(deps: ReceiveDeps, message: SnsMessage): Promise<Reception> {
  if (message.signature.length < MIN_SIGNATURE_BYTES) return forged("Its signature is too short.");
  if (deps.maxAgeMs !== null && message.at.getTime() < deps.now() - deps.maxAgeMs)
    return { status: 403, outcome: "stale", detail: "The message is too old." };
  const found = await deps.certificates.of(message);
  if (!found.ok && found.kind === "refused") return forged(found.reason);
  if (found.ok && !isSignedBy(message, found.certificate.key)) return forged("Its signature is not SNS's.");
  const known = await deps.topics.find(message.topic.arn, found.ok);
  if (!found.ok) {
    // Whoever speaks for a topic that is not known is not worth a second delivery.
    if (known === null && !(await deps.isFitting(message.topic))) return unknownTopic();
    return { status: 503, outcome: "certificate_unavailable", detail: found.reason };
  }
  const topic = known ?? (await deps.adopt(message.topic));
  if (topic !== null) return take(deps, message, topic);
  await deps.ask(message, askedBy(deps, message));
  return unknownTopic();
}

function unknownTopic(): Reception {
  return { status: 403, outcome: "unknown_topic", detail: "Nobody allowed this topic." };
}

function forged(detail: string): Reception {
  return { status: 403, outcome: "forged", detail };
}

async function take(deps: ReceiveDeps, message: SnsMessage, topic: AllowedTopic): Promise<Reception> {
  const asked = askedBy(deps, message);
  if (asked !== null) {
    await deps.confirm(message, topic, asked);
    return { status: 200, outcome: "confirmation", detail: "The subscription is going to be confirmed." };
  }
  if (message.type === "UnsubscribeConfirmation") {
    await deps.unsubscribed(message, topic);
    return { status: 200, outcome: "unsubscribe", detail: "That the subscription ended is known." };
  }
  const content = contentOf(message.message, deps.now());
  if (content !== null) await deps.record(noticeOf(message, topic, content, deps.now()));
  await deps.heard(topic);
  return content === null
    ? { status: 200, outcome: "nothing_to_do", detail: "The message is not an event of SES." }
    : { status: 200, outcome: "recorded", detail: "The message is recorded." };
}

/** A confirmation comes from where the message's certificate does: SNS, or a stand-in that the operator trusts. */
function askedBy(deps: ReceiveDeps, message: SnsMessage): Asked | null {
  if (message.type !== "SubscriptionConfirmation" || message.token === null) return null;
  const { signingCertUrl, token } = message;
  const askedAt = possibleTime(message.at, deps.now()) ?? new Date(deps.now());
  const isTrusted = isAtTrustedHost(signingCertUrl, deps.trustedHosts);
  return { token: storableText(token), origin: isTrusted ? new URL(signingCertUrl).origin : null, askedAt };
}

/** @returns null for what there is nothing to do about */
function contentOf(text: string, now: number): Content | null {
  const told = parseSesMessage(text);
  if (told.kind === "other") return null;
  if (told.kind === "odd") return { kind: "odd", reason: storableText(told.reason), raw: storableText(text) };
  if (told.kind === "received") return { kind: "received", raw: storableText(text) };
  if (told.facts.length === 0)
    return { kind: "odd", reason: `a ${told.name} event that names nobody`, raw: storableText(text) };
  const facts = told.facts.map((fact) => storableFact(fact, now));
  return { kind: "facts", name: told.name, mail: storableMail(told.mail), facts };
}

function noticeOf(message: SnsMessage, topic: AllowedTopic, content: Content, now: number): Notice {
  return {
    id: newId(),
    customerId: topic.customerId,
    topicArn: topic.topicArn,
    envelopeId: storableText(message.messageId),
    sentAt: possibleTime(message.at, now) ?? new Date(now),
    content,
  };
}
