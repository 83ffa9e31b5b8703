import type { SESv2Client } from "@aws-sdk/client-sesv2";
import type { SNSClient } from "@aws-sdk/client-sns";
import { AwsUnreachable, createAwsHandler } from "../egress/aws.ts";
import type { Egress } from "../egress/client.ts";
import { snsHost } from "../inbound/ses/topic.ts";
import type { AwsKeys } from "./aws.ts";
import { EVENT_TYPES, partitionOf } from "./ses-setup-plan.ts";

export type EventDestination = {
  name: string;
  isEnabled: boolean;
  eventTypes: readonly string[];
  topicArn: string | null;
};

/** `arn` is null while the subscription waits for its confirmation. */
export type Subscription = { arn: string | null; isRaw: boolean; deliveryPolicy: string | null };

/** What a setup asks of AWS, in one region of one account. Everything rejects with an `AwsFailure`. */
export type SesAws = {
  hasConfigurationSet(name: string): Promise<boolean>;
  createConfigurationSet(name: string): Promise<void>;
  /** Those of a configuration set; none of one that does not exist. */
  findEventDestinations(configurationSet: string): Promise<EventDestination[]>;
  createEventDestination(configurationSet: string, name: string, topicArn: string): Promise<void>;
  /** Keeps what else the destination publishes. */
  correctEventDestination(configurationSet: string, is: EventDestination, topicArn: string): Promise<void>;
  /** @returns the ARN of the account's topic with this name, or null */
  findTopic(name: string): Promise<string | null>;
  createTopic(name: string): Promise<string>;
  /** @returns null when there is no such topic */
  readTopic(topicArn: string): Promise<Record<string, string> | null>;
  setTopicAttribute(topicArn: string, name: string, value: string): Promise<void>;
  findSubscription(topicArn: string, endpoint: string): Promise<Subscription | null>;
  setSubscriptionAttribute(subscriptionArn: string, name: string, value: string): Promise<void>;
  /**
   * @param deliveryPolicy of a new one; null for one that is there: SNS refuses attributes that differ from what it has
   * @returns its ARN, or null when it has to be confirmed, which SNS has asked for now (again, if it did before)
   */
  subscribe(topicArn: string, endpoint: string, deliveryPolicy: string | null): Promise<string | null>;
  close(): void;
};

/** What AWS refused, or why it could not be asked. `message` is a sentence for a person and has no secret in it. */
export class AwsFailure extends Error {}

/** How AWS is reached. */
export type AwsAccess = {
  egress: Pick<Egress, "send">;
  /** Of a stand-in, instead of the region's. */
  origin: string | null;
  /** For each request; the pauses between them grow, at random. */
  maxAttempts: number;
  /** For all requests of one setup together. */
  withinMs: number;
  now: () => number;
};

/** Less than the half minute after which an HTTP connection without a byte is closed. */
const WITHIN_MS = 25_000;
const MAX_ATTEMPTS = 4;

export function awsItself(egress: Pick<Egress, "send">): AwsAccess {
  return { egress, origin: null, maxAttempts: MAX_ATTEMPTS, withinMs: WITHIN_MS, now: Date.now };
}

type Libraries = {
  ses: typeof import("@aws-sdk/client-sesv2");
  sns: typeof import("@aws-sdk/client-sns");
};
type Clients = Libraries & { sesClient: SESv2Client; snsClient: SNSClient };

const MAX_PAGES = 20;

/** The SDK is loaded here and not before: it takes as long as EDGR's whole start. */
export async function openSesAws(keys: AwsKeys, access: AwsAccess): Promise<SesAws> {
  const [ses, sns] = await Promise.all([import("@aws-sdk/client-sesv2"), import("@aws-sdk/client-sns")]);
  const { region, accessKeyId, secretAccessKey } = keys;
  const snsOrigin = `https://${snsHost({ partition: partitionOf(region), region })}`;
  const config = {
    region,
    credentials: { accessKeyId, secretAccessKey },
    requestHandler: createAwsHandler({
      egress: access.egress,
      trustedOrigin: access.origin,
      until: access.now() + access.withinMs,
      now: access.now,
    }),
    retryMode: "standard",
    maxAttempts: access.maxAttempts,
  };
  const snsClient = new sns.SNSClient({ ...config, endpoint: access.origin ?? snsOrigin });
  const sesOrigin = access.origin ?? snsOrigin.replace("//sns.", "//email.");
  const sesClient = new ses.SESv2Client({ ...config, endpoint: sesOrigin });
  const clients = { ses, sns, sesClient, snsClient };
  return {
    ...sesCalls(clients),
    ...topicCalls(clients),
    ...subscriptionCalls(clients),
    close() {
      sesClient.destroy();
      snsClient.destroy();
    },
  };
}

function sesCalls({ ses, sesClient }: Clients) {
  return {
    async hasConfigurationSet(name: string): Promise<boolean> {
      const command = new ses.GetConfigurationSetCommand({ ConfigurationSetName: name });
      return await call("ses:GetConfigurationSet", () => sesClient.send(command)).then(
        () => true,
        unless("NotFoundException", false),
      );
    },
    async createConfigurationSet(name: string): Promise<void> {
      const command = new ses.CreateConfigurationSetCommand({ ConfigurationSetName: name });
      // The answer to the first attempt may have been lost, or somebody else was faster.
      await call("ses:CreateConfigurationSet", () => sesClient.send(command)).catch(
        unless("AlreadyExistsException", undefined),
      );
    },
    async findEventDestinations(configurationSet: string): Promise<EventDestination[]> {
      const command = new ses.GetConfigurationSetEventDestinationsCommand({
        ConfigurationSetName: configurationSet,
      });
      const answer = await call("ses:GetConfigurationSetEventDestinations", () =>
        sesClient.send(command),
      ).catch(unless("NotFoundException", null));
      return (answer?.EventDestinations ?? []).map((each) => ({
        name: each.Name ?? "",
        isEnabled: each.Enabled ?? false,
        eventTypes: each.MatchingEventTypes ?? [],
        topicArn: each.SnsDestination?.TopicArn ?? null,
      }));
    },
    async createEventDestination(configurationSet: string, name: string, topicArn: string): Promise<void> {
      const command = new ses.CreateConfigurationSetEventDestinationCommand({
        ConfigurationSetName: configurationSet,
        EventDestinationName: name,
        EventDestination: destination(EVENT_TYPES, topicArn),
      });
      await call("ses:CreateConfigurationSetEventDestination", () => sesClient.send(command)).catch(
        unless("AlreadyExistsException", undefined),
      );
    },
    async correctEventDestination(set: string, is: EventDestination, topicArn: string): Promise<void> {
      const types = new Set<string>([...EVENT_TYPES, ...is.eventTypes]);
      const command = new ses.UpdateConfigurationSetEventDestinationCommand({
        ConfigurationSetName: set,
        EventDestinationName: is.name,
        EventDestination: destination(
          Object.values(ses.EventType).filter((type) => types.has(type)),
          topicArn,
        ),
      });
      await call("ses:UpdateConfigurationSetEventDestination", () => sesClient.send(command));
    },
  };
}

function destination<Type>(eventTypes: readonly Type[], topicArn: string) {
  return {
    Enabled: true,
    MatchingEventTypes: [...eventTypes],
    SnsDestination: { TopicArn: topicArn },
  };
}

function topicCalls({ sns, snsClient }: Clients) {
  return {
    async findTopic(name: string): Promise<string | null> {
      let token: string | undefined;
      for (let page = 0; page < MAX_PAGES; page += 1) {
        const command = new sns.ListTopicsCommand({ NextToken: token });
        const { Topics = [], NextToken } = await call("sns:ListTopics", () => snsClient.send(command));
        const found = Topics.find(({ TopicArn }) => TopicArn?.split(":")[5] === name);
        if (found?.TopicArn !== undefined) return found.TopicArn;
        if (NextToken === undefined) return null;
        token = NextToken;
      }
      return null;
    },
    async createTopic(name: string): Promise<string> {
      // Without attributes: SNS refuses those that differ from what a topic of this name has already.
      const command = new sns.CreateTopicCommand({ Name: name });
      const { TopicArn } = await call("sns:CreateTopic", () => snsClient.send(command));
      if (TopicArn === undefined) throw new AwsFailure("SNS made a topic and did not say its ARN.");
      return TopicArn;
    },
    async readTopic(topicArn: string): Promise<Record<string, string> | null> {
      const command = new sns.GetTopicAttributesCommand({ TopicArn: topicArn });
      const answer = await call("sns:GetTopicAttributes", () => snsClient.send(command)).catch(
        unless("NotFoundException", null),
      );
      return answer === null ? null : (answer.Attributes ?? {});
    },
    async setTopicAttribute(topicArn: string, name: string, value: string): Promise<void> {
      const input = { TopicArn: topicArn, AttributeName: name, AttributeValue: value };
      await call("sns:SetTopicAttributes", () => snsClient.send(new sns.SetTopicAttributesCommand(input)));
    },
  };
}

function subscriptionCalls({ sns, snsClient }: Clients) {
  async function read(arn: string): Promise<Subscription> {
    const command = new sns.GetSubscriptionAttributesCommand({ SubscriptionArn: arn });
    const { Attributes } = await call("sns:GetSubscriptionAttributes", () => snsClient.send(command));
    return {
      arn,
      isRaw: Attributes?.RawMessageDelivery === "true",
      deliveryPolicy: Attributes?.DeliveryPolicy ?? null,
    };
  }
  return {
    async findSubscription(topicArn: string, endpoint: string): Promise<Subscription | null> {
      let token: string | undefined;
      let isPending = false;
      for (let page = 0; page < MAX_PAGES; page += 1) {
        const command = new sns.ListSubscriptionsByTopicCommand({ TopicArn: topicArn, NextToken: token });
        const answer = await call("sns:ListSubscriptionsByTopic", () => snsClient.send(command));
        for (const { Protocol, Endpoint, SubscriptionArn = "" } of answer.Subscriptions ?? []) {
          if (Protocol !== "https" || Endpoint !== endpoint) continue;
          if (isArn(SubscriptionArn)) return await read(SubscriptionArn);
          isPending ||= SubscriptionArn === "PendingConfirmation";
        }
        token = answer.NextToken;
        if (token === undefined) break;
      }
      return isPending ? { arn: null, isRaw: false, deliveryPolicy: null } : null;
    },
    async setSubscriptionAttribute(subscriptionArn: string, name: string, value: string): Promise<void> {
      const command = new sns.SetSubscriptionAttributesCommand({
        SubscriptionArn: subscriptionArn,
        AttributeName: name,
        AttributeValue: value,
      });
      await call("sns:SetSubscriptionAttributes", () => snsClient.send(command));
    },
    async subscribe(
      topicArn: string,
      endpoint: string,
      deliveryPolicy: string | null,
    ): Promise<string | null> {
      const command = new sns.SubscribeCommand({
        TopicArn: topicArn,
        Protocol: "https",
        Endpoint: endpoint,
        Attributes: deliveryPolicy === null ? undefined : { DeliveryPolicy: deliveryPolicy },
      });
      const { SubscriptionArn = "" } = await call("sns:Subscribe", () => snsClient.send(command));
      return isArn(SubscriptionArn) ? SubscriptionArn : null;
    },
  };
}

const isArn = (text: string) => text.startsWith("arn:");

/** @param action what IAM calls it */
async function call<Answer>(action: string, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    throw new AwsFailure(reasonOf(action, error), { cause: error });
  }
}

/** Takes one kind of refusal for an answer. */
function unless<Instead>(name: string, instead: Instead): (failure: unknown) => Instead {
  return (failure) => {
    if (failure instanceof AwsFailure && failure.cause instanceof Error && failure.cause.name === name)
      return instead;
    throw failure;
  };
}

const DENIED = /^(AccessDenied|AccessDeniedException|AuthorizationError|AuthorizationErrorException)$/;
const WRONG_KEYS =
  /^(InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|InvalidSignatureException|IncompleteSignature|InvalidSecurity|InvalidSecurityException|ExpiredToken)/;
const THROTTLED = /^(Throttling|ThrottlingException|Throttled|ThrottledException|TooManyRequestsException)$/;
const MAX_MESSAGE_CHARS = 500;

function reasonOf(action: string, error: unknown): string {
  if (!(error instanceof Error)) return `${action} failed.`;
  const { name, message } = error;
  if (error instanceof AwsUnreachable) return `AWS could not be asked (${action}). ${error.reason}`;
  if (DENIED.test(name)) return `Access denied: the AWS keys need the IAM action ${action}.`;
  // What AWS says to wrong keys repeats what was signed.
  if (WRONG_KEYS.test(name))
    return `AWS does not accept the keys (${name}): check the access key and its secret.`;
  if (THROTTLED.test(name)) return `AWS is asked too much just now (${action}): try again in a minute.`;
  return `AWS refused ${action}: ${name}: ${message.slice(0, MAX_MESSAGE_CHARS)}`;
}
