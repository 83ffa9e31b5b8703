import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { type Answer, createTestApp, type TestApp } from "../../test/support/app.ts";
import { type AwsStandIn, STAND_IN_KEYS, startAws } from "../../test/support/aws.ts";
import { smtpCredential } from "../../test/support/campaign-api.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { noBots } from "../../test/support/telegram.ts";
import { createEgress } from "../egress/client.ts";
import { resolveBySystem } from "../egress/resolve.ts";
import { credentialRoutes } from "./routes.ts";
import { DELIVERY_POLICY } from "./ses-setup-delivery.ts";
import { sesSetupRoutes } from "./ses-setup-routes.ts";

const PUBLIC_URL = "https://edgr.example.com";
const ENDPOINT = `${PUBLIC_URL}/api/ses-events`;
const TOPIC = "arn:aws:sns:us-east-1:123456789012:edgr";
const AWS = { region: "us-east-1", ...STAND_IN_KEYS };
const ALL_TYPES = "SEND,DELIVERY,BOUNCE,COMPLAINT,REJECT,RENDERING_FAILURE,DELIVERY_DELAY,SUBSCRIPTION".split(
  ",",
);

type Step = {
  id: string;
  status: string;
  reason: string | null;
  change: string | null;
  command: string | null;
};

let api: TestApp;
let local: TestApp;
let aws: AwsStandIn;

const egress = createEgress({ allow: ["127.0.0.1"], resolve: resolveBySystem });

beforeAll(async () => {
  aws = await startAws();
  const access = {
    egress,
    origin: aws.origin,
    maxAttempts: 3,
    withinMs: 20_000,
    now: Date.now,
  };
  const deps = { encryptionKey: TEST_ENCRYPTION_KEY, aws: access };
  const now = () => new Date();
  const credentials = () =>
    credentialRoutes({ encryptionKey: TEST_ENCRYPTION_KEY, bots: noBots(), answerWithinMs: 100, now });
  api = await createTestApp([credentials(), sesSetupRoutes({ ...deps, publicUrl: PUBLIC_URL })]);
  local = await createTestApp([
    credentials(),
    sesSetupRoutes({ ...deps, publicUrl: "http://localhost:3000" }),
  ]);
});

afterEach(async () => {
  for (const state of [aws.configurationSets, aws.topics, aws.throttled, aws.lost, aws.denied]) state.clear();
  aws.calls.length = 0;
  aws.onSubscribe(() => {});
  await sql`delete from credential`.execute(api.database.db);
  await sql`delete from ses_topic`.execute(api.database.db);
});

afterAll(async () => {
  await api.close();
  await local.close();
  await aws.close();
  egress.close();
});

async function createCredential(ses: object | null = { aws: AWS }, app = api): Promise<string> {
  const { body, text } = await app.call("POST", "/api/v1/credentials", { body: smtpCredential({ ses }) });
  if (body.id === undefined) throw new Error(text);
  return body.id;
}

const setUp = (id: string) => api.call("POST", `/api/v1/credentials/${id}/ses/setup`);
const look = (id: string) => api.call("GET", `/api/v1/credentials/${id}/ses/setup`);
const stepsOf = ({ body }: Answer) => body.steps as Step[];
const statuses = (answer: Answer) =>
  Object.fromEntries(
    stepsOf(answer).map(({ id, status, change }) => [id, change === null ? status : change]),
  );
const step = (answer: Answer, id: string) => stepsOf(answer).find((each) => each.id === id);
const writes = () => aws.calls.filter((call) => !/:(Get|List)/.test(call));

const DONE = {
  publicUrl: "done",
  configurationSet: "done",
  topic: "done",
  signatureVersion: "done",
  topicPolicy: "done",
  eventDestination: "done",
  credential: "done",
  subscription: "confirmed",
  events: "pending",
};

function expectComplete(): void {
  expect([...aws.configurationSets]).toEqual([
    [
      "edgr",
      [{ Name: "edgr", Enabled: true, MatchingEventTypes: ALL_TYPES, SnsDestination: { TopicArn: TOPIC } }],
    ],
  ]);
  expect([...aws.topics.keys()]).toEqual([TOPIC]);
  const topic = aws.topics.get(TOPIC);
  expect(topic?.attributes.SignatureVersion).toBe("2");
  const policy = JSON.parse(topic?.attributes.Policy ?? "");
  expect(policy.Statement.map(({ Sid }: { Sid: string }) => Sid)).toEqual([
    "__default_statement_ID",
    "EdgrLetsSesPublish",
  ]);
  expect(topic?.subscriptions.map(({ endpoint }) => endpoint)).toEqual([ENDPOINT]);
  expect(topic?.subscriptions[0]?.attributes.DeliveryPolicy).toBe(DELIVERY_POLICY);
}

test("a setup makes everything once, and a second one finds it all there", async () => {
  const id = await createCredential();
  const first = await setUp(id);
  expect(first.status).toBe(200);
  expect(statuses(first)).toEqual({
    publicUrl: "done",
    configurationSet: "created",
    topic: "created",
    signatureVersion: "corrected",
    topicPolicy: "corrected",
    eventDestination: "created",
    credential: "corrected",
    subscription: "created",
    events: "pending",
  });
  expect(step(first, "subscription")?.status).toBe("pending");
  expect(first.body.isComplete).toBe(false);
  expectComplete();
  aws.confirm(TOPIC);
  aws.calls.length = 0;
  const second = await setUp(id);
  expect(statuses(second)).toEqual(DONE);
  expect(second.body.isComplete).toBe(true);
  expect(writes()).toEqual([]);
  expectComplete();
  const credential = await api.call("GET", `/api/v1/credentials/${id}`);
  expect(credential.body.ses).toMatchObject({ configurationSet: "edgr", topicArns: [TOPIC] });
});

test("looking, and a dry run, change nothing and say what is missing", async () => {
  const id = await createCredential();
  const dry = await api.call("POST", `/api/v1/credentials/${id}/ses/setup`, { body: { dryRun: true } });
  const missing = Object.fromEntries(Object.keys(DONE).map((each) => [each, "missing"]));
  expect(statuses(dry)).toEqual({ ...missing, publicUrl: "done", events: "pending" });
  expect(statuses(await look(id))).toEqual(statuses(dry));
  expect(writes()).toEqual([]);
  expect((await api.call("GET", `/api/v1/credentials/${id}`)).body.ses).toMatchObject({
    configurationSet: null,
    topicArns: [],
  });
});

test("the topic is allowed before the subscription is asked for, so that its confirmation confirms itself", async () => {
  const id = await createCredential();
  const { promise, resolve } = Promise.withResolvers<number>();
  aws.onSubscribe((topicArn) => {
    const allowed = sql`select from ses_topic where topic_arn = ${topicArn}`.execute(api.database.db);
    allowed.then(({ rows }) => resolve(rows.length));
  });
  await setUp(id);
  expect(await promise).toBe(1);
});

test("what is there already is adopted and corrected, and what else is in it stays", async () => {
  const named = "arn:aws:sns:us-east-1:123456789012:mail-events";
  const foreign = {
    Sid: "Theirs",
    Effect: "Allow",
    Principal: { AWS: "1" },
    Action: "SNS:Publish",
    Resource: named,
  };
  aws.topics.set("arn:aws:sns:us-east-1:123456789012:other", { attributes: {}, subscriptions: [] });
  aws.topics.set(named, {
    attributes: {
      SignatureVersion: "1",
      Policy: JSON.stringify({ Version: "2008-10-17", Statement: foreign }),
    },
    subscriptions: [
      { protocol: "email", endpoint: "ops@example.com", arn: `${named}:1`, attributes: {} },
      {
        protocol: "https",
        endpoint: ENDPOINT,
        arn: `${named}:2`,
        attributes: {
          RawMessageDelivery: "true",
          DeliveryPolicy: JSON.stringify({ throttlePolicy: { maxReceivesPerSecond: 9 } }),
        },
      },
    ],
  });
  aws.configurationSets.set("mail", [
    {
      Name: "theirs",
      Enabled: false,
      MatchingEventTypes: ["OPEN", "SEND"],
      SnsDestination: { TopicArn: named },
    },
  ]);
  const id = await createCredential({ configurationSet: "mail", topicArns: [named], aws: AWS });
  expect(statuses(await look(id))).toMatchObject({
    configurationSet: "done",
    topic: "done",
    signatureVersion: "missing",
    eventDestination: "missing",
    subscription: "missing",
  });
  const answer = await setUp(id);
  expect(statuses(answer)).toEqual({
    ...DONE,
    signatureVersion: "corrected",
    topicPolicy: "corrected",
    eventDestination: "corrected",
    subscription: "corrected",
  });
  const { attributes, subscriptions } = aws.topics.get(named) ?? { attributes: {}, subscriptions: [] };
  expect(JSON.parse(attributes.Policy ?? "").Statement[0]).toEqual(foreign);
  expect(subscriptions[0]?.attributes).toEqual({});
  expect(subscriptions[1]?.attributes.RawMessageDelivery).toBe("false");
  expect(JSON.parse(subscriptions[1]?.attributes.DeliveryPolicy ?? "")).toEqual({
    throttlePolicy: { maxReceivesPerSecond: 9 },
    ...JSON.parse(DELIVERY_POLICY),
  });
  const [destination, ...others] = aws.configurationSets.get("mail") ?? [];
  expect(others).toEqual([]);
  expect(destination).toMatchObject({ Name: "theirs", Enabled: true });
  expect(destination?.MatchingEventTypes.toSorted()).toEqual([...ALL_TYPES, "OPEN"].toSorted());
  expect(aws.topics.size).toBe(2);
});

test("a subscription whose retries end too early is said to, and corrected once", async () => {
  const id = await createCredential();
  await setUp(id);
  aws.confirm(TOPIC);
  const subscription = aws.topics.get(TOPIC)?.subscriptions[0];
  if (subscription === undefined) throw new Error("nothing was subscribed");
  const short = { healthyRetryPolicy: { ...JSON.parse(DELIVERY_POLICY).healthyRetryPolicy, numRetries: 3 } };
  for (const policy of [undefined, "", "null", '{"healthyRetryPolicy":null}', JSON.stringify(short)]) {
    delete subscription.attributes.DeliveryPolicy;
    if (policy !== undefined) subscription.attributes.DeliveryPolicy = policy;
    expect(step(await look(id), "subscription")).toMatchObject({
      status: "missing",
      reason: expect.stringContaining("for an hour"),
    });
    expect(step(await setUp(id), "subscription")).toMatchObject({ status: "confirmed", change: "corrected" });
    expectComplete();
    expect(statuses(await setUp(id))).toEqual(DONE);
  }
});

test("a subscription that waits for its confirmation is asked for again as it is, and corrected after that", async () => {
  const id = await createCredential();
  await setUp(id);
  const topic = aws.topics.get(TOPIC);
  for (const each of topic?.subscriptions ?? []) each.attributes = {};
  expect(step(await setUp(id), "subscription")).toMatchObject({ status: "pending", change: null });
  aws.confirm(TOPIC);
  expect(step(await setUp(id), "subscription")).toMatchObject({ status: "confirmed", change: "corrected" });
  expectComplete();
});

test("a topic of an earlier setup that nobody wrote down is found again", async () => {
  for (const name of ["a", "b", "c", "edgr"])
    aws.topics.set(`arn:aws:sns:us-east-1:123456789012:${name}`, { attributes: {}, subscriptions: [] });
  const id = await createCredential();
  expect(statuses(await look(id))).toMatchObject({ topic: "done" });
  expect(statuses(await setUp(id))).toMatchObject({
    topic: "done",
    topicPolicy: "corrected",
    credential: "corrected",
  });
});

const ACTIONS = [
  "ses:CreateConfigurationSet",
  "sns:CreateTopic",
  "sns:SetTopicAttributes",
  "ses:CreateConfigurationSetEventDestination",
  "sns:Subscribe",
];

test.each(ACTIONS)(
  "a setup that may not %s ends there, names the action, and goes on later",
  async (action) => {
    const id = await createCredential();
    aws.denied.add(action);
    const answer = await setUp(id);
    expect(answer.status).toBe(200);
    const failed = stepsOf(answer).filter(({ status }) => status === "failed");
    expect(failed.map(({ reason }) => reason)).toEqual([
      `Access denied: the AWS keys need the IAM action ${action}.`,
    ]);
    const after = stepsOf(answer).slice(stepsOf(answer).findIndex(({ status }) => status === "failed") + 1);
    expect(after.filter(({ change }) => change !== null)).toEqual([]);
    const { ses } = (await api.call("GET", `/api/v1/credentials/${id}`)).body;
    const isRecorded = action === "sns:Subscribe";
    expect(ses).toMatchObject({
      configurationSet: isRecorded ? "edgr" : null,
      topicArns: isRecorded ? [TOPIC] : [],
    });
    aws.denied.clear();
    await setUp(id);
    aws.confirm(TOPIC);
    expect(statuses(await setUp(id))).toEqual(DONE);
    expectComplete();
  },
);

test.each(ACTIONS)(
  "an answer to %s that gets lost once is asked for again, and does not end the setup",
  async (action) => {
    aws.lost.set(action, 1);
    const answer = await setUp(await createCredential());
    expect(aws.lost.get(action)).toBeLessThan(1);
    expect(stepsOf(answer).filter(({ status }) => ["failed", "unknown"].includes(status))).toEqual([]);
    expectComplete();
  },
  30_000,
);

test.each(ACTIONS)(
  "an answer to %s that gets lost leaves nothing twice",
  async (action) => {
    const id = await createCredential();
    aws.lost.set(action, 5);
    await setUp(id);
    expect(aws.lost.get(action)).toBeLessThan(5);
    aws.lost.clear();
    await setUp(id);
    aws.confirm(TOPIC);
    expect(statuses(await setUp(id))).toEqual(DONE);
    expectComplete();
  },
  30_000,
);

test("AWS saying that it is too much is asked again after a pause", async () => {
  const id = await createCredential();
  aws.throttled.set("ses:GetConfigurationSet", 1).set("sns:CreateTopic", 1);
  expect(statuses(await setUp(id))).toMatchObject({ configurationSet: "created", topic: "created" });
}, 30_000);

test("wrong keys are told from missing rights", async () => {
  const id = await createCredential({ aws: { ...AWS, accessKeyId: "AKIAIOSFODNN7ANOTHER" } });
  expect(step(await setUp(id), "configurationSet")).toMatchObject({
    status: "failed",
    reason:
      "AWS does not accept the keys (UnrecognizedClientException): check the access key and its secret.",
  });
  expect(step(await look(id), "topic")?.reason).toContain("InvalidClientTokenId");
  const other = await createCredential({ aws: { ...AWS, secretAccessKey: "another" } });
  expect(step(await setUp(other), "configurationSet")?.reason).toContain("(InvalidSignatureException)");
});

test("a topic with the key that SES can't use is said to be, and nothing is built on it", async () => {
  aws.topics.set(TOPIC, { attributes: { KmsMasterKeyId: "alias/aws/sns" }, subscriptions: [] });
  const answer = await setUp(await createCredential());
  expect(step(answer, "topic")?.reason).toContain("alias/aws/sns");
  expect(statuses(answer)).toMatchObject({
    topic: "failed",
    signatureVersion: "unknown",
    subscription: "unknown",
  });
});

test("an address that SNS can't reach is refused before anything is made", async () => {
  const id = await createCredential({ aws: AWS }, local);
  const answer = await local.call("POST", `/api/v1/credentials/${id}/ses/setup`);
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([422, "EDGR_PUBLIC_URL"]);
  expect(answer.body.detail).toContain("this machine only");
  expect(aws.calls).toEqual([]);
  const shown = await local.call("GET", `/api/v1/credentials/${id}/ses/setup`);
  expect(step(shown, "publicUrl")?.status).toBe("failed");
});

test("without keys the steps are said with their exact names, and what EDGR heard itself", async () => {
  const id = await createCredential({ configurationSet: "mail", topicArns: [TOPIC] });
  const before = await look(id);
  expect(statuses(before)).toMatchObject({
    configurationSet: "unknown",
    credential: "done",
    subscription: "missing",
  });
  expect(step(before, "subscription")?.command).toBe(
    `aws sns subscribe --region us-east-1 --topic-arn ${TOPIC} --protocol https --notification-endpoint ${ENDPOINT} --attributes '${JSON.stringify({ DeliveryPolicy: DELIVERY_POLICY })}'`,
  );
  await sql`
    update ses_topic set subscription = 'confirmed', subscription_at = now(), last_message_at = now()
    where topic_arn = ${TOPIC}`.execute(api.database.db);
  const heard = await look(id);
  expect(statuses(heard)).toMatchObject({ subscription: "confirmed", events: "seen" });
  expect(heard.body.isComplete).toBe(true);
  const refused = await setUp(id);
  expect([refused.status, refused.body.errors[0]?.field]).toEqual([422, "ses.aws"]);
  expect(aws.calls).toEqual([]);
});

test("another customer's topic is refused, and his credential is not there", async () => {
  const thief = await api.createCustomer("sets up");
  const id = await createCredential();
  await setUp(id);
  const path = `/api/v1/credentials/${id}/ses/setup`;
  expect((await api.call("GET", path, { customer: thief })).status).toBe(404);
  expect((await api.call("POST", path, { customer: thief })).status).toBe(404);
  const body = smtpCredential({ ses: { aws: AWS } });
  const theirs = await api.call("POST", "/api/v1/credentials", { body, customer: thief });
  const answer = await api.call("POST", `/api/v1/credentials/${theirs.body.id}/ses/setup`, {
    customer: thief,
  });
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([409, "ses.topicArns"]);
});

test("the secret is in no answer, and a key for idempotency is refused", async () => {
  const id = await createCredential();
  aws.denied.add("sns:CreateTopic");
  const path = `/api/v1/credentials/${id}/ses/setup`;
  const answers = [await setUp(id), await look(id), await setUp("01989c2a-7d3c-7cc3-98c4-dc0c0c07398f")];
  for (const { text } of answers) expect(text).not.toContain(STAND_IN_KEYS.secretAccessKey);
  const keyed = await api.call("POST", path, { body: {}, headers: { "Idempotency-Key": "once" } });
  expect([keyed.status, keyed.body.errors[0]?.field]).toEqual([400, "Idempotency-Key"]);
});
