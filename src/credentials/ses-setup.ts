import { parseTopic } from "../inbound/ses/topic.ts";
import type { TopicRow } from "../inbound/ses/topic-queries.ts";
import { AwsFailure, type EventDestination, type SesAws, type Subscription } from "./ses-setup-aws.ts";
import { DELIVERY_POLICY, retriesLong, withLongRetries } from "./ses-setup-delivery.ts";
import { EVENT_TYPES, type SetupNames, STEP_IDS, type StepId, unreachable } from "./ses-setup-plan.ts";
import { allowsPublishing, type Publishing, withPublishing } from "./ses-setup-policy.ts";

/**
 * How a step is: `missing` (not there, or not as it has to be), `done`, `pending` (waits for what comes by itself),
 * `confirmed` (the subscription), `seen` (an event arrived), `failed`, `unknown` (nobody could look).
 */
export type StepStatus = "missing" | "done" | "pending" | "confirmed" | "seen" | "failed" | "unknown";

export type Outcome = {
  status: StepStatus;
  /** A sentence. */
  reason: string | null;
  /** When the subscription was confirmed, or the last event came. */
  at: Date | null;
  /** What was done just now. */
  change: "created" | "corrected" | null;
};

export type StepOutcome = Outcome & { id: StepId };

export type Setup = {
  names: SetupNames;
  publicUrl: string;
  /** The configuration set that the credential sends through. */
  configurationSet: string | null;
  /** What EDGR knows of the credential's topics. */
  topics: readonly TopicRow[];
  /** Null without AWS keys: only what EDGR knows itself is said. */
  aws: SesAws | null;
};

/** Writes into the credential what is there at AWS now; from then on the topic is believed. */
export type RecordFound = (found: { configurationSet: string; topicArn: string }) => Promise<void>;

/** Looks and changes nothing. `names` come back with what was learned. */
export async function inspectSetup(setup: Setup): Promise<{ names: SetupNames; steps: StepOutcome[] }> {
  return walk(setup, null);
}

/**
 * Does what is missing, in order; ends at the first step that fails. What is there already is adopted and corrected,
 * so that it can be run again at any time, also after it broke off anywhere.
 */
export async function runSetup(
  setup: Setup & { aws: SesAws },
  record: RecordFound,
): Promise<{ names: SetupNames; steps: StepOutcome[] }> {
  return walk(setup, record);
}

/** Nothing that a person could do is left. */
export function isComplete(steps: readonly StepOutcome[]): boolean {
  return steps.every(
    ({ id, status }) => id === "events" || !["missing", "failed", "pending"].includes(status),
  );
}

/** What is learned on the way: `names`, and the topic's attributes. */
type Walk = Omit<Setup, "aws"> & { record: RecordFound | null; attributes: Attributes | null };
type Attributes = { [name: string]: string };

async function walk({ aws, ...setup }: Setup, record: RecordFound | null) {
  const state: Walk = { ...setup, record, attributes: null };
  const steps: StepOutcome[] = [];
  let hasFailed = false;
  for (const id of STEP_IDS) {
    const outcome = hasFailed && record !== null ? notReached() : await take(id, state, aws);
    if (outcome.status === "failed") hasFailed = true;
    steps.push({ id, ...outcome });
  }
  return { names: state.names, steps };
}

const notReached = () => outcomeOf("unknown", "An earlier step failed.");

async function take(id: StepId, state: Walk, aws: SesAws | null): Promise<Outcome> {
  if (id === "publicUrl") return seePublicUrl(state.publicUrl);
  if (id === "events") return seeEvents(state);
  if (aws === null) return withoutKeys(id, state);
  try {
    return await AT_AWS[id](state, aws);
  } catch (error) {
    if (!(error instanceof AwsFailure)) throw error;
    return outcomeOf("failed", error.message);
  }
}

function seePublicUrl(publicUrl: string): Outcome {
  const reason = unreachable(publicUrl);
  return reason === null ? outcomeOf("done") : outcomeOf("failed", `The public address ${reason}.`);
}

function seeEvents(state: Walk): Outcome {
  const at = ownTopic(state)?.lastMessageAt ?? null;
  return at === null ? outcomeOf("pending", "No event has come yet.") : { ...outcomeOf("seen"), at };
}

function withoutKeys(id: StepId, state: Walk): Outcome {
  const topic = ownTopic(state);
  switch (id) {
    case "credential":
      return isRecorded(state) ? outcomeOf("done") : outcomeOf("missing", missingInCredential(state));
    case "subscription":
      if (topic === undefined) return outcomeOf("missing", "The credential names no topic.");
      return subscriptionAsHeard(topic);
    default:
      return outcomeOf("unknown", "The credential has no AWS keys to look with.");
  }
}

function subscriptionAsHeard({ subscription, subscriptionAt, lastError }: TopicRow): Outcome {
  switch (subscription) {
    case "confirmed":
      return { ...outcomeOf("confirmed"), at: subscriptionAt };
    case "pending":
      return outcomeOf("pending", lastError ?? "It is being confirmed.");
    case "unsubscribed":
      return outcomeOf("missing", "SNS ended the subscription; it is not made again by itself.");
    case "none":
      return outcomeOf("missing", lastError);
  }
}

type AtAws = Exclude<StepId, "publicUrl" | "events">;

const AT_AWS: { [id in AtAws]: (state: Walk, aws: SesAws) => Promise<Outcome> } = {
  async configurationSet({ names, record }, aws) {
    if (await aws.hasConfigurationSet(names.configurationSet)) return outcomeOf("done");
    if (record === null) return outcomeOf("missing");
    await aws.createConfigurationSet(names.configurationSet);
    return created();
  },

  async topic(state, aws) {
    const { names, record } = state;
    const named = names.topicArn;
    state.attributes = named === null ? null : await aws.readTopic(named);
    if (named !== null && state.attributes !== null) return topicAsItIs(state.attributes);
    const found = await aws.findTopic(names.topicName);
    if (found === null && record === null) return outcomeOf("missing");
    const topicArn = found ?? (await aws.createTopic(names.topicName));
    state.names = { ...names, topicArn, accountId: parseTopic(topicArn)?.accountId ?? names.accountId };
    state.attributes = (await aws.readTopic(topicArn)) ?? {};
    return found === null ? created() : topicAsItIs(state.attributes);
  },

  async signatureVersion({ names, attributes, record }, aws) {
    if (names.topicArn === null || attributes === null) return outcomeOf("missing");
    const version = attributes.SignatureVersion ?? "1";
    if (version === "2") return outcomeOf("done");
    if (record === null) return outcomeOf("missing", `Its signatures have version ${version}.`);
    await aws.setTopicAttribute(names.topicArn, "SignatureVersion", "2");
    return corrected();
  },

  async topicPolicy({ names, attributes, record }, aws) {
    const publishing = publishingOf(names);
    if (publishing === null || attributes === null) return outcomeOf("missing");
    const policy = attributes.Policy;
    if (allowsPublishing(policy, publishing)) return outcomeOf("done");
    if (record === null) return outcomeOf("missing", "The topic's policy does not let SES publish.");
    await aws.setTopicAttribute(publishing.topicArn, "Policy", withPublishing(policy, publishing));
    return corrected();
  },

  async eventDestination({ names, record }, aws) {
    const { configurationSet, topicArn, eventDestination } = names;
    const all = await aws.findEventDestinations(configurationSet);
    const present =
      all.find((each) => topicArn !== null && each.topicArn === topicArn) ??
      all.find(({ name }) => name === eventDestination);
    const reason = present === undefined ? null : wrongWith(present, topicArn);
    if (present !== undefined && reason === null) return outcomeOf("done");
    if (record === null || topicArn === null) return outcomeOf("missing", reason);
    if (present !== undefined) {
      await aws.correctEventDestination(configurationSet, present, topicArn);
      return corrected();
    }
    await aws.createEventDestination(configurationSet, eventDestination, topicArn);
    return created();
  },

  async credential(state) {
    if (isRecorded(state)) return outcomeOf("done");
    const { record, names } = state;
    if (record === null || names.topicArn === null) return outcomeOf("missing", missingInCredential(state));
    await record({ configurationSet: names.configurationSet, topicArn: names.topicArn });
    return corrected();
  },

  async subscription(state, aws) {
    const { names, record, attributes } = state;
    if (names.topicArn === null || attributes === null) return outcomeOf("missing");
    const present = await aws.findSubscription(names.topicArn, names.endpoint);
    if (present !== null && present.arn !== null) {
      const at = ownTopic(state)?.subscriptionAt ?? null;
      const wrong = wrongWithSubscription(present);
      if (wrong.length === 0) return { ...outcomeOf("confirmed"), at };
      if (record === null) return outcomeOf("missing", wrong.map(({ reason }) => reason).join(" "));
      for (const { name, value } of wrong) await aws.setSubscriptionAttribute(present.arn, name, value);
      return { ...corrected("confirmed"), at };
    }
    if (record === null) return present === null ? outcomeOf("missing") : waiting(state);
    // For one that is pending too: SNS asks for the confirmation once more.
    const policy = present === null ? DELIVERY_POLICY : null;
    const arn = await aws.subscribe(names.topicArn, names.endpoint, policy);
    if (arn !== null) return created("confirmed");
    return { ...waiting(state), change: present === null ? "created" : null };
  },
};

/** @returns null when everything that EDGR needs is published to the topic */
function wrongWith({ name, isEnabled, eventTypes, topicArn }: EventDestination, wanted: string | null) {
  if (topicArn === null || topicArn !== wanted) return `"${name}" does not publish to the topic.`;
  if (!isEnabled) return `"${name}" is turned off.`;
  const lacks = EVENT_TYPES.filter((type) => !eventTypes.includes(type));
  return lacks.length === 0 ? null : `"${name}" does not publish ${lacks.join(", ")}.`;
}

/** What of a confirmed subscription is to be other than it is, and why. */
function wrongWithSubscription({ isRaw, deliveryPolicy }: Subscription) {
  const raw = {
    name: "RawMessageDelivery",
    value: "false",
    reason: "Raw message delivery is on, and raw messages are not signed.",
  };
  const retries = {
    name: "DeliveryPolicy",
    value: withLongRetries(deliveryPolicy),
    reason: "What EDGR can't take at once is not delivered again for an hour.",
  };
  return [...(isRaw ? [raw] : []), ...(retriesLong(deliveryPolicy) ? [] : [retries])];
}

function topicAsItIs(attributes: Attributes): Outcome {
  // The key that AWS manages has a policy that nobody can change.
  return attributes.KmsMasterKeyId === "alias/aws/sns"
    ? outcomeOf(
        "failed",
        "It is encrypted with the key alias/aws/sns, which SES can't use: give it another, or none.",
      )
    : outcomeOf("done");
}

function waiting(state: Walk): Outcome {
  const heard = ownTopic(state)?.lastError ?? null;
  return outcomeOf("pending", heard ?? "EDGR confirms it as soon as SNS asks for that, which takes seconds.");
}

function publishingOf({ topicArn }: SetupNames): Publishing | null {
  const topic = topicArn === null ? null : parseTopic(topicArn);
  return topic === null ? null : { topicArn: topic.arn, accountId: topic.accountId };
}

type Local = Pick<Walk, "names" | "topics" | "configurationSet">;

function ownTopic({ names, topics }: Local): TopicRow | undefined {
  return topics.find(({ topicArn }) => topicArn === names.topicArn);
}

function isRecorded(state: Local): boolean {
  return state.configurationSet === state.names.configurationSet && ownTopic(state) !== undefined;
}

function missingInCredential(state: Local): string {
  const lacks = [
    ...(state.configurationSet === null ? ["ses.configurationSet"] : []),
    ...(ownTopic(state) === undefined ? ["the topic in ses.topicArns"] : []),
  ];
  return `The credential lacks ${lacks.join(" and ")}.`;
}

function outcomeOf(status: StepStatus, reason: string | null = null): Outcome {
  return { status, reason, at: null, change: null };
}

const created = (status: StepStatus = "done"): Outcome => ({ ...outcomeOf(status), change: "created" });
const corrected = (status: StepStatus = "done"): Outcome => ({ ...outcomeOf(status), change: "corrected" });
