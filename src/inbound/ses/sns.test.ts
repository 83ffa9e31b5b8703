import { describe, expect, test } from "bun:test";
import { sign } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { certificate as ecCertificate, snsCertificate } from "../../../test/support/certificate.ts";
import { isCertificateFor, isSignedBy, parseCertificate, parseSnsMessage, signedText } from "./sns.ts";

const CORPUS = path.join(import.meta.dirname, "../../../test/corpus");

const read = (file: string) => readFileSync(path.join(CORPUS, file), "utf8");
const index: { cases: { file: string; kind: string; expected: Record<string, unknown> }[] } = JSON.parse(
  read("INDEX.json"),
);
const genuine = index.cases.filter(({ expected }) => expected.signatureValid === true);

type Json = Record<string, unknown>;

const parse = (json: Json | string) =>
  parseSnsMessage(typeof json === "string" ? json : JSON.stringify(json));

/** Whether a message as it stands on the wire is accepted, with this certificate at its address. */
function isAccepted(body: Json | string, pem: string): boolean {
  const parsed = parse(body);
  const certificate = parseCertificate(pem);
  return (
    parsed.ok &&
    certificate !== null &&
    isCertificateFor(certificate, parsed.message, parsed.message.at) &&
    isSignedBy(parsed.message, certificate.key)
  );
}

const PLAIN = {
  Type: "Notification",
  MessageId: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
  TopicArn: "arn:aws:sns:us-east-1:123456789012:edgr",
  Message: "Hello\n",
  Timestamp: "2027-11-25T00:54:06.655Z",
  SignatureVersion: "2",
  Signature: "AAAA",
  SigningCertURL: "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-00.pem",
};

/** Signs what it is given as SNS would. */
function signed(fields: Json): Json {
  const parsed = parse(fields);
  if (!parsed.ok) throw new Error(parsed.reason);
  const hash = fields.SignatureVersion === "1" ? "RSA-SHA1" : "RSA-SHA256";
  return {
    ...fields,
    Signature: sign(hash, Buffer.from(signedText(parsed.message)), snsCertificate.key).toString("base64"),
  };
}

describe("a genuine message", () => {
  test.each(genuine.map(({ file, expected }) => [file, expected] as const))(
    "%s is accepted",
    (file, expected) => {
      const parsed = parse(read(file));
      expect(parsed.ok && parsed.message).toMatchObject({
        type: expected.Type,
        messageId: expected.MessageId,
        subject: expected.Subject,
        signatureVersion: expected.SignatureVersion,
      });
      expect(parsed.ok && parsed.message.topic.arn).toBe(String(expected.TopicArn));
      expect(isAccepted(read(file), read(String(expected.cert)))).toBe(true);
    },
  );

  test("is refused when any character of what is signed, or of the signature, is another", () => {
    const keys =
      "Message MessageId Subject Timestamp TopicArn Type Token SubscribeURL Signature SignatureVersion".split(
        " ",
      );
    fc.assert(
      fc.property(
        fc.constantFrom(...genuine),
        fc.constantFrom(...keys),
        fc.nat(),
        fc.string({ unit: "grapheme", minLength: 0, maxLength: 2 }),
        ({ file, expected }, key, at, replacement) => {
          const body: Json = JSON.parse(read(file));
          const value = body[key];
          if (typeof value !== "string") return;
          const place = at % value.length;
          const changed = value.slice(0, place) + replacement + value.slice(place + 1);
          fc.pre(changed !== value);
          expect(isAccepted({ ...body, [key]: changed }, read(String(expected.cert)))).toBe(false);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test.each(["Subject", "Message", "Timestamp", "Token", "SubscribeURL"])(
    "is refused without its %s",
    (key) => {
      const having = genuine.filter(({ file }) => typeof JSON.parse(read(file))[key] === "string");
      expect(having.length).toBeGreaterThan(0);
      for (const { file, expected } of having) {
        const { [key]: _, ...rest } = JSON.parse(read(file));
        expect(isAccepted(rest, read(String(expected.cert)))).toBe(false);
      }
    },
  );

  test("is refused with a subject added, or with the other version's label", () => {
    for (const { file, expected } of genuine) {
      const body: Json = JSON.parse(read(file));
      const cert = read(String(expected.cert));
      expect(isAccepted({ ...body, SignatureVersion: body.SignatureVersion === "1" ? "2" : "1" }, cert)).toBe(
        false,
      );
      if (body.Type === "Notification") expect(isAccepted({ ...body, Subject: "x" }, cert)).toBe(false);
    }
  });
});

describe("what is signed", () => {
  test("is each key and value on a line of its own, in the order of the guide", () => {
    const parsed = parse({ ...PLAIN, Subject: "My subject" });
    expect(parsed.ok && signedText(parsed.message)).toBe(
      "Message\nHello\n\nMessageId\n22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\nSubject\nMy subject\n" +
        "Timestamp\n2027-11-25T00:54:06.655Z\nTopicArn\narn:aws:sns:us-east-1:123456789012:edgr\nType\nNotification\n",
    );
  });

  test("a signature of either version passes by its own hash", () => {
    for (const SignatureVersion of ["1", "2"])
      expect(isAccepted(signed({ ...PLAIN, SignatureVersion }), snsCertificate.cert)).toBe(true);
  });

  test("can't be cut into other fields than it was put together from", () => {
    const text = `Hello\nMessageId\nx\nTimestamp\n${PLAIN.Timestamp}\nTopicArn\narn:aws:sns:us-east-1:999999999999:victim`;
    const body = signed({ ...PLAIN, Message: text });
    const arn = `arn:aws:sns:us-east-1:999999999999:victim\nMessageId\n${PLAIN.MessageId}\nTimestamp\n${PLAIN.Timestamp}\nTopicArn\n${PLAIN.TopicArn}`;
    const forged = { ...body, Message: "Hello", MessageId: "x", TopicArn: arn };
    expect(isAccepted(body, snsCertificate.cert)).toBe(true);
    expect(parse(forged)).toEqual({ ok: false, reason: "has no valid TopicArn" });
  });
});

describe("a message of another shape is refused with the reason", () => {
  test.each([
    ["is not JSON", "Hello world"],
    ["is not JSON", '{"Type": "Notification"} trailing'],
    ["has no valid envelope", "[]"],
    ["has no valid envelope", "null"],
    ["has no valid Type", { ...PLAIN, Type: "UnsubscriptionConfirmation" }],
    ["has no valid Type", { ...PLAIN, Type: "notification" }],
    ["has no valid SignatureVersion", { ...PLAIN, SignatureVersion: "3" }],
    ["has no valid SignatureVersion", { ...PLAIN, SignatureVersion: 2 }],
    ["has no valid Signature", { ...PLAIN, Signature: "AA_A" }],
    ["has no valid Signature", { ...PLAIN, Signature: "" }],
    ["has no valid Message", { ...PLAIN, Message: { a: 1 } }],
    ["has no valid Timestamp", { ...PLAIN, Timestamp: "yesterday" }],
    ["has no valid TopicArn", { ...PLAIN, TopicArn: "arn:aws:sqs:us-east-1:123456789012:edgr" }],
    ["has no valid TopicArn", { ...PLAIN, TopicArn: "arn:aws:sns:us-east-1.evil.example:123456789012:edgr" }],
    ["has no Token or no SubscribeURL", { ...PLAIN, Type: "SubscriptionConfirmation" }],
    ["has no SigningCertURL", { ...PLAIN, SigningCertURL: undefined }],
  ])("%s", (reason, body) => {
    expect(parse(body)).toEqual({ ok: false, reason });
  });
});

describe("a certificate", () => {
  test("is exactly one PEM block of an RSA key", () => {
    const { cert } = snsCertificate;
    expect(parseCertificate(cert)).not.toBeNull();
    for (const text of [
      "",
      "x",
      `<xml>${cert}</xml>`,
      `\n${cert}`,
      `${cert}${cert}`,
      `${cert}x`,
      cert.slice(1),
    ])
      expect(parseCertificate(text)).toBeNull();
    expect(parseCertificate(ecCertificate.cert)).toBeNull();
    expect(parseCertificate(cert.replace(/[A-Z]{4}/, "AAAA"))).toBeNull();
  });

  test("speaks for its own region only, and in its time", () => {
    const certificate = parseCertificate(snsCertificate.cert);
    if (certificate === null) throw new Error("the certificate can't be read");
    const of = (region: string, now: string, partition = "aws") => {
      const parsed = parse({
        ...PLAIN,
        TopicArn: `arn:${partition}:sns:${region}:123456789012:edgr`,
        Timestamp: now,
      });
      return parsed.ok && isCertificateFor(certificate, parsed.message, new Date(now));
    };
    expect(of("us-east-1", "2027-01-01T00:00:00.000Z")).toBe(true);
    expect(of("us-east-1", "2020-01-01T00:00:00.000Z")).toBe(false);
    expect(of("us-east-1", "2199-01-01T00:00:00.000Z")).toBe(false);
    expect(of("af-south-1", "2027-01-01T00:00:00.000Z")).toBe(false);
    expect(of("cn-north-1", "2027-01-01T00:00:00.000Z", "aws-cn")).toBe(false);
  });
});
