import { randomBytes, randomUUID, sign } from "node:crypto";
import { parseSnsMessage, signedText } from "../inbound/ses/sns.ts";
import type { News } from "./ses.ts";
import { snsCertificate } from "./sns-certificate.ts";

export const TOPIC = "arn:aws:sns:us-east-1:123456789012:edgr-demo";

export type Envelope = { [field: string]: string };

/** A signed notification; one that is a trick must not be believed. */
export function notificationOf(
  { envelopeId, mail, signatureVersion, text, trick }: News,
  certificateUrl: string,
): Envelope {
  const envelope = {
    Type: "Notification",
    MessageId: envelopeId,
    TopicArn: trick === "foreign topic" ? `${TOPIC}-of-somebody-else` : TOPIC,
    Message: text,
    Timestamp: mail.at,
    SignatureVersion: signatureVersion,
    SigningCertURL:
      trick === "foreign certificate"
        ? "https://sns.us-east-1.amazonaws.com.example.com/SimpleNotificationService-0.pem"
        : certificateUrl,
  };
  const signed = signedEnvelope(envelope);
  return trick === "changed" ? { ...signed, Message: `${text} ` } : signed;
}

/** The signed wish to have the subscription confirmed. */
export function subscriptionTo(topicArn: string, certificateUrl: string): Envelope {
  const token = randomBytes(64).toString("hex");
  return signedEnvelope({
    Type: "SubscriptionConfirmation",
    MessageId: randomUUID(),
    TopicArn: topicArn,
    Message: `You have chosen to subscribe to the topic ${topicArn}.`,
    Timestamp: new Date().toISOString(),
    Token: token,
    SubscribeURL: `https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${topicArn}&Token=${token}`,
    SignatureVersion: "2",
    SigningCertURL: certificateUrl,
  });
}

/** What SNS answers to who confirms (https://docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html). */
export function confirmedXml(topicArn: string): string {
  return `<ConfirmSubscriptionResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
  <ConfirmSubscriptionResult>
    <SubscriptionArn>${topicArn}:${randomUUID()}</SubscriptionArn>
  </ConfirmSubscriptionResult>
</ConfirmSubscriptionResponse>`;
}

function signedEnvelope(envelope: Envelope): Envelope {
  const unsigned = Buffer.alloc(256).toString("base64");
  const parsed = parseSnsMessage(JSON.stringify({ ...envelope, Signature: unsigned }));
  if (!parsed.ok) throw new Error(`The demo's own message ${parsed.reason}`);
  const hash = envelope.SignatureVersion === "1" ? "RSA-SHA1" : "RSA-SHA256";
  const signature = sign(hash, Buffer.from(signedText(parsed.message)), snsCertificate.key);
  return { ...envelope, Signature: signature.toString("base64") };
}
