import { expect, test } from "bun:test";
import fc from "fast-check";
import { allowsPublishing, publishStatement, withPublishing } from "./ses-setup-policy.ts";

const topicArn = "arn:aws:sns:us-east-1:123456789012:edgr";
const publishing = { topicArn, accountId: "123456789012" };
const statement = publishStatement(publishing);

const policy = (...statements: object[]) => JSON.stringify({ Version: "2012-10-17", Statement: statements });

test.each<[string, object]>([
  ["ours", statement],
  ["that of the guide, with lists", { ...statement, Action: ["sns:Publish"], Resource: [topicArn, "x"] }],
  ["one without a condition", { ...statement, Condition: undefined }],
  ["one for everything", { ...statement, Action: "SNS:*", Resource: "*" }],
])("%s lets SES publish", (_, each) => {
  expect(allowsPublishing(policy({ Sid: "other" }, each), publishing)).toBe(true);
  expect(allowsPublishing(JSON.stringify({ Statement: each }), publishing)).toBe(true);
});

test.each<[string, object]>([
  ["a denial", { ...statement, Effect: "Deny" }],
  ["another service", { ...statement, Principal: { Service: "s3.amazonaws.com" } }],
  ["the owner's", { ...statement, Principal: { AWS: "*" } }],
  ["another topic's", { ...statement, Resource: `${topicArn}2` }],
  [
    "another account's",
    { ...statement, Condition: { StringEquals: { "AWS:SourceAccount": "210987654321" } } },
  ],
  [
    "one configuration set's",
    { ...statement, Condition: { StringEquals: { "AWS:SourceArn": "arn:aws:ses:…" } } },
  ],
  ["subscribing", { ...statement, Action: "SNS:Subscribe" }],
])("%s does not", (_, each) => {
  expect(allowsPublishing(policy(each), publishing)).toBe(false);
});

test.each([undefined, "", "{", "null", "[]", '{"Statement": 7}', '{"Statement": [null, "x", []]}'])(
  "a policy of %p does not, and is made into one that does",
  (text) => {
    expect(allowsPublishing(text, publishing)).toBe(false);
    expect(allowsPublishing(withPublishing(text, publishing), publishing)).toBe(true);
  },
);

test("adding what lacks keeps every other statement, and twice is as once", () => {
  fc.assert(
    fc.property(fc.array(fc.dictionary(fc.string(), fc.jsonValue())), fc.string(), (others, version) => {
      const once = withPublishing(JSON.stringify({ Version: version, Statement: others }), publishing);
      const kept = JSON.parse(once);
      expect(kept.Version).toBe(version);
      expect(kept.Statement).toEqual(JSON.parse(JSON.stringify([...others, statement])));
      expect(withPublishing(once, publishing)).toBe(once);
    }),
  );
});
