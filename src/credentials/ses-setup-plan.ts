import { parseTopic } from "../inbound/ses/topic.ts";
import { DELIVERY_POLICY } from "./ses-setup-delivery.ts";
import { publishStatement } from "./ses-setup-policy.ts";

/** What SES has to tell EDGR. */
export const EVENT_TYPES = [
  "SEND",
  "DELIVERY",
  "BOUNCE",
  "COMPLAINT",
  "REJECT",
  "RENDERING_FAILURE",
  "DELIVERY_DELAY",
  "SUBSCRIPTION",
] as const;

/** In their order: each needs those before it. */
export const STEP_IDS = [
  "publicUrl",
  "configurationSet",
  "topic",
  "signatureVersion",
  "topicPolicy",
  "eventDestination",
  "credential",
  "subscription",
  "events",
] as const;

export type StepId = (typeof STEP_IDS)[number];

/** What everything is called at AWS; null for what is not known yet. */
export type SetupNames = {
  credentialId: string;
  region: string | null;
  accountId: string | null;
  configurationSet: string;
  topicName: string;
  topicArn: string | null;
  eventDestination: string;
  /** Where SNS delivers to. */
  endpoint: string;
};

/** What a credential says of itself that names are made of. */
export type Named = {
  id: string;
  host: string;
  ses: {
    configurationSet: string | null;
    topicArns: readonly string[];
    accountId: string | null;
    aws: { region: string } | null;
  } | null;
};

/** A step as a person does it: where in the console, and with the AWS command line (or EDGR's API). */
export type Instruction = {
  id: StepId;
  title: string;
  name: string;
  console: string;
  command: string | null;
};

const DEFAULT_NAME = "edgr";

/** The topic is called as the configuration set is, unless the credential names one of the region already. */
export function namesOf({ id, host, ses }: Named, publicUrl: string): SetupNames {
  const configurationSet = ses?.configurationSet ?? DEFAULT_NAME;
  const topics = (ses?.topicArns ?? []).flatMap((arn) => parseTopic(arn) ?? []);
  const region = ses?.aws?.region ?? topics[0]?.region ?? regionOfHost(host);
  const inRegion = topics.filter((topic) => topic.region === region);
  const topic = inRegion.find(({ name }) => name === configurationSet) ?? inRegion[0];
  return {
    credentialId: id,
    region,
    accountId: topic?.accountId ?? ses?.accountId ?? null,
    configurationSet,
    topicName: topic?.name ?? configurationSet,
    topicArn: topic?.arn ?? null,
    eventDestination: DEFAULT_NAME,
    endpoint: `${publicUrl}/api/ses-events`,
  };
}

function regionOfHost(host: string): string | null {
  return /^email-smtp(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/.exec(host)?.[1] ?? null;
}

/** The part of AWS that a region belongs to, as ARNs call it. */
export function partitionOf(region: string): string {
  if (region.startsWith("cn-")) return "aws-cn";
  if (region.startsWith("us-gov-")) return "aws-us-gov";
  return region.startsWith("eusc-") ? "aws-eusc" : "aws";
}

/**
 * Why SNS can't reach EDGR at its public address.
 * @returns a reason to follow "it ", or null
 */
export function unreachable(publicUrl: string): string | null {
  const { protocol, hostname } = new URL(publicUrl);
  if (hostname === "localhost" || hostname.endsWith(".localhost") || /^(127\.|\[::1\]$)/.test(hostname))
    return `is ${publicUrl}, which leads to this machine only: set EDGR_PUBLIC_URL to where EDGR is reached from outside`;
  if (protocol !== "https:")
    return `is ${publicUrl}, and SES's messages need https: put a TLS proxy before EDGR and set EDGR_PUBLIC_URL`;
  return null;
}

/** Every step with its exact names. What is not known is written as `<account id>` or `<region>`. */
export function instructions(names: SetupNames): Instruction[] {
  const { configurationSet, topicName, eventDestination, endpoint } = names;
  const region = names.region ?? "<region>";
  const accountId = names.accountId ?? "<account id>";
  const topicArn = names.topicArn ?? `arn:${partitionOf(region)}:sns:${region}:${accountId}:${topicName}`;
  const statement = publishStatement({ topicArn, accountId });
  const policy = JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
  const destination = JSON.stringify({
    Enabled: true,
    MatchingEventTypes: EVENT_TYPES,
    SnsDestination: { TopicArn: topicArn },
  });
  const sns = (action: string, rest: string) => `aws sns ${action} --region ${region} ${rest}`;
  const setAttribute = (name: string, value: string) =>
    sns(
      "set-topic-attributes",
      `--topic-arn ${topicArn} --attribute-name ${name} --attribute-value ${value}`,
    );
  return [
    {
      id: "publicUrl",
      title: "EDGR is reached by https",
      name: endpoint,
      console: "Set EDGR_PUBLIC_URL to the https address that EDGR is reached at, and start it again.",
      command: null,
    },
    {
      id: "configurationSet",
      title: "Configuration set",
      name: configurationSet,
      console: `Amazon SES, Configuration sets, Create set: the name is "${configurationSet}".`,
      command: `aws sesv2 create-configuration-set --region ${region} --configuration-set-name ${configurationSet}`,
    },
    {
      id: "topic",
      title: "SNS topic",
      name: topicArn,
      console: `Amazon SNS, Topics, Create topic: the type is Standard, the name "${topicName}".`,
      command: sns("create-topic", `--name ${topicName}`),
    },
    {
      id: "signatureVersion",
      title: "Signatures with SHA-256",
      name: "SignatureVersion 2",
      console: `Amazon SNS, topic "${topicName}": its attribute SignatureVersion is 2.`,
      command: setAttribute("SignatureVersion", "2"),
    },
    {
      id: "topicPolicy",
      title: "SES may publish to the topic",
      name: statement.Sid,
      console:
        `Amazon SNS, topic "${topicName}", Edit, Access policy: add to "Statement" ${JSON.stringify(statement)}. ` +
        "The command replaces the policy.",
      command: setAttribute("Policy", `'${policy}'`),
    },
    {
      id: "eventDestination",
      title: "Event destination",
      name: eventDestination,
      console:
        `Amazon SES, Configuration sets, "${configurationSet}", Event destinations, Add destination: the events ` +
        `${EVENT_TYPES.join(", ")}, the destination Amazon SNS with the name "${eventDestination}" and the topic ${topicArn}.`,
      command:
        `aws sesv2 create-configuration-set-event-destination --region ${region} --configuration-set-name ` +
        `${configurationSet} --event-destination-name ${eventDestination} --event-destination '${destination}'`,
    },
    {
      id: "credential",
      title: "EDGR believes the topic and sends through the set",
      name: topicArn,
      console:
        `EDGR, credential ${names.credentialId}: "ses" has "configurationSet": "${configurationSet}" and "topicArns" ` +
        `has "${topicArn}". Before the subscription is made, so that it is confirmed by itself.`,
      command: `PATCH /api/v1/credentials/${names.credentialId}`,
    },
    {
      id: "subscription",
      title: "HTTPS subscription",
      name: endpoint,
      console:
        `Amazon SNS, topic "${topicName}", Create subscription: the protocol is HTTPS, the endpoint ${endpoint}, raw ` +
        `message delivery off, the delivery policy ${DELIVERY_POLICY} so that SNS delivers again for an hour. EDGR ` +
        "confirms it.",
      command: sns(
        "subscribe",
        `--topic-arn ${topicArn} --protocol https --notification-endpoint ${endpoint} ` +
          `--attributes '${JSON.stringify({ DeliveryPolicy: DELIVERY_POLICY })}'`,
      ),
    },
    {
      id: "events",
      title: "Events arrive",
      name: endpoint,
      console: "Send a message through the credential, for example to success@simulator.amazonses.com.",
      command: null,
    },
  ];
}
