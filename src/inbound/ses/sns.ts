import { createPublicKey, type KeyObject, verify, X509Certificate } from "node:crypto";
import { z } from "zod";
import { parseJson } from "../json.ts";
import { certificateNames, parseTopic, type Topic } from "./topic.ts";

/**
 * Messages of Amazon SNS over HTTPS (protocols 1; https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html).
 * Everything that is decided about a message is decided by fields that its signature covers.
 */
export type SnsMessage = {
  type: "Notification" | "SubscriptionConfirmation" | "UnsubscribeConfirmation";
  messageId: string;
  topic: Topic;
  /** What was published; for a confirmation a sentence to a person. */
  message: string;
  /** Null when there is none. */
  subject: string | null;
  /** As written; `at` is what it means. */
  timestamp: string;
  at: Date;
  /** What confirms the subscription; null for a notification. */
  token: string | null;
  /** Signed, and never called. */
  subscribeUrl: string | null;
  signatureVersion: "1" | "2";
  signature: Buffer;
  /** Not signed: to be judged by `isCertificateUrl` before anybody fetches it. */
  signingCertUrl: string;
};

const MAX_ID_CHARS = 100;
/** Of RSA-4096; today's keys have 2,048 bits. */
const MAX_SIGNATURE_CHARS = 684;
const MAX_URL_CHARS = 2_048;

const envelope = z.object({
  Type: z.enum(["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]),
  MessageId: z.string().min(1).max(MAX_ID_CHARS),
  TopicArn: z.string(),
  Message: z.string(),
  Subject: z.string().nullish(),
  Timestamp: z.iso.datetime({ offset: true }),
  Token: z.string().min(1).max(MAX_URL_CHARS).optional(),
  SubscribeURL: z.string().min(1).max(MAX_URL_CHARS).optional(),
  // Exactly one of them: a version that nobody knows yet must not be taken for the last one that is known.
  SignatureVersion: z.enum(["1", "2"]),
  // In the one spelling of its bytes: the last character has bits that say nothing.
  Signature: z
    .base64()
    .min(1)
    .max(MAX_SIGNATURE_CHARS)
    .refine((text) => Buffer.from(text, "base64").toString("base64") === text),
  SigningCertURL: z.string().max(MAX_URL_CHARS).optional(),
  // As Lambda spells it; it is the same message.
  SigningCertUrl: z.string().max(MAX_URL_CHARS).optional(),
});

type Envelope = z.output<typeof envelope>;

/**
 * Reads the body of a request that says it comes from SNS. Nothing of it is true before `isSignedBy` says so.
 * @returns the reason, to follow "the message "
 */
export function parseSnsMessage(body: string): { ok: true; message: SnsMessage } | Unfit {
  const json = parseJson(body);
  if (json === undefined) return unfit("is not JSON");
  const parsed = envelope.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return unfit(`has no valid ${issue?.path[0] === undefined ? "envelope" : String(issue.path[0])}`);
  }
  return toMessage(parsed.data);
}

type Unfit = { ok: false; reason: string };

function toMessage(sent: Envelope): { ok: true; message: SnsMessage } | Unfit {
  const topic = parseTopic(sent.TopicArn);
  if (topic === null) return unfit("has no valid TopicArn");
  const signingCertUrl = sent.SigningCertURL ?? sent.SigningCertUrl;
  if (signingCertUrl === undefined) return unfit("has no SigningCertURL");
  const isConfirmation = sent.Type !== "Notification";
  if (isConfirmation && (sent.Token === undefined || sent.SubscribeURL === undefined))
    return unfit("has no Token or no SubscribeURL");
  const message: SnsMessage = {
    type: sent.Type,
    messageId: sent.MessageId,
    topic,
    message: sent.Message,
    subject: isConfirmation ? null : (sent.Subject ?? null),
    timestamp: sent.Timestamp,
    at: new Date(sent.Timestamp),
    token: isConfirmation ? (sent.Token ?? null) : null,
    subscribeUrl: isConfirmation ? (sent.SubscribeURL ?? null) : null,
    signatureVersion: sent.SignatureVersion,
    signature: Buffer.from(sent.Signature, "base64"),
    signingCertUrl,
  };
  return { ok: true, message };
}

function unfit(reason: string): Unfit {
  return { ok: false, reason };
}

/** The text that is signed, exactly (protocols 1.3): which keys are in it is told by the type alone. */
export function signedText(message: SnsMessage): string {
  const { message: text, messageId, subject, subscribeUrl, timestamp, token, topic, type } = message;
  const lines =
    type === "Notification"
      ? [
          ["Message", text],
          ["MessageId", messageId],
          ["Subject", subject],
          ["Timestamp", timestamp],
          ["TopicArn", topic.arn],
          ["Type", type],
        ]
      : [
          ["Message", text],
          ["MessageId", messageId],
          ["SubscribeURL", subscribeUrl],
          ["Timestamp", timestamp],
          ["Token", token],
          ["TopicArn", topic.arn],
          ["Type", type],
        ];
  return lines.flatMap(([key, value]) => (value === null ? [] : [`${key}\n${value}\n`])).join("");
}

const ALGORITHMS = { "1": "RSA-SHA1", "2": "RSA-SHA256" } as const;

/** Whether the key signed the message, by the hash that its label names and no other. */
export function isSignedBy(message: SnsMessage, key: KeyObject): boolean {
  const text = Buffer.from(signedText(message), "utf8");
  return verify(ALGORITHMS[message.signatureVersion], text, key, message.signature);
}

/** The public key of a signing certificate, and when and for whom it may be used. */
export type SigningCertificate = { key: KeyObject; names: readonly string[]; from: Date; to: Date };

const ONE_PEM_BLOCK =
  /^-----BEGIN CERTIFICATE-----\r?\n(?:[A-Za-z0-9+/=]{1,76}\r?\n){1,100}-----END CERTIFICATE-----\s*$/;

/**
 * Reads a certificate that is exactly one PEM block: parsers skip what stands around one, so that an answer that
 * only contains a certificate would pass.
 * @returns null for anything else, and for a key that is not RSA of 2,048 bits or more
 */
export function parseCertificate(pem: string): SigningCertificate | null {
  if (!ONE_PEM_BLOCK.test(pem)) return null;
  try {
    const certificate = new X509Certificate(pem);
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType !== "rsa" || (key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) return null;
    const names = [...(certificate.subjectAltName ?? "").matchAll(/DNS:([^,\s]+)/g)].map(
      ([, name = ""]) => name,
    );
    return { key, names, from: new Date(certificate.validFrom), to: new Date(certificate.validTo) };
  } catch {
    return null;
  }
}

/**
 * Whether a certificate speaks for the message's region, and is valid now or was when the message was signed: what
 * is kept and read again later is still what it was.
 */
export function isCertificateFor(certificate: SigningCertificate, message: SnsMessage, now: Date): boolean {
  const expected = certificateNames(message.topic);
  const isNamed = certificate.names.some((name) => expected.includes(name));
  return isNamed && [now, message.at].some((time) => time >= certificate.from && time <= certificate.to);
}
