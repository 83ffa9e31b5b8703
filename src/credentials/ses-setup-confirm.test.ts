import { afterAll, beforeAll, expect, test } from "bun:test";
import { type AwsStandIn, STAND_IN_KEYS, startAws } from "../../test/support/aws.ts";
import { smtpCredential } from "../../test/support/campaign-api.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { answered, createSesEdge, type SesEdge } from "../../test/support/ses-edge.ts";
import { confirmation, confirmedXml, notification } from "../../test/support/sns.ts";
import { createEgress } from "../egress/client.ts";
import { resolveBySystem } from "../egress/resolve.ts";
import { type SesSetupDeps, setUpSes, showSesSetup } from "./ses-setup-run.ts";

const TOPIC = "arn:aws:sns:us-east-1:123456789012:mail";

let edge: SesEdge;
let aws: AwsStandIn;
let deps: SesSetupDeps;

const egress = createEgress({ allow: ["127.0.0.1"], resolve: resolveBySystem });

beforeAll(async () => {
  edge = await createSesEdge();
  aws = await startAws();
  deps = {
    encryptionKey: TEST_ENCRYPTION_KEY,
    publicUrl: "https://edgr.example.com",
    aws: { egress, origin: aws.origin, maxAttempts: 1, withinMs: 20_000, now: Date.now },
  };
});
afterAll(async () => {
  await edge.close();
  await aws.close();
  egress.close();
});

test("what SNS asks for at the moment of subscribing is confirmed, though the topic was refused just before", async () => {
  const { db } = edge.database;
  const customerId = edge.customer.id;
  const ses = { configurationSet: "mail", aws: { region: "us-east-1", ...STAND_IN_KEYS } };
  const { body } = await edge.call("POST", "/api/v1/credentials", { body: smtpCredential({ ses }) });
  const validated = "Successfully validated SNS topic for Amazon SES event publishing.";
  expect((await edge.post(notification(validated, { TopicArn: TOPIC }))).status).toBe(403);
  const asked = Promise.withResolvers<number>();
  aws.onSubscribe((TopicArn) => {
    edge.post(confirmation({ TopicArn })).then(({ status }) => asked.resolve(status), asked.reject);
  });
  await setUpSes(db, customerId, body.id, deps);
  expect(await asked.promise).toBe(200);
  edge.answers.set("https://sns.us-east-1.amazonaws.com", answered(200, confirmedXml(TOPIC)));
  expect(await edge.confirm()).toBe(1);
  aws.confirm(TOPIC);
  const { isComplete, steps } = await showSesSetup(db, customerId, body.id, deps);
  expect(isComplete).toBe(true);
  expect(steps.find(({ id }) => id === "subscription")).toMatchObject({
    status: "confirmed",
    at: expect.stringMatching(/^\d{4}-/),
  });
});
