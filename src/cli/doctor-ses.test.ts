import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { createTestApp, type TestApp } from "../../test/support/app.ts";
import { type AwsStandIn, STAND_IN_KEYS, startAws } from "../../test/support/aws.ts";
import { smtpCredential } from "../../test/support/campaign-api.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { noBots } from "../../test/support/telegram.ts";
import { credentialRoutes } from "../credentials/routes.ts";
import type { SesSetupDeps } from "../credentials/ses-setup-run.ts";
import { createEgress } from "../egress/client.ts";
import { resolveBySystem } from "../egress/resolve.ts";
import { examineSes } from "./doctor-ses.ts";

const TOPIC = "arn:aws:sns:us-east-1:123456789012:edgr";

let api: TestApp;
let aws: AwsStandIn;
let deps: SesSetupDeps;

const egress = createEgress({ allow: ["127.0.0.1"], resolve: resolveBySystem });

beforeAll(async () => {
  aws = await startAws();
  const now = () => new Date();
  api = await createTestApp([
    credentialRoutes({ encryptionKey: TEST_ENCRYPTION_KEY, bots: noBots(), answerWithinMs: 100, now }),
  ]);
  deps = {
    encryptionKey: TEST_ENCRYPTION_KEY,
    publicUrl: "https://edgr.example.com",
    aws: {
      egress,
      origin: aws.origin,
      maxAttempts: 1,
      withinMs: 20_000,
      now: Date.now,
    },
  };
});
afterAll(async () => {
  await api.close();
  await aws.close();
  egress.close();
});

test("every credential of the installation that sends through SES is looked at, and nothing else", async () => {
  expect(await examineSes(api.database.db, deps)).toEqual({
    text: "No credential sends through Amazon SES.",
    isComplete: true,
  });
  const create = (body: object, customer = api.customer) =>
    api.call("POST", "/api/v1/credentials", { body: smtpCredential(body), customer });
  const neighbour = await api.createCustomer("neighbour");
  await create({ name: "Other" });
  await create({ name: "By hand", host: "email-smtp.eu-west-1.amazonaws.com" }, neighbour);
  await create({ name: "Keys", ses: { aws: { region: "us-east-1", ...STAND_IN_KEYS } } });
  const { text, isComplete } = await examineSes(api.database.db, deps);
  expect(isComplete).toBe(false);
  expect(text).not.toContain('"Other"');
  expect(text).toMatch(/"By hand" \(.*\) of neighbour, eu-west-1, without AWS keys/);
  expect(text).toContain("aws sns create-topic --region eu-west-1 --name edgr");
  expect(text).toMatch(/"Keys" \(.*\) of test customer, us-east-1, with AWS keys/);
  expect(text).toMatch(/missing +Configuration set +edgr/);
  expect(text).not.toContain(STAND_IN_KEYS.secretAccessKey);
  expect(aws.calls.every((call) => /:(Get|List)/.test(call))).toBe(true);
});

test("topics that want to connect are shown with what allows them", async () => {
  await sql`
    insert into ses_asking (topic_arn, account_id, messages) values (${TOPIC}, '123456789012', 3)`.execute(
    api.database.db,
  );
  const { text } = await examineSes(api.database.db, deps);
  expect(text).toMatch(new RegExp(`${TOPIC} +3 message\\(s\\) +last \\d{4}-`));
  expect(text).toContain("/ses/topics");
});
