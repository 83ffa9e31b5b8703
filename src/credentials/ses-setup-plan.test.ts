import { expect, test } from "bun:test";
import { instructions, namesOf, STEP_IDS, unreachable } from "./ses-setup-plan.ts";

const ID = "01989c2a-7d3c-7cc3-98c4-dc0c0c07398f";
const PUBLIC_URL = "https://edgr.example.com";
const ses = { configurationSet: null, topicArns: [], accountId: null, aws: null };
const names = (more: object, host = "smtp.example.com") =>
  namesOf({ id: ID, host, ses: { ...ses, ...more } }, PUBLIC_URL);

test("names come from the credential, and are edgr's where it says none", () => {
  expect(names({}, "email-smtp.eu-west-1.amazonaws.com")).toEqual({
    credentialId: ID,
    region: "eu-west-1",
    accountId: null,
    configurationSet: "edgr",
    topicName: "edgr",
    topicArn: null,
    eventDestination: "edgr",
    endpoint: "https://edgr.example.com/api/ses-events",
  });
  expect(names({ configurationSet: "mail", aws: { region: "us-east-1" } })).toMatchObject({
    region: "us-east-1",
    configurationSet: "mail",
    topicName: "mail",
  });
});

test("the topic is one of the keys' region, best the one that is called as the set is", () => {
  const arn = (region: string, name: string) => `arn:aws:sns:${region}:123456789012:${name}`;
  const topicArns = [
    "nonsense",
    arn("eu-west-1", "edgr"),
    arn("us-east-1", "other"),
    arn("us-east-1", "edgr"),
  ];
  const aws = { region: "us-east-1" };
  expect(names({ topicArns, aws }).topicArn).toBe(arn("us-east-1", "edgr"));
  expect(names({ topicArns, aws, configurationSet: "mail" }).topicArn).toBe(arn("us-east-1", "other"));
  expect(names({ topicArns, aws: { region: "us-west-2" } }).topicArn).toBeNull();
  expect(names({ topicArns }).region).toBe("eu-west-1");
});

test("every step has its exact names, and says which of them nobody knows", () => {
  const steps = instructions(names({ accountId: "123456789012" }, "email-smtp.cn-north-1.amazonaws.com.cn"));
  expect(steps.map(({ id }) => id)).toEqual([...STEP_IDS]);
  expect(steps.find(({ id }) => id === "signatureVersion")?.command).toBe(
    "aws sns set-topic-attributes --region cn-north-1 --topic-arn arn:aws-cn:sns:cn-north-1:123456789012:edgr " +
      "--attribute-name SignatureVersion --attribute-value 2",
  );
  expect(instructions(names({})).find(({ id }) => id === "topic")?.name).toBe(
    "arn:aws:sns:<region>:<account id>:edgr",
  );
});

test.each([
  ["http://localhost:3000", "this machine only"],
  ["https://edgr.localhost", "this machine only"],
  ["https://127.0.0.1", "this machine only"],
  ["https://[::1]:3000", "this machine only"],
  ["http://edgr.example.com", "need https"],
])("%s can't be reached by SNS", (publicUrl, why) => {
  expect(unreachable(publicUrl)).toContain(why);
});

test("an https address can", () => {
  expect(unreachable("https://edgr.example.com/mail")).toBeNull();
});
