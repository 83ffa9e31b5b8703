import { describe, expect, test } from "bun:test";
import {
  certificateNames,
  confirmationUrl,
  isCertificateUrl,
  parseTopic,
  snsHost,
  type Topic,
} from "./topic.ts";

function topic(arn: string): Topic {
  const parsed = parseTopic(arn);
  if (parsed === null) throw new Error(`${arn} is no topic`);
  return parsed;
}

const US = topic("arn:aws:sns:us-east-1:123456789012:edgr");
const FILE = "SimpleNotificationService-7ff5318490ec183fbaddaa2a969abfda.pem";

describe("a topic", () => {
  test.each([
    ["arn:aws:sns:us-east-1:123456789012:edgr", "sns.us-east-1.amazonaws.com"],
    ["arn:aws:sns:ap-southeast-7:123456789012:edgr", "sns.ap-southeast-7.amazonaws.com"],
    ["arn:aws-cn:sns:cn-north-1:123456789012:edgr", "sns.cn-north-1.amazonaws.com.cn"],
    ["arn:aws-us-gov:sns:us-gov-west-1:123456789012:edgr", "sns.us-gov-west-1.amazonaws.com"],
    ["arn:aws-eusc:sns:eusc-de-east-1:123456789012:edgr", "sns.eusc-de-east-1.amazonaws.eu"],
  ])("%s has the host %s", (arn, host) => {
    expect(snsHost(topic(arn))).toBe(host);
  });

  test.each([
    "",
    "arn:aws:sns:us-east-1:123456789012:",
    "arn:aws:sns:us-east-1:12345:edgr",
    "arn:aws:sns:US-EAST-1:123456789012:edgr",
    "arn:aws:sns:s3-us-west-2:123456789012:edgr",
    "arn:aws:sns:us-east-1:123456789012:edgr:2b5e7a",
    "arn:aws:sns:us-east-1:123456789012:edgr\n",
    "arn:aws:sns:us-east-1/@evil.example:123456789012:edgr",
    "arn:aws-iso:sns:us-iso-east-1:123456789012:edgr",
  ])("is not %p", (arn) => {
    expect(parseTopic(arn)).toBeNull();
  });

  test("has certificates with the names of its region", () => {
    expect(certificateNames(US)).toContain("sns.amazonaws.com");
    expect(certificateNames(topic("arn:aws:sns:af-south-1:123456789012:edgr"))).toEqual([
      "sns-signing.af-south-1.amazonaws.com",
    ]);
    expect(certificateNames(topic("arn:aws-cn:sns:cn-northwest-1:123456789012:edgr"))).toEqual([
      "sns-cn-northwest-1.amazonaws.com.cn",
    ]);
    expect(certificateNames(topic("arn:aws-us-gov:sns:us-gov-east-1:123456789012:edgr"))).toEqual([
      "sns-us-gov-west-1.amazonaws.com",
    ]);
  });
});

describe("the address of a certificate", () => {
  test("is a file at the region's own SNS", () => {
    expect(isCertificateUrl(`https://sns.us-east-1.amazonaws.com/${FILE}`, US)).toBe(true);
    const china = topic("arn:aws-cn:sns:cn-north-1:123456789012:edgr");
    expect(isCertificateUrl(`https://sns.cn-north-1.amazonaws.com.cn/${FILE}`, china)).toBe(true);
  });

  test.each([
    `http://sns.us-east-1.amazonaws.com/${FILE}`,
    `https://sns.us-east-1.amazonaws.com.evil.example/${FILE}`,
    `https://evil.example/sns.us-east-1.amazonaws.com/${FILE}`,
    `https://sns.us-west-2.amazonaws.com/${FILE}`,
    `https://sns.s3-us-west-2.amazonaws.com/${FILE}`,
    `https://sns.s3.amazonaws.com/${FILE}`,
    `https://sns.s3-accelerate.amazonaws.com/${FILE}`,
    `https://s3.amazonaws.com/sns/${FILE}`,
    `https://sns.us-east-1.amazonaws.com.cn/${FILE}`,
    `https://sns.us-east-1.amazonaws.com./${FILE}`,
    `https://sns.us-east-1.amazonaws.com:443/${FILE}`,
    `https://sns.us-east-1.amazonaws.com:8443/${FILE}`,
    `https://sns.us-east-1.amazonaws.com@evil.example/${FILE}`,
    `https://evil.example@sns.us-east-1.amazonaws.com/${FILE}`,
    `https://evil.example\\@sns.us-east-1.amazonaws.com/${FILE}`,
    `https://sns.us-east-1.amazonaws.com/${FILE}?x=.pem`,
    `https://sns.us-east-1.amazonaws.com/${FILE}#.pem`,
    "https://sns.us-east-1.amazonaws.com/?Action=GetTopicAttributes&x=.pem",
    `https://sns.us-east-1.amazonaws.com/a/../${FILE}`,
    `https://sns.us-east-1.amazonaws.com/%2e%2e/${FILE}`,
    `https://sns.us-east-1.amazonaws.com//${FILE}`,
    "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-.pem",
    "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-a.pem.txt",
    `https://SNS.us-east-1.amazonaws.com/${FILE}`,
    `https:\\\\sns.us-east-1.amazonaws.com/${FILE}`,
    ` https://sns.us-east-1.amazonaws.com/${FILE}`,
    `https://sns.us-east-1.amazonaws.com/${FILE}\n`,
    `ht\ttps://sns.us-east-1.amazonaws.com/${FILE}`,
    `https://ｓｎｓ.us-east-1.amazonaws.com/${FILE}`,
    `https://sns。us-east-1.amazonaws.com/${FILE}`,
    "javascript:alert(1)",
    "",
  ])("is not %p", (url) => {
    expect(isCertificateUrl(url, US)).toBe(false);
  });
});

test("a confirmation is made of what was signed", () => {
  expect(confirmationUrl("https://sns.us-east-1.amazonaws.com", US.arn, "a&b=c d")).toBe(
    "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A123456789012%3Aedgr&Token=a%26b%3Dc+d",
  );
});
