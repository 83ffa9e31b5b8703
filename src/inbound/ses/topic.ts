/** The parts of a topic's ARN that decide which hosts speak for it. */
export type Topic = { arn: string; partition: string; region: string; accountId: string; name: string };

const ARN =
  /^arn:(aws|aws-cn|aws-us-gov|aws-eusc):sns:([a-z]{2,4}(?:-[a-z]+)+-\d):(\d{12}):([A-Za-z0-9_-]{1,256}(?:\.fifo)?)$/;

const SUFFIXES: { [partition: string]: string } = {
  aws: "amazonaws.com",
  "aws-us-gov": "amazonaws.com",
  "aws-cn": "amazonaws.com.cn",
  "aws-eusc": "amazonaws.eu",
};

/** @returns null for what is no ARN of an SNS topic */
export function parseTopic(arn: string): Topic | null {
  const match = ARN.exec(arn);
  if (match === null) return null;
  const [, partition = "", region = "", accountId = "", name = ""] = match;
  return { arn, partition, region, accountId, name };
}

/** The one host that SNS has in a region (protocols 1.6): `sns.us-east-1.amazonaws.com`. */
export function snsHost({ partition, region }: Pick<Topic, "partition" | "region">): string {
  return `sns.${region}.${SUFFIXES[partition] ?? "amazonaws.com"}`;
}

const OPT_IN_REGIONS = new Set(
  (
    "af-south-1 ap-east-1 ap-east-2 ap-south-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 " +
    "ap-southeast-7 ca-west-1 eu-central-2 eu-south-1 eu-south-2 il-central-1 me-central-1 me-south-1 mx-central-1"
  ).split(" "),
);

/**
 * The names that a signing certificate of a region may have (protocols 1.5). A region that is newer than this table
 * has one of the two names that regions of its kind have.
 */
export function certificateNames({ partition, region }: Pick<Topic, "partition" | "region">): string[] {
  if (partition === "aws-cn") return [`sns-${region}.amazonaws.com.cn`];
  if (partition === "aws-us-gov") return ["sns-us-gov-west-1.amazonaws.com"];
  if (partition === "aws-eusc") return [`sns-signing.${region}.amazonaws.eu`];
  const own = `sns-signing.${region}.amazonaws.com`;
  return OPT_IN_REGIONS.has(region) ? [own] : ["sns.amazonaws.com", own];
}

const CERTIFICATE_PATH = /^\/SimpleNotificationService-[A-Za-z0-9]+\.pem$/;

/**
 * Whether a certificate at this address can be SNS's for messages of this topic. Every rule of protocols 1.6 holds
 * for an address that is, letter for letter, the region's host and such a file; nothing is parsed and so nothing is
 * normalised into passing.
 */
export function isCertificateUrl(text: string, topic: Topic): boolean {
  const origin = `https://${snsHost(topic)}`;
  return text.startsWith(origin) && CERTIFICATE_PATH.test(text.slice(origin.length));
}

/**
 * The address that confirms a subscription, made from what was signed: the one in the message is not asked.
 * @param origin of the region's SNS, or of a stand-in that the operator trusts
 */
export function confirmationUrl(origin: string, topicArn: string, token: string): string {
  const query = new URLSearchParams({ Action: "ConfirmSubscription", TopicArn: topicArn, Token: token });
  return `${origin}/?${query}`;
}
