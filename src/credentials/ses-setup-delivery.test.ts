import { expect, test } from "bun:test";
import { DELIVERY_POLICY, retriesLong, withLongRetries } from "./ses-setup-delivery.ts";

test("the policy is one that SNS takes, and lasts for most of an hour", () => {
  const { healthyRetryPolicy: policy } = JSON.parse(DELIVERY_POLICY);
  const between =
    policy.numRetries - policy.numNoDelayRetries - policy.numMinDelayRetries - policy.numMaxDelayRetries;
  expect(between).toBeGreaterThanOrEqual(0);
  const fixed =
    policy.numMinDelayRetries * policy.minDelayTarget + policy.numMaxDelayRetries * policy.maxDelayTarget;
  expect(fixed + between * policy.maxDelayTarget).toBeLessThanOrEqual(3_600);
  expect(fixed + between * policy.minDelayTarget).toBeGreaterThan(3_200);
  expect(policy.numRetries).toBeLessThanOrEqual(100);
});

test.each([
  null,
  "",
  "no JSON",
  "null",
  "[]",
  "{}",
  '{"healthyRetryPolicy":null}',
  '{"healthyRetryPolicy":[]}',
])("%j does not retry for long, and is given what does", (text) => {
  expect(retriesLong(text)).toBe(false);
  expect(withLongRetries(text)).toBe(DELIVERY_POLICY);
});

test("what else is in a policy stays, in whatever order its parts are", () => {
  const other = { throttlePolicy: { maxReceivesPerSecond: 5 } };
  const text = withLongRetries(JSON.stringify(other));
  expect(JSON.parse(text)).toEqual({ ...other, ...JSON.parse(DELIVERY_POLICY) });
  const { healthyRetryPolicy } = JSON.parse(text);
  const turned = Object.fromEntries(Object.entries(healthyRetryPolicy).toReversed());
  expect(retriesLong(JSON.stringify({ healthyRetryPolicy: turned, ...other }))).toBe(true);
});
