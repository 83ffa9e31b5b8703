import { randomBytes, randomUUID, sign } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { parseSnsMessage, signedText } from "../../src/inbound/ses/sns.ts";
import { snsCertificate } from "./certificate.ts";

export const TOPIC = "arn:aws:sns:us-east-1:123456789012:edgr";

/** Where SNS would have the certificate that stand-ins sign with. */
export const CERTIFICATE_URL = `https://sns.us-east-1.amazonaws.com/SimpleNotificationService-${"0".repeat(32)}.pem`;

export type Envelope = { [field: string]: string };

/** Fields of a message that are to be other than usual. */
export type Fields = { [field: string]: string | undefined };

/** A signed notification of `message`; `fields` go into it before it is signed. */
export function notification(message: string, fields: Fields = {}): Envelope {
  const { TopicArn = TOPIC } = fields;
  return signed({
    Type: "Notification",
    Message: message,
    UnsubscribeURL: `${originOf(TopicArn)}/?Action=Unsubscribe&SubscriptionArn=${TopicArn}:c9135db0`,
    ...fields,
  });
}

/** A signed wish to have a subscription confirmed (or, by its `Type`, the news that one ended). */
export function confirmation(fields: Fields = {}): Envelope {
  const { TopicArn = TOPIC, Token = randomBytes(64).toString("hex") } = fields;
  return signed({
    Type: "SubscriptionConfirmation",
    Message: `You have chosen to subscribe to the topic ${TopicArn}.\nTo confirm the subscription, visit the SubscribeURL included in this message.`,
    Token,
    SubscribeURL: `${originOf(TopicArn)}/?Action=ConfirmSubscription&TopicArn=${TopicArn}&Token=${Token}`,
    ...fields,
  });
}

/** Signs what it is given, with what a message has besides. A signature that is given stays. */
export function signed(fields: Fields): Envelope {
  const envelope: Fields = {
    MessageId: randomUUID(),
    TopicArn: TOPIC,
    Timestamp: new Date().toISOString(),
    SignatureVersion: "2",
    SigningCertURL: CERTIFICATE_URL,
    Signature: Buffer.alloc(256).toString("base64"),
    ...fields,
  };
  const parsed = parseSnsMessage(JSON.stringify(envelope));
  if (!parsed.ok) throw new Error(`the message ${parsed.reason}`);
  const hash = envelope.SignatureVersion === "1" ? "RSA-SHA1" : "RSA-SHA256";
  const Signature = sign(hash, Buffer.from(signedText(parsed.message)), snsCertificate.key).toString(
    "base64",
  );
  const whole = {
    ...envelope,
    Signature,
    ...(fields.Signature === undefined ? {} : { Signature: fields.Signature }),
  };
  return Object.fromEntries(
    Object.entries(whole).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
}

function originOf(topicArn: string): string {
  return `https://sns.${topicArn.split(":")[3]}.amazonaws.com`;
}

export type Sns = {
  /** What EDGR_SNS_TRUSTED_HOSTS names. */
  host: string;
  certificateUrl: string;
  /** The tokens it was asked to confirm, as often as it was. */
  confirmed: string[];
  /** What a confirmation is answered with; at first as SNS does. */
  answerConfirmations(status: number, body?: string): void;
  /** Delivers until it is taken or refused for good. @returns the last answer's status, 0 when there was none */
  deliver(endpoint: string, envelope: Envelope): Promise<number>;
  /**
   * Delivers many as SNS might: in any order, several at once, some twice.
   * @returns how many deliveries were answered with each status
   */
  deliverAll(
    endpoint: string,
    envelopes: readonly Envelope[],
    options?: Partial<Mischief>,
  ): Promise<Map<number, number>>;
  stop(): Promise<void>;
};

/** How a delivery may differ from the straight one. */
export type Mischief = {
  random: () => number;
  /** The part of the messages that is delivered twice. */
  duplicates: number;
  isReordered: boolean;
  connections: number;
};

export type SnsOptions = { retries: number; retryAfterMs: number; timeoutMs: number };

/** As SNS does by default (protocols 1.8), much sooner. */
const DEFAULTS: SnsOptions = { retries: 200, retryAfterMs: 50, timeoutMs: 15_000 };

/** A stand-in for SNS on loopback: serves its certificate, confirms subscriptions, delivers. */
export async function startSns(options: Partial<SnsOptions> = {}): Promise<Sns> {
  const settings = { ...DEFAULTS, ...options };
  const confirmed: string[] = [];
  let answer: { status: number; body: string | null } = { status: 200, body: null };
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    if (url.pathname.endsWith(".pem")) return response.end(snsCertificate.cert);
    if (url.searchParams.get("Action") !== "ConfirmSubscription") return response.writeHead(404).end();
    confirmed.push(url.searchParams.get("Token") ?? "");
    const topicArn = url.searchParams.get("TopicArn") ?? "";
    response
      .writeHead(answer.status, { "Content-Type": "text/xml" })
      .end(answer.body ?? confirmedXml(topicArn));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${addressOf(server).port}`;
  const deliver = (endpoint: string, envelope: Envelope) => deliverOne(endpoint, envelope, settings);
  return {
    host,
    certificateUrl: `http://${host}/SimpleNotificationService-${"0".repeat(32)}.pem`,
    confirmed,
    answerConfirmations(status, body) {
      answer = { status, body: body ?? null };
    },
    deliver,
    deliverAll: (endpoint, envelopes, mischief = {}) =>
      deliverMany((envelope) => deliver(endpoint, envelope), envelopes, mischief),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function addressOf(server: http.Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server does not listen");
  return address;
}

/** As SNS answers (https://docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html). */
export function confirmedXml(topicArn: string): string {
  return `<ConfirmSubscriptionResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
  <ConfirmSubscriptionResult>
    <SubscriptionArn>${topicArn}:80289ba6-0fd4-4079-afb4-ce8c8260f0ca</SubscriptionArn>
  </ConfirmSubscriptionResult>
  <ResponseMetadata>
    <RequestId>075ecce8-8dac-11e1-bf80-f781d96e9307</RequestId>
  </ResponseMetadata>
</ConfirmSubscriptionResponse>`;
}

/** What SNS sends along; nothing of it is signed. */
export function snsHeaders({ Type = "", MessageId = "", TopicArn = "" }: Envelope): Record<string, string> {
  return {
    "Content-Type": "text/plain; charset=UTF-8",
    "User-Agent": "Amazon Simple Notification Service Agent",
    "x-amz-sns-message-type": Type,
    "x-amz-sns-message-id": MessageId,
    "x-amz-sns-topic-arn": TopicArn,
  };
}

async function deliverOne(endpoint: string, envelope: Envelope, settings: SnsOptions): Promise<number> {
  const body = JSON.stringify(envelope, null, 2);
  let status = 0;
  for (let attempt = 0; attempt <= settings.retries; attempt += 1) {
    if (attempt > 0) await delay(settings.retryAfterMs);
    try {
      const signal = AbortSignal.timeout(settings.timeoutMs);
      const answer = await fetch(endpoint, { method: "POST", headers: snsHeaders(envelope), body, signal });
      await answer.arrayBuffer();
      status = answer.status;
    } catch {
      status = 0;
    }
    if (status !== 0 && status < 500) break;
  }
  return status;
}

async function deliverMany(
  deliver: (envelope: Envelope) => Promise<number>,
  envelopes: readonly Envelope[],
  { random = Math.random, duplicates = 0.2, isReordered = true, connections = 8 }: Partial<Mischief>,
): Promise<Map<number, number>> {
  const deliveries = envelopes.flatMap((envelope) =>
    random() < duplicates ? [envelope, envelope] : [envelope],
  );
  const order = deliveries.map((envelope, place) => ({ envelope, rank: isReordered ? random() : place }));
  order.sort((a, b) => a.rank - b.rank);
  const statuses = new Map<number, number>();
  const line = order.values();
  const work = async () => {
    for (const { envelope } of line) {
      const status = await deliver(envelope);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: connections }, work));
  return statuses;
}
