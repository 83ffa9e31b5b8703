import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import type { TestCustomer } from "../../../test/support/app.ts";
import { smtpCredential } from "../../../test/support/campaign-api.ts";
import { answered, bounce, createSesEdge, type SesEdge } from "../../../test/support/ses-edge.ts";
import {
  CERTIFICATE_URL,
  confirmation,
  confirmedXml,
  notification,
  TOPIC,
} from "../../../test/support/sns.ts";
import { failed } from "../../egress/result.ts";
import { confirmationUrl } from "./topic.ts";
import { adoptTopic } from "./topic-queries.ts";

const ORIGIN = "https://sns.us-east-1.amazonaws.com";
const ACCOUNT = "123456789012";
const named = (name: string, account = ACCOUNT) => `arn:aws:sns:us-east-1:${account}:${name}`;
const FITTING = named("edgr-news");

let edge: SesEdge;
let neighbour: TestCustomer;
let minutes = 0;

beforeAll(async () => {
  edge = await createSesEdge();
  neighbour = await edge.createCustomer("neighbour");
});
afterAll(() => edge.close());
beforeEach(async () => {
  const { db } = edge.database;
  for (const table of ["inbound_seen", "inbound_event", "event_log", "ses_asking"])
    await sql`delete from ${sql.table(table)}`.execute(db);
  await sql`delete from credential where id <> ${edge.credentialId}`.execute(db);
  await sql`delete from ses_topic where topic_arn <> ${TOPIC}`.execute(db);
  edge.asked.length = 0;
  // What a process remembers of topics for seconds is of the test before.
  minutes += 1;
  edge.setTime(Date.now() + minutes * 60_000);
});

async function create(ses: object, customer = edge.customer): Promise<string> {
  const answer = await edge.call("POST", "/api/v1/credentials", { body: smtpCredential({ ses }), customer });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body.id;
}

const change = (id: string, ses: object, customer = edge.customer) =>
  edge.call("PATCH", `/api/v1/credentials/${id}`, { body: { ses }, customer });

async function shown(id: string, customer = edge.customer) {
  const { body } = await edge.call("GET", `/api/v1/credentials/${id}/ses/topics`, { customer });
  const asking = body.asking as { topicArn: string }[];
  return {
    allowed: body.items.map(({ topicArn, subscription }) => [topicArn, subscription]),
    asking: asking.map(({ topicArn }) => topicArn),
  };
}

const say = (TopicArn: string, text = "Hello") => edge.post(notification(text, { TopicArn }));

describe("a topic that nobody named", () => {
  test("is allowed when it fits one customer's pattern, and its message is processed", async () => {
    const id = await create({ accountId: ACCOUNT, topicPattern: "edgr-*" });
    const message = await edge.createMessage();
    expect((await say(FITTING, bounce(message))).status).toBe(200);
    expect((await edge.events()).map(({ type }) => type)).toEqual(["message_bounced"]);
    expect(await shown(id)).toEqual({ allowed: [[FITTING, "confirmed"]], asking: [] });
    expect((await say(FITTING)).status).toBe(200);
  });

  test("is confirmed by itself when it asks", async () => {
    const id = await create({ accountId: ACCOUNT, topicPattern: "edgr-*" });
    edge.answers.set(ORIGIN, answered(200, confirmedXml(FITTING)));
    const envelope = confirmation({ TopicArn: FITTING });
    expect((await edge.post(envelope)).status).toBe(200);
    await edge.confirm();
    expect(edge.asked).toContain(confirmationUrl(ORIGIN, FITTING, String(envelope.Token)));
    expect((await shown(id)).allowed).toEqual([[FITTING, "confirmed"]]);
  });

  test("that SNS did not sign for changes nothing, however well it fits", async () => {
    await create({ accountId: ACCOUNT, topicPattern: "*" });
    const before = await edge.state();
    const forged = { ...notification("Hello", { TopicArn: FITTING }), Message: "changed" };
    expect((await edge.post(forged)).status).toBe(403);
    expect(await edge.state()).toBe(before);
  });

  test("is to be delivered again while its certificate can't be had, if it fits", async () => {
    await create({ accountId: ACCOUNT, topicPattern: "edgr-*" });
    const before = await edge.state();
    const SigningCertURL = CERTIFICATE_URL.replace(/0{32}/, "1".repeat(32));
    edge.answers.set(SigningCertURL, failed("timeout", "There was no answer."));
    const later = (TopicArn: string) => edge.post(notification("Hello", { TopicArn, SigningCertURL }));
    expect((await later(FITTING)).status).toBe(503);
    expect((await later(named("other"))).status).toBe(403);
    expect(await edge.state()).toBe(before);
  });

  test.each([
    ["another account's", named("edgr-news", "999999999999")],
    ["another name's", named("news-edgr")],
    ["a name's that only begins like it", named("edgr_")],
    ["a name's in another case", named("EDGR-news")],
  ])("is refused when it is %s, and asks", async (_, topicArn) => {
    const id = await create({ accountId: ACCOUNT, topicPattern: "edgr-*" });
    expect((await say(topicArn)).status).toBe(403);
    const { rows } = await sql`select topic_arn from ses_asking`.execute(edge.database.db);
    expect(rows).toEqual([{ topic_arn: topicArn }]);
    expect((await shown(id)).allowed).toEqual([]);
  });

  test("that fits two customers is refused, and both see it ask", async () => {
    const mine = await create({ accountId: ACCOUNT, topicPattern: "edgr-*" });
    const theirs = await create({ accountId: ACCOUNT, topicPattern: "*-news" }, neighbour);
    expect((await say(FITTING)).status).toBe(403);
    await change(mine, { accountId: ACCOUNT, topicPattern: "edgr-n*" });
    expect(await shown(mine)).toEqual({ allowed: [], asking: [FITTING] });
    expect(await shown(theirs, neighbour)).toEqual({ allowed: [], asking: [FITTING] });
    await change(theirs, { accountId: ACCOUNT, topicPattern: "theirs-*" }, neighbour);
    expect((await say(FITTING)).status).toBe(200);
    expect(await shown(mine)).toEqual({ allowed: [[FITTING, "confirmed"]], asking: [] });
    expect(await shown(theirs, neighbour)).toEqual({ allowed: [], asking: [] });
  });

  test("that fits two credentials of one customer is his, once", async () => {
    const first = await create({ accountId: ACCOUNT, topicPattern: "edgr-*" });
    const second = await create({ accountId: ACCOUNT, topicPattern: "*" });
    expect((await say(FITTING)).status).toBe(200);
    expect([(await shown(first)).allowed.length, (await shown(second)).allowed.length]).toEqual([1, 0]);
    await edge.call("DELETE", `/api/v1/credentials/${first}`);
    expect((await shown(second)).allowed).toEqual([[FITTING, "confirmed"]]);
  });

  test("touches the customer whose pattern it fits, and no other", async () => {
    await create({ accountId: ACCOUNT, topicPattern: "theirs-*" }, neighbour);
    const message = await edge.createMessage({ providerId: "0100018f-mine-000000" });
    expect((await say(named("theirs-1"), bounce(message))).status).toBe(200);
    expect([await edge.events(), await edge.events(neighbour.id)]).toEqual([[], []]);
  });

  test("is allowed once by many that speak at the same moment", async () => {
    await create({ accountId: ACCOUNT, topicPattern: "edgr-*" });
    const answers = await Promise.all(Array.from({ length: 8 }, () => say(FITTING)));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    const topic = {
      arn: FITTING,
      partition: "aws",
      region: "us-east-1",
      accountId: ACCOUNT,
      name: "edgr-news",
    };
    const adopted = await Promise.all(Array.from({ length: 8 }, () => adoptTopic(edge.database.db, topic)));
    expect(new Set(adopted.map((each) => each?.customerId))).toEqual(new Set([edge.customer.id]));
  });
});

describe("a pattern", () => {
  test("allows what asked before it was there, and has its subscription confirmed", async () => {
    const envelope = confirmation({ TopicArn: FITTING });
    edge.answers.set(ORIGIN, answered(200, confirmedXml(FITTING)));
    expect((await edge.post(envelope)).status).toBe(403);
    const id = await create({ accountId: ACCOUNT, topicPattern: "edgr-*" });
    expect(await shown(id)).toEqual({ allowed: [[FITTING, "pending"]], asking: [] });
    await edge.confirm();
    expect((await shown(id)).allowed).toEqual([[FITTING, "confirmed"]]);
  });

  test("takes nothing of another customer's, whether he named it or it fits his too", async () => {
    await create({ accountId: ACCOUNT, topicPattern: "*-news" }, neighbour);
    await say(named("sports-news"));
    await say(named("other"));
    const id = await create({ accountId: ACCOUNT, topicPattern: "*" });
    expect((await say(FITTING)).status).toBe(403);
    expect((await shown(id)).allowed).toEqual([[named("other"), "none"]]);
    expect((await say(named("sports-news"))).status).toBe(200);
    const { rows } = await sql`
      select customer_id as "customerId" from ses_topic where topic_arn = ${named("sports-news")}`.execute(
      edge.database.db,
    );
    expect(rows).toEqual([{ customerId: neighbour.id }]);
  });

  test("that no longer fits takes its topics with it; another change does not", async () => {
    const id = await create({ accountId: ACCOUNT, topicPattern: "edgr-*" });
    await say(FITTING);
    await create({ accountId: ACCOUNT, topicPattern: "edgr-*" }, neighbour);
    await edge.call("PATCH", `/api/v1/credentials/${id}`, { body: { name: "renamed" } });
    expect((await shown(id)).allowed).toEqual([[FITTING, "confirmed"]]);
    expect((await change(id, { accountId: ACCOUNT, topicPattern: "else*" })).status).toBe(200);
    expect((await shown(id)).allowed).toEqual([]);
    const { rows } = await sql`select from ses_topic where topic_arn = ${FITTING}`.execute(edge.database.db);
    expect(rows).toEqual([]);
    expect(
      (await edge.call("DELETE", `/api/v1/credentials/${id}/ses/topics/${encodeURIComponent(FITTING)}`))
        .status,
    ).toBe(404);
  });

  test("takes its characters for themselves, but for the star", async () => {
    await create({ accountId: ACCOUNT, topicPattern: "a_b*c" });
    for (const [name, status] of [
      ["a_bc", 200],
      ["a_b-x-c", 200],
      ["axbc", 403],
      ["a_bcd", 403],
    ] as const)
      expect([name, (await say(named(name))).status]).toEqual([name, status]);
  });

  test.each([
    [{ topicPattern: "edgr-*" }, "ses.topicPattern"],
    [{ topicPattern: "", accountId: ACCOUNT }, "ses.topicPattern"],
    [{ topicPattern: "edgr-%", accountId: ACCOUNT }, "ses.topicPattern"],
    [{ topicPattern: "arn:aws:sns:*", accountId: ACCOUNT }, "ses.topicPattern"],
    [{ topicPattern: "a".repeat(257), accountId: ACCOUNT }, "ses.topicPattern"],
    [{ topicPattern: "edgr-*", accountId: "12" }, "ses.accountId"],
  ])("such as %j is refused with a reason", async (ses, field) => {
    const body = smtpCredential({ ses });
    for (const answer of [
      await edge.call("POST", "/api/v1/credentials", { body }),
      await change(edge.credentialId, ses),
    ]) {
      expect([answer.status, answer.body.errors.map((each) => each.field)]).toEqual([400, [field]]);
      expect(answer.body.errors[0]?.reason).toMatch(/needs accountId|must be/);
    }
  });

  test("is shown as it was given", async () => {
    const id = await create({ accountId: ACCOUNT, topicPattern: "edgr-*" });
    const { body } = await edge.call("GET", `/api/v1/credentials/${id}`);
    expect(body.ses).toMatchObject({ accountId: ACCOUNT, topicPattern: "edgr-*", topicArns: [] });
  });
});
