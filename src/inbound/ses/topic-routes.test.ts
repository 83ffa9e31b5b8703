import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import { answered, createSesEdge, type SesEdge } from "../../../test/support/ses-edge.ts";
import {
  CERTIFICATE_URL,
  confirmation,
  confirmedXml,
  notification,
  TOPIC,
} from "../../../test/support/sns.ts";
import { failed } from "../../egress/result.ts";
import { confirmationUrl } from "./topic.ts";
import { noteMessage } from "./topic-queries.ts";

const ORIGIN = "https://sns.us-east-1.amazonaws.com";

let edge: SesEdge;

beforeAll(async () => {
  edge = await createSesEdge(["localhost:4566"]);
});
afterAll(() => edge.close());
beforeEach(async () => {
  const { db } = edge.database;
  for (const table of ["inbound_seen", "ses_asking"]) await sql`delete from ${sql.table(table)}`.execute(db);
  await sql`delete from credential where id <> ${edge.credentialId}`.execute(db);
  await sql`delete from ses_topic where topic_arn <> ${TOPIC}`.execute(db);
  await sql`
    update ses_topic set subscription = 'none', subscription_at = null, last_error = null, confirm_token = null,
      confirm_origin = null, confirm_due_at = null`.execute(db);
  edge.asked.length = 0;
  edge.trusted.length = 0;
  edge.answers.set(ORIGIN, answered(200, confirmedXml(TOPIC)));
});

const path = (id = edge.credentialId) => `/api/v1/credentials/${id}/ses/topics`;

async function topic() {
  const { body } = await edge.call("GET", path());
  return body.items[0];
}

/** As if the pause before the next attempt were over. */
async function passPause() {
  await sql`update ses_topic set confirm_due_at = now() where confirm_due_at is not null`.execute(
    edge.database.db,
  );
}

/** What went out but for certificates. */
const confirmations = () => edge.asked.filter((url) => !url.endsWith(".pem"));

describe("a subscription of an allowed topic", () => {
  test("is confirmed by itself, at the address made of what was signed", async () => {
    const envelope = confirmation();
    expect((await edge.post(envelope)).status).toBe(200);
    expect(await topic()).toMatchObject({ topicArn: TOPIC, subscription: "pending" });
    expect(confirmations()).toEqual([]);
    await edge.confirm();
    expect(confirmations()).toEqual([confirmationUrl(ORIGIN, TOPIC, String(envelope.Token))]);
    expect(await topic()).toMatchObject({ subscription: "confirmed", lastError: null });
    expect(await edge.confirm()).toBe(0);
  });

  test.each([
    ["a server's fault", answered(500, "")],
    ["too many requests", answered(429, "")],
    ["no answer", failed("timeout", "There was no answer within 10 seconds.")],
    ["a page", answered(200, "<html>")],
    ["another topic's subscription", answered(200, confirmedXml(`${TOPIC}2`))],
    ["a redirect", answered(302, "")],
  ])("is tried again after %s, with a pause, and says why", async (_, answer) => {
    edge.answers.set(ORIGIN, answer);
    await edge.post(confirmation());
    expect(await edge.confirm()).toBe(1);
    expect(await topic()).toMatchObject({
      subscription: "pending",
      lastError: expect.stringContaining("SNS"),
    });
    expect(await edge.confirm()).toBe(0);
    edge.answers.set(ORIGIN, answered(200, confirmedXml(TOPIC)));
    await passPause();
    await edge.confirm();
    expect(await topic()).toMatchObject({ subscription: "confirmed", lastError: null });
  });

  test("that SNS refuses to confirm is not tried again", async () => {
    edge.answers.set(ORIGIN, answered(400, "<ErrorResponse/>"));
    await edge.post(confirmation());
    await edge.confirm();
    await passPause();
    expect(await edge.confirm()).toBe(0);
    expect(await topic()).toMatchObject({
      subscription: "none",
      lastError: "SNS answered 400 to the confirmation.",
    });
  });

  test("whose token is too old is not asked for", async () => {
    const Timestamp = new Date(Date.now() - 49 * 3_600_000).toISOString();
    await edge.post(confirmation({ Timestamp }));
    await edge.confirm();
    expect(confirmations()).toEqual([]);
    expect(await topic()).toMatchObject({
      subscription: "none",
      lastError: expect.stringContaining("too old"),
    });
  });

  test("is confirmed once, however often the wish for it is delivered", async () => {
    const envelope = confirmation();
    await edge.post(envelope);
    await edge.confirm();
    expect((await edge.post(envelope)).status).toBe(200);
    expect(await edge.confirm()).toBe(0);
    expect(await topic()).toMatchObject({ subscription: "confirmed" });
  });

  test("is confirmed by one of several that look at the same moment", async () => {
    await edge.post(confirmation());
    expect((await Promise.all([edge.confirm(), edge.confirm(), edge.confirm()])).sort()).toEqual([0, 0, 1]);
    expect(confirmations().length).toBe(1);
  });

  test("of a stand-in is confirmed there, and only there", async () => {
    const certificate = "http://localhost:4566/cert.pem";
    const pem = edge.answers.get(CERTIFICATE_URL);
    if (pem === undefined) throw new Error("no certificate");
    edge.answers.set(certificate, pem);
    edge.answers.set("http://localhost:4566", answered(200, confirmedXml(TOPIC)));
    const envelope = confirmation({ SigningCertURL: certificate });
    await edge.post(envelope);
    await edge.confirm();
    expect(edge.trusted).toEqual([
      certificate,
      confirmationUrl("http://localhost:4566", TOPIC, String(envelope.Token)),
    ]);
    expect(edge.asked).toEqual([]);
    expect(await topic()).toMatchObject({ subscription: "confirmed" });
  });

  test("that ended is shown so, and never begun again by what is delivered again", async () => {
    const first = confirmation();
    await edge.post(first);
    await edge.confirm();
    const ended = confirmation({
      Type: "UnsubscribeConfirmation",
      Timestamp: new Date(Date.now() + 1_000).toISOString(),
    });
    expect((await edge.post(ended)).status).toBe(200);
    expect(await topic()).toMatchObject({ subscription: "unsubscribed" });
    for (const envelope of [first, ended]) expect((await edge.post(envelope)).status).toBe(200);
    await edge.post(notification("Hello"));
    expect(await edge.confirm()).toBe(0);
    expect(await topic()).toMatchObject({ subscription: "unsubscribed" });
    expect(confirmations().length).toBe(1);
  });

  test("that ended is not begun by a wish from before that comes late", async () => {
    const early = confirmation({ Timestamp: new Date(Date.now() - 60_000).toISOString() });
    await edge.post(confirmation({ Type: "UnsubscribeConfirmation" }));
    expect((await edge.post(early)).status).toBe(200);
    expect(await edge.confirm()).toBe(0);
    expect(await topic()).toMatchObject({ subscription: "unsubscribed" });
  });

  test("that somebody begins again is confirmed again", async () => {
    await edge.post(confirmation({ Type: "UnsubscribeConfirmation" }));
    await edge.post(confirmation());
    await edge.confirm();
    expect(await topic()).toMatchObject({ subscription: "confirmed" });
    const late = new Date(Date.now() - 60_000).toISOString();
    await edge.post(confirmation({ Type: "UnsubscribeConfirmation", Timestamp: late }));
    expect(await topic()).toMatchObject({ subscription: "confirmed" });
  });

  test("that was confirmed by hand is known by its first message", async () => {
    await noteMessage(edge.database.db, { customerId: edge.customer.id, topicArn: TOPIC });
    expect(await topic()).toMatchObject({ subscription: "confirmed", lastMessageAt: expect.any(String) });
  });
});

describe("a topic that nobody allowed", () => {
  const STRANGER = `${TOPIC}-stranger`;

  test("asks to connect once SNS has signed, and is allowed by the request that is shown", async () => {
    const envelope = confirmation({ TopicArn: STRANGER });
    edge.answers.set(ORIGIN, answered(200, confirmedXml(STRANGER)));
    expect((await edge.post(envelope)).status).toBe(403);
    expect(await edge.confirm()).toBe(0);
    const { asking } = (await edge.call("GET", path())).body;
    const allow = { method: "POST", href: path(), body: { topicArn: STRANGER } };
    expect(asking).toEqual([
      { topicArn: STRANGER, firstAt: expect.any(String), lastAt: expect.any(String), messages: 1, allow },
    ]);
    const allowed = await edge.call(allow.method, allow.href, { body: allow.body });
    expect([allowed.status, allowed.body.asking]).toEqual([200, []]);
    expect(allowed.body.items).toMatchObject([
      { subscription: "none" },
      { topicArn: STRANGER, subscription: "pending" },
    ]);
    await edge.confirm();
    expect(confirmations()).toEqual([confirmationUrl(ORIGIN, STRANGER, String(envelope.Token))]);
    expect((await edge.post(notification("Hello", { TopicArn: STRANGER }))).status).toBe(200);
  });

  test("is not noted for a message that SNS did not sign", async () => {
    const forged = { ...confirmation({ TopicArn: STRANGER }), Message: "changed" };
    expect((await edge.post(forged)).status).toBe(403);
    expect((await edge.call("GET", path())).body.asking).toEqual([]);
  });

  test("of another AWS account is shown to who names the account, and to nobody else", async () => {
    const elsewhere = "arn:aws:sns:us-east-1:999999999999:edgr";
    await edge.post(notification("Hello", { TopicArn: elsewhere }));
    const neighbour = await edge.createCustomer("neighbour with an account");
    const id = await edge.createCredential([], neighbour);
    const asking = async () => (await edge.call("GET", path(id), { customer: neighbour })).body.asking;
    expect(await asking()).toEqual([]);
    expect((await edge.call("GET", path())).body.asking).toEqual([]);
    const ses = { accountId: "999999999999" };
    await edge.call("PATCH", `/api/v1/credentials/${id}`, { body: { ses }, customer: neighbour });
    expect(await asking()).toMatchObject([{ topicArn: elsewhere }]);
  });

  test("is one of a thousand at most; the one that is silent the longest goes", async () => {
    const { db } = edge.database;
    await sql`
      insert into ses_asking (topic_arn, account_id, messages, last_at)
      select 'old' || number, '0', 1, now() - make_interval(secs => number) from generate_series(1, 1000) as number`.execute(
      db,
    );
    await edge.post(notification("Hello", { TopicArn: `${TOPIC}-newest` }));
    const { rows } = await sql<{ count: number; oldest: number; newest: number }>`
      select count(*) as count, count(*) filter (where topic_arn = 'old1000') as oldest,
        count(*) filter (where topic_arn = ${`${TOPIC}-newest`}) as newest from ses_asking`.execute(db);
    expect(rows).toEqual([{ count: 1_000, oldest: 0, newest: 1 }]);
  });
});

describe("the allow-list", () => {
  const OTHER = `${TOPIC}-other`;

  test("refuses a topic of another customer's, however it is named", async () => {
    const neighbour = await edge.createCustomer("neighbour who wants a topic");
    const id = await edge.createCredential([], neighbour);
    const before = await edge.state();
    const options = { body: { topicArn: TOPIC }, customer: neighbour };
    const answer = await edge.call("POST", path(id), options);
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([409, "ses.topicArns"]);
    const body = { ses: { topicArns: [TOPIC] } };
    expect(
      (await edge.call("PATCH", `/api/v1/credentials/${id}`, { body, customer: neighbour })).status,
    ).toBe(409);
    expect(edge.createCredential([TOPIC], neighbour)).rejects.toThrow("409");
    expect(await edge.state()).toBe(before);
  });

  test("follows what credentials name: another one keeps the topic when the first goes", async () => {
    const [first, second] = [await edge.createCredential([OTHER]), await edge.createCredential([OTHER])];
    await edge.call("DELETE", `/api/v1/credentials/${first}`);
    expect((await edge.post(notification("Hello", { TopicArn: OTHER }))).status).toBe(200);
    expect((await edge.call("GET", path(second))).body.items).toMatchObject([{ topicArn: OTHER }]);
    expect((await edge.call("DELETE", `${path(second)}/${encodeURIComponent(OTHER)}`)).status).toBe(204);
    expect((await edge.call("GET", path(second))).body.items).toEqual([]);
    const { rows } = await sql`select from ses_topic where topic_arn = ${OTHER}`.execute(edge.database.db);
    expect(rows).toEqual([]);
  });

  test("keeps what is known of a topic when its credential is changed in other ways", async () => {
    await edge.post(confirmation());
    await edge.confirm();
    await edge.call("PATCH", `/api/v1/credentials/${edge.credentialId}`, { body: { name: "renamed" } });
    expect(await topic()).toMatchObject({ subscription: "confirmed" });
  });

  test("takes nothing that is no topic, and no more than twenty", async () => {
    for (const topicArn of ["", "edgr", "arn:aws:sqs:us-east-1:123456789012:edgr", `${TOPIC}\n`]) {
      const answer = await edge.call("POST", path(), { body: { topicArn } });
      expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "topicArn"]);
      const body = { ses: { topicArns: [topicArn.trimEnd()] } };
      if (topicArn !== `${TOPIC}\n`)
        expect((await edge.call("PATCH", `/api/v1/credentials/${edge.credentialId}`, { body })).status).toBe(
          400,
        );
    }
    const id = await edge.createCredential(Array.from({ length: 20 }, (_, number) => `${TOPIC}-${number}`));
    expect((await edge.call("POST", path(id), { body: { topicArn: OTHER } })).status).toBe(400);
  });

  test("has nothing of a credential of somebody else's, nor of one that is not there", async () => {
    const customer = await edge.createCustomer("thief of topics");
    const body = { topicArn: OTHER };
    expect((await edge.call("GET", path(), { customer })).status).toBe(404);
    expect((await edge.call("POST", path(), { customer, body })).status).toBe(404);
    expect((await edge.call("DELETE", `${path()}/${encodeURIComponent(TOPIC)}`, { customer })).status).toBe(
      404,
    );
    expect((await edge.call("DELETE", `${path()}/${encodeURIComponent(OTHER)}`)).status).toBe(404);
    expect(await topic()).toMatchObject({ topicArn: TOPIC });
  });
});
