import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { snsCertificate } from "../../../test/support/certificate.ts";
import { answered, bounce, createSesEdge, type SesEdge } from "../../../test/support/ses-edge.ts";
import {
  CERTIFICATE_URL,
  confirmation,
  confirmedXml,
  notification,
  TOPIC,
} from "../../../test/support/sns.ts";

/**
 * The ways around a check of SNS that are known (protocols 1.6, 1.7). Whatever address a message names, a certificate
 * that its signature fits is there: only that nobody asks keeps it out.
 */
const AWS = "https://sns.us-east-1.amazonaws.com";
const FILE = "/SimpleNotificationService-abc.pem";

let edge: SesEdge;

beforeAll(async () => {
  edge = await createSesEdge();
});
afterAll(() => edge.close());
beforeEach(() => {
  edge.asked.length = 0;
  edge.trusted.length = 0;
});

const certificateUrls = [
  ["a host that begins like SNS's", `https://sns.us-east-1.amazonaws.com.evil.example${FILE}`],
  ["a host that only ends like it", `https://evilsns.us-east-1.amazonaws.com${FILE}`],
  ["SNS's host in the path", `https://evil.example/sns.us-east-1.amazonaws.com${FILE}`],
  ["SNS's host in the query", `https://evil.example/?${AWS}${FILE}`],
  ["SNS's host in the fragment", `https://evil.example/#${AWS}${FILE}`],
  ["a bucket named sns, of a region's S3", `https://sns.s3-us-west-2.amazonaws.com${FILE}`],
  ["a bucket named sns", `https://sns.s3.amazonaws.com${FILE}`],
  ["a bucket's website", `https://sns.s3-website-us-east-1.amazonaws.com${FILE}`],
  ["an accelerated bucket", `https://sns.s3-accelerate.amazonaws.com${FILE}`],
  ["a bucket in a path", `https://s3.amazonaws.com/sns${FILE}`],
  ["the API of SNS, which says back what it is told", `${AWS}/?Action=Publish&Message=x&x=.pem`],
  ["the API with a path", `${AWS}${FILE}?Action=Publish`],
  ["another region", `https://sns.eu-west-1.amazonaws.com${FILE}`],
  ["another partition", `https://sns.us-east-1.amazonaws.com.cn${FILE}`],
  ["http", `http://sns.us-east-1.amazonaws.com${FILE}`],
  ["another scheme", `ftp://sns.us-east-1.amazonaws.com${FILE}`],
  ["a file", "file:///etc/ssl/cert.pem"],
  ["its own certificate", `data:application/x-pem-file,${encodeURIComponent(snsCertificate.cert)}`],
  ["a user before the host", `https://sns.us-east-1.amazonaws.com@evil.example${FILE}`],
  ["a user at SNS's host", `https://user:password@sns.us-east-1.amazonaws.com${FILE}`],
  ["an empty user", `https://@sns.us-east-1.amazonaws.com${FILE}`],
  ["a port", `https://sns.us-east-1.amazonaws.com:8443${FILE}`],
  ["the usual port", `https://sns.us-east-1.amazonaws.com:443${FILE}`],
  ["an empty port", `https://sns.us-east-1.amazonaws.com:${FILE}`],
  ["a fragment", `${AWS}${FILE}#x`],
  ["an empty query", `${AWS}${FILE}?`],
  ["backslashes", `https:\\\\sns.us-east-1.amazonaws.com${FILE}`],
  ["a backslash that ends the host", `https://evil.example\\.sns.us-east-1.amazonaws.com${FILE}`],
  ["a dot at the host's end", `https://sns.us-east-1.amazonaws.com.${FILE}`],
  ["a tab in the host", `https://sns.us-east-1\t.amazonaws.com${FILE}`],
  ["a line break in the path", `${AWS}/SimpleNotification\nService-abc.pem`],
  ["a space before it", ` ${AWS}${FILE}`],
  ["a space after it", `${AWS}${FILE} `],
  ["a line break after it", `${AWS}${FILE}\n`],
  ["full-width letters", `https://ｓｎｓ.us-east-1.amazonaws.com${FILE}`],
  ["an ideographic full stop", `https://sns。us-east-1。amazonaws。com${FILE}`],
  ["a punycode name", `https://xn--sns-.us-east-1.amazonaws.com${FILE}`],
  ["an upper-case host", `https://SNS.us-east-1.amazonaws.com${FILE}`],
  ["an escaped host", `https://%73ns.us-east-1.amazonaws.com${FILE}`],
  ["a path that goes up", `${AWS}/x/..${FILE}`],
  ["a folder", `${AWS}/folder${FILE}`],
  ["two slashes", `${AWS}/${FILE}`],
  ["another file", `${AWS}/evil.pem`],
  ["another ending", `${AWS}/SimpleNotificationService-abc.pem.txt`],
  ["an escaped slash", `${AWS}/SimpleNotificationService-abc%2f.pem`],
  ["the metadata of a cloud", `http://169.254.169.254${FILE}`],
  ["this machine", `http://127.0.0.1${FILE}`],
  ["this machine's database", `https://localhost:5432${FILE}`],
  ["no address", "SimpleNotificationService-abc.pem"],
  ["nothing", ""],
] as const;

describe("a message whose certificate is said to be at", () => {
  test.each(certificateUrls)("%s is refused, and nobody is asked", async (_, SigningCertURL) => {
    edge.answers.set(SigningCertURL, answered(200, snsCertificate.cert));
    const text = bounce(await edge.createMessage());
    const before = await edge.state();
    for (const envelope of [notification(text, { SigningCertURL }), confirmation({ SigningCertURL })])
      expect((await edge.post(envelope)).status).toBeOneOf([400, 403]);
    expect(await edge.confirm()).toBe(0);
    expect([...edge.asked, ...edge.trusted]).toEqual([]);
    expect(await edge.state()).toBe(before);
  });

  test("SNS's place is what the rest of them differ from: there it is taken", async () => {
    edge.answers.set(AWS + FILE, answered(200, snsCertificate.cert));
    expect((await edge.post(notification("Hello", { SigningCertURL: AWS + FILE }))).status).toBe(200);
    expect(edge.asked).toEqual([AWS + FILE]);
  });
});

describe("nobody is asked before everything else is right", () => {
  test.each([
    ["a version that does not exist", { SignatureVersion: "3" }],
    ["no version", { SignatureVersion: "" }],
    ["a type that does not exist", { Type: "UnsubscriptionConfirmation" }],
    [
      "an ARN that would move the host",
      { TopicArn: "arn:aws:sns:us-east-1.evil.example/:123456789012:edgr" },
    ],
    ["an ARN of something else", { TopicArn: "arn:aws:sqs:us-east-1:123456789012:edgr" }],
    ["a signature that is too short", { Signature: "AAAA" }],
    ["a signature of another alphabet", { Signature: "-_".repeat(171) }],
    ["a time that is none", { Timestamp: "now" }],
    ["a time of last year", { Timestamp: new Date(Date.now() - 365 * 24 * 3_600_000).toISOString() }],
  ])("%s", async (_, change) => {
    const SigningCertURL = `${AWS}/SimpleNotificationService-never${edge.counted.length}.pem`;
    const envelope = { ...notification("Hello", { SigningCertURL }), ...change };
    const before = await edge.state();
    expect((await edge.post(envelope)).status).toBeOneOf([400, 403]);
    expect(edge.asked).toEqual([]);
    expect(await edge.state()).toBe(before);
  });
});

describe("a confirmation", () => {
  test.each([
    ["the metadata of a cloud", "http://169.254.169.254/latest/meta-data/"],
    ["this machine", "http://127.0.0.1:3000/api/v1/contacts"],
    ["somebody's server", `https://evil.example/?Action=ConfirmSubscription&TopicArn=${TOPIC}&Token=x`],
    ["a command", "|touch /tmp/edgr"],
    ["another action of SNS", `${AWS}/?Action=DeleteTopic&TopicArn=${TOPIC}`],
    ["another topic", `${AWS}/?Action=ConfirmSubscription&TopicArn=${TOPIC}-other&Token=x`],
  ])(
    "that SNS signed with %s as its address is made where SNS is, of topic and token",
    async (_, SubscribeURL) => {
      edge.answers.set(AWS, answered(200, confirmedXml(TOPIC)));
      const envelope = confirmation({ SubscribeURL });
      expect((await edge.post(envelope)).status).toBe(200);
      await edge.confirm();
      const asked = edge.asked.filter((url) => url !== CERTIFICATE_URL);
      const query = new URLSearchParams({
        Action: "ConfirmSubscription",
        TopicArn: TOPIC,
        Token: String(envelope.Token),
      });
      expect(asked).toEqual([`${AWS}/?${query}`]);
    },
  );

  test("whose token would add to the address stays a token", async () => {
    const Token = "x&Action=DeleteTopic#@evil.example/\r\nHost: evil.example";
    await edge.post(confirmation({ Token }));
    await edge.confirm();
    const url = new URL(String(edge.asked.at(-1)));
    expect([url.origin, url.pathname, url.hash]).toEqual([AWS, "/", ""]);
    expect([...url.searchParams]).toEqual([
      ["Action", "ConfirmSubscription"],
      ["TopicArn", TOPIC],
      ["Token", Token],
    ]);
  });

  test.each([
    ["is not signed", { Signature: Buffer.alloc(256).toString("base64") }],
    ["is of a topic that nobody allowed", { TopicArn: `${TOPIC}-strange` }],
  ])("that %s is not made", async (_, fields) => {
    expect((await edge.post(confirmation(fields))).status).toBe(403);
    expect(await edge.confirm()).toBe(0);
    expect(edge.asked.filter((url) => !url.endsWith(".pem"))).toEqual([]);
  });

  test("of an end is not made: it would begin again what somebody ended", async () => {
    expect((await edge.post(confirmation({ Type: "UnsubscribeConfirmation" }))).status).toBe(200);
    expect(await edge.confirm()).toBe(0);
    expect(edge.asked.filter((url) => !url.endsWith(".pem"))).toEqual([]);
  });
});

test("a raw delivery has nothing that says who sent it, and is refused", async () => {
  const text = bounce(await edge.createMessage());
  const headers = {
    "x-amz-sns-rawdelivery": "true",
    "x-amz-sns-topic-arn": TOPIC,
    "x-amz-sns-message-type": "Notification",
  };
  const before = await edge.state();
  expect((await edge.post(text, headers)).status).toBe(400);
  expect(await edge.state()).toBe(before);
});

test("a certificate that can't be had now asks SNS to come back, and no more than once a minute", async () => {
  const SigningCertURL = `${AWS}/SimpleNotificationService-away.pem`;
  edge.answers.set(SigningCertURL, answered(503, ""));
  const envelope = notification("Hello", { SigningCertURL });
  for (let delivery = 0; delivery < 3; delivery += 1) expect((await edge.post(envelope)).status).toBe(503);
  expect(edge.asked).toEqual([SigningCertURL]);
  const stranger = notification("Hello", { SigningCertURL, TopicArn: `${TOPIC}-stranger` });
  const before = await edge.state();
  expect((await edge.post(stranger)).status).toBe(403);
  expect(await edge.state()).toBe(before);
  edge.answers.set(SigningCertURL, answered(200, snsCertificate.cert));
  edge.setTime(Date.now() + 61_000);
  expect((await edge.post(envelope)).status).toBe(200);
});
