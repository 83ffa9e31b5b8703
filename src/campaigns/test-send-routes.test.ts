import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  type CampaignApi,
  createCampaignApi,
  helloCampaign,
  helloNode,
  smtpCredential,
  TEST_TOKENS,
} from "../../test/support/campaign-api.ts";
import { append, projectAll } from "../../test/support/campaigns.ts";
import { type SmtpFault, type SmtpSink, startSmtpSink } from "../../test/support/smtp.ts";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { unsubscribe } from "../tracking/queries.ts";

let api: CampaignApi;
let sink: SmtpSink;
let credentialId: string;
let campaignId: string;

beforeAll(async () => {
  api = await createCampaignApi({ answerWithinMs: 3_000 });
  sink = await startSmtpSink();
  credentialId = (await api.ok("POST", "/credentials", smtpCredential({ port: sink.port, fromName: "News" })))
    .id;
  campaignId = (await api.ok("POST", "/campaigns", helloCampaign(credentialId))).id;
});
afterAll(async () => {
  await sink.close();
  await api.close();
});
afterEach(() => {
  sink.script(null);
  sink.received.length = 0;
});

const call = (body: object, id = campaignId) =>
  api.call("POST", `/api/v1/campaigns/${id}/test-send`, { body });
const toMe = { nodeId: "hello", to: "me@example.org" };

async function campaignOf(node: object): Promise<string> {
  const body = helloCampaign(credentialId, { nodes: [helloNode(credentialId, node)], edges: [] });
  return (await api.ok("POST", "/campaigns", body)).id;
}

async function rows(): Promise<unknown> {
  const { rows } = await sql`
    select (select count(*) from message) as messages, (select count(*) from node_run) as runs,
      (select count(*) from activity) as activity, (select count(*) from counter) as counters,
      (select count(*) from suppression) as suppressions`.execute(api.database.db);
  return rows[0];
}

describe("a test message", () => {
  test("goes to the address at once, marked as a test, with a sample contact's data", async () => {
    const answer = await call(toMe);
    expect(answer.status).toBe(200);
    expect(answer.text).toBe(
      JSON.stringify({
        status: "sent",
        subject: "[Test] Hi Ann",
        providerMessageId: answer.body.providerMessageId,
        warnings: [],
      }),
    );
    expect(answer.body.providerMessageId).toMatch(/^0100018f/);
    expect(sink.received.map(({ to, mail }) => [to, mail.subject, mail.from?.text])).toEqual([
      ["me@example.org", "[Test] Hi Ann", '"News" <news@example.com>'],
    ]);
  });

  test("has its layout, its partials and its MJML done", async () => {
    const text =
      "<mj-section><mj-column><mj-text>{{ word }} {{ contact.attributes.firstName }}</mj-text></mj-column></mj-section>";
    await api.ok("POST", "/templates", { name: "line", kind: "partial", format: "mjml", source: text });
    const layout = "<mjml><mj-body>{% block content %}{% endblock %}</mj-body></mjml>";
    await api.ok("POST", "/templates", { name: "page", kind: "layout", format: "mjml", source: layout });
    const html = '{% layout "page" %}{% block content %}{% render "line", word: "Hi" %}{% endblock %}';
    const answer = await call(toMe, await campaignOf({ format: "mjml", html }));
    expect(answer.status).toBe(200);
    const [received] = sink.received;
    expect(received?.mail.html).toContain(">Hi Ann</div>");
  });

  test("has the chosen contact's data, and still does not go to the contact", async () => {
    const contact = await api.ok("POST", "/contacts", {
      email: "bea@example.com",
      attributes: { firstName: "Bea" },
    });
    const answer = await call({ ...toMe, contactId: contact.id });
    expect(answer.body.subject).toBe("[Test] Hi Bea");
    expect(sink.received.map(({ to }) => to)).toEqual(["me@example.org"]);
  });

  test("is of the graph as it is edited, not as it runs", async () => {
    const id = await campaignOf({});
    await api.ok("POST", `/campaigns/${id}/activate`);
    await api.ok("PATCH", `/campaigns/${id}`, { nodes: [helloNode(credentialId, { subject: "Edited" })] });
    expect((await call(toMe, id)).body.subject).toBe("[Test] Edited");
  });

  test("comes with a warning when its HTML is larger than Gmail shows", async () => {
    const id = await campaignOf({ html: `<p>${"a".repeat(110_000)}</p>` });
    const answer = await call(toMe, id);
    expect(answer.body.warnings).toEqual([expect.stringContaining("Gmail")]);
  });

  test("leaves nothing behind: its hits count for nobody and its unsubscribe link for a test", async () => {
    const before = await rows();
    await call(toMe);
    const html = String(sink.received[0]?.mail.html);
    const token = /pixel\.gif\?t=([\w.-]+)/.exec(html)?.[1] ?? "";
    const claims = TEST_TOKENS.verify(token);
    if (claims === null) throw new Error("the email has no pixel");
    const { customerId, runId, messageId } = claims;
    const hit = { agent: "human", agentRule: "browser" } as const;
    await append(
      api.database.db,
      newEvent({
        id: newId(),
        type: "email_opened",
        at: new Date(),
        customerId,
        campaignId,
        runId,
        messageId,
        ...hit,
      }),
    );
    await projectAll(api.database.db);
    const asked = {
      eventId: newId(),
      customerId,
      messageId,
      at: new Date(),
      userAgent: null,
      ip: null,
      via: "link",
      ...hit,
    } as const;
    expect(await unsubscribe(api.database.db, asked)).toBe("unknown_message");
    expect(await rows()).toEqual(before);
  });
});

describe("a test message is refused with the field and the reason", () => {
  test.each([
    ["an unknown node", { nodeId: "nobody", to: "me@example.org" }, "nodeId"],
    ["a node that is no message", { nodeId: "end", to: "me@example.org" }, "nodeId"],
    ["no address", { nodeId: "hello" }, "to"],
    ["two addresses", { nodeId: "hello", to: "a@example.com, b@example.com" }, "to"],
    ["a header in the address", { nodeId: "hello", to: "a@example.com\r\nBcc: b@example.com" }, "to"],
    ["an unknown contact", { ...toMe, contactId: newId() }, "contactId"],
  ])("%s", async (_, body, field) => {
    const answer = await call(body);
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
    expect(sink.received).toEqual([]);
  });

  test("when a variable is missing", async () => {
    const id = await campaignOf({ subject: "Hi {{ contact.attributes.shoeSize }}" });
    const answer = await call(toMe, id);
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([422, "nodes.0.subject"]);
    expect(answer.body.errors[0]?.reason).toContain("shoeSize is not set");
  });

  test("when the contact's data would begin a header", async () => {
    const contact = await api.ok("POST", "/contacts", {
      email: "eve@example.com",
      attributes: { firstName: "Eve\r\nBcc: all@example.com" },
    });
    const answer = await call({ ...toMe, contactId: contact.id });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([422, "nodes.0.subject"]);
    expect(sink.received).toEqual([]);
  });

  test("when the address is suppressed", async () => {
    await api.ok("POST", "/suppressions", { email: "gone@example.org", reason: "unsubscribe" });
    const answer = await call({ nodeId: "hello", to: "Gone@example.org" });
    expect([answer.status, answer.body.errors]).toEqual([
      422,
      [{ field: "to", reason: "is suppressed: unsubscribe" }],
    ]);
    expect(sink.received).toEqual([]);
  });

  test("when its credential has been deleted", async () => {
    const gone = await api.ok("POST", "/credentials", smtpCredential());
    const id = (await api.ok("POST", "/campaigns", helloCampaign(gone.id))).id;
    await api.ok("DELETE", `/credentials/${gone.id}`);
    const answer = await call(toMe, id);
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([422, "nodes.0.credentialId"]);
  });

  test.each<[string, "connect" | "rcpt" | "data", SmtpFault, string, string]>([
    ["refuses the recipient", "rcpt", { reply: "550 5.1.1 No such user" }, "to", "No such user"],
    ["asks to try again", "rcpt", { reply: "450 4.2.0 Greylisted" }, "to", "Greylisted"],
    ["does not want us", "connect", { reply: "554 5.7.1 Not you" }, "nodes.0.credentialId", "Not you"],
    ["cuts the connection after the content", "data", "drop", "to", "may have arrived"],
    ["says nothing", "data", "hang", "nodes.0.credentialId", "did not answer within 3 s"],
  ])("when the server %s", async (_, step, fault, field, reason) => {
    sink.script(({ at }) => (at === step ? fault : null));
    const answer = await call(toMe);
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([422, field]);
    expect(answer.body.errors[0]?.reason).toContain(reason);
  });
});

test("a test message with an Idempotency-Key is sent once", async () => {
  const headers = { "Idempotency-Key": newId() };
  const path = `/api/v1/campaigns/${campaignId}/test-send`;
  const first = await api.call("POST", path, { body: toMe, headers });
  const second = await api.call("POST", path, { body: toMe, headers });
  expect(second.text).toBe(first.text);
  expect(sink.received).toHaveLength(1);
});
