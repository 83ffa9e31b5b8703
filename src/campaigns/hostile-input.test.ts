import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  type CampaignApi,
  createCampaignApi,
  helloCampaign,
  helloNode,
  smtpCredential,
} from "../../test/support/campaign-api.ts";

const UNKNOWN = "01989c2a-7d3c-7cc3-98c4-dc0c0c07398f";
const CREDENTIAL = "{credential}";

let api: CampaignApi;
let credentialId: string;
let campaignId: string;
let before: string;

beforeAll(async () => {
  api = await createCampaignApi();
  credentialId = (await api.ok("POST", "/credentials", smtpCredential())).id;
  campaignId = (await api.ok("POST", "/campaigns", helloCampaign(credentialId))).id;
  await api.ok("POST", `/campaigns/${campaignId}/activate`);
  before = await contents();
});
afterAll(() => api.close());

/** Everything a request could have written. */
async function contents(): Promise<string> {
  const { rows } = await sql`
    select (select json_agg(c) from credential c) as credentials, (select json_agg(c) from campaign c) as campaigns,
      (select count(*) from campaign_node) as nodes, (select count(*) from enrollment) as enrollments,
      (select count(*) from message) as messages, (select count(*) from event_log) as events`.execute(
    api.database.db,
  );
  return JSON.stringify(rows);
}

const hello = (more: object) => ({ nodes: [helloNode(CREDENTIAL, more)], edges: [] });
const step = (more: object) => ({ nodes: [{ id: "a", ...more }], edges: [] });
const negated = (depth: number): object => (depth === 0 ? { tag: "vip" } : { not: negated(depth - 1) });
const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
const waits = (count: number) => Array.from({ length: count }, (_, n) => ({ id: `n${n}`, type: "exit" }));

const credentials: [name: string, body: object, field: string][] = [
  ["CRLF in a sender's name", { fromName: "News\r\nBcc: all@example.com" }, "fromName"],
  ["CRLF in a sender's address", { fromEmail: "a@example.com\r\nBcc: b@example.com" }, "fromEmail"],
  ["two reply addresses", { replyTo: "a@example.com, b@example.com" }, "replyTo"],
  ["CRLF in a host", { host: "localhost\r\nQUIT" }, "host"],
  ["an address as a host", { host: "smtp://localhost/" }, "host"],
  ["a NUL in a user's name", { username: "a\0b" }, "username"],
  ["a NUL in a password", { username: "a", password: "a\0b" }, "password"],
  ["half a surrogate pair in a name", { name: "\ud800" }, "name"],
  ["port 0", { port: 0 }, "port"],
  ["port 65536", { port: 65_536 }, "port"],
  ["a port as text", { port: "25" }, "port"],
  ["no rate at all", { rateLimitPerSecond: 0 }, "rateLimitPerSecond"],
  ["101 connections", { maxConnections: 101 }, "maxConnections"],
  ["a header in a configuration set", { ses: { configurationSet: "a\r\nX: y" } }, "ses.configurationSet"],
  ["an unknown field", { status: "disabled" }, "status"],
  ["an unknown field of SES", { ses: { admin: true } }, "ses.admin"],
  ["a megabyte as a password", { username: "a", password: "a".repeat(1_000_000) }, "password"],
];

test.each(credentials)("a credential with %s is refused, and the field named", async (_, more, field) => {
  for (const [method, path, body] of [
    ["POST", "/api/v1/credentials", smtpCredential(more)],
    ["PATCH", `/api/v1/credentials/${credentialId}`, more],
  ] as const) {
    const answer = await api.call(method, path, { body });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
    expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
  }
  expect(await contents()).toBe(before);
});

const campaigns: [name: string, body: object | string, field: string][] = [
  ["CRLF in a subject", hello({ subject: "Hi\r\nBcc: all@example.com" }), "nodes.0.subject"],
  [
    "CRLF in a sender's name",
    hello({ from: { email: "a@example.com", name: "A\r\nBcc: b@example.com" } }),
    "nodes.0.from.name",
  ],
  ["CRLF in a reply address", hello({ replyTo: "a@example.com\r\nBcc: b@example.com" }), "nodes.0.replyTo"],
  ["CRLF in its name", { ...hello({}), name: "a\r\nb" }, "name"],
  ["a NUL in its HTML", hello({ html: "a\0b" }), "nodes.0.html"],
  ["half a surrogate pair in its text", hello({ text: "\udfff" }), "nodes.0.text"],
  ["a template that reads files", hello({ html: "{% include '/etc/passwd' %}" }), "nodes.0.html"],
  ["a template that asks for the process", hello({ html: "{{ process.env }}" }), "nodes.0.html"],
  ["a template that is deep", hello({ html: "{% if a %}".repeat(50_000) }), "nodes.0.html"],
  [
    "a credential that is no id",
    hello({ credentialId: "'; drop table campaign; --" }),
    "nodes.0.credentialId",
  ],
  ["a node called __proto__.x", hello({ id: "__proto__.x" }), "nodes.0.id"],
  [
    "a prototype key",
    '{"name":"A","edges":[],"nodes":[{"id":"a","type":"exit","__proto__":{"x":1}}]}',
    "nodes.0.__proto__",
  ],
  ["an unknown field of a node", hello({ admin: true }), "nodes.0.admin"],
  ["201 nodes", { nodes: waits(201), edges: [] }, "nodes"],
  ["no node", { nodes: [], edges: [] }, "nodes"],
  ["nodes that are none", { nodes: [null], edges: [] }, "nodes.0"],
  ["an object as nodes", { nodes: { 0: {} }, edges: [] }, "nodes"],
  [
    "1,001 edges",
    {
      ...hello({}),
      edges: Array.from({ length: 1_001 }, (_, n) => ({
        id: `e${n}`,
        from: "a",
        to: "b",
        firesWhen: "sent",
      })),
    },
    "edges",
  ],
  [
    "an unknown trigger",
    { ...hello({}), edges: [{ id: "e", from: "hello", to: "hello", firesWhen: "never" }] },
    "edges.0.firesWhen",
  ],
  [
    "a link that runs a script",
    {
      ...hello({}),
      edges: [{ id: "e", from: "hello", to: "hello", firesWhen: "clicked", url: "javascript:alert(1)" }],
    },
    "edges.0.url",
  ],
  [
    "a wait of a million years",
    { nodes: [{ id: "a", type: "wait", duration: "P1000000Y" }], edges: [] },
    "nodes.0.duration",
  ],
  [
    "a wait until the year 12026",
    { nodes: [{ id: "a", type: "wait", until: "12026-01-01T09:00" }], edges: [] },
    "nodes.0.until",
  ],
  [
    "a wait for SQL",
    { nodes: [{ id: "a", type: "wait", at: { time: "now()" } }], edges: [] },
    "nodes.0.at.time",
  ],
  [
    "a condition of 12 levels",
    step({ type: "condition", if: negated(12) }),
    `nodes.0.if${".not".repeat(10)}`,
  ],
  [
    "a condition of 101 leaves",
    step({ type: "condition", if: { any: Array.from({ length: 101 }, () => ({ tag: "vip" })) } }),
    "nodes.0.if.any",
  ],
  ["a condition that is a program", step({ type: "condition", if: { eval: "1" } }), "nodes.0.if"],
  [
    "a condition on a node that is not there",
    step({ type: "condition", if: { node: "b", output: "status", is: "exists" } }),
    "nodes.0.if",
  ],
  [
    "an endless weight",
    step({
      type: "split",
      variants: [
        { id: "a", weight: 1e308 },
        { id: "b", weight: 1 },
      ],
    }),
    "nodes.0.variants.0.weight",
  ],
  ["an attribute that is an object", step({ type: "update-contact", set: { a: { b: 1 } } }), "nodes.0.set.a"],
  [
    "an attribute called constructor",
    step({ type: "update-contact", set: { constructor: 1 } }),
    "nodes.0.set.constructor",
  ],
  ["a tag with CRLF", step({ type: "update-contact", addTags: ["a\r\nb"] }), "nodes.0.addTags.0"],
  ["a webhook to a file", step({ type: "webhook", url: "file:///etc/passwd" }), "nodes.0.url"],
  ["a webhook with a password", step({ type: "webhook", url: "https://a:b@example.com/" }), "nodes.0.url"],
  [
    "a webhook that smuggles a header",
    step({ type: "webhook", url: "https://example.com/", headers: { "X-A": "b\r\nHost: evil" } }),
    "nodes.0.headers",
  ],
  [
    "a webhook that frames its own request",
    step({ type: "webhook", url: "https://example.com/", headers: { "Transfer-Encoding": "chunked" } }),
    "nodes.0.headers",
  ],
  [
    "a webhook whose body reads files",
    step({ type: "webhook", url: "https://example.com/", body: "{% include '/etc/passwd' %}" }),
    "nodes.0.body",
  ],
  [
    "a webhook that says it was opened",
    step({ type: "webhook", url: "https://example.com/", output: { opened: "a" } }),
    "nodes.0.output.opened",
  ],
  ["a million rounds", { ...hello({}), maxRounds: 1_000_000 }, "maxRounds"],
  ["a time zone that is a path", { ...hello({}), timeZone: "../../etc/passwd" }, "timeZone"],
  ["a time zone that is an offset", { ...hello({}), timeZone: "+01:00" }, "timeZone"],
  ["quiet hours that are SQL", { ...hello({}), quietHours: { from: "21:00", to: "now()" } }, "quietHours.to"],
  ["an unknown exit", { ...hello({}), exitOn: ["constructor"] }, "exitOn.0"],
  ["a topic that is not there", { ...hello({}), topicId: UNKNOWN }, "topicId"],
  ["a negative pause between enrollments", { ...hello({}), reenrollAfter: "-P1D" }, "reenrollAfter"],
  ["100,000 levels", `{"name":"A","edges":[],"nodes":${nested(100_000)}}`, `nodes${".0".repeat(31)}`],
];

test.each(campaigns)("a campaign with %s is refused, and the field named", async (_, given, field) => {
  const body =
    typeof given === "string"
      ? given
      : JSON.stringify({ name: "A", ...given }).replaceAll(CREDENTIAL, credentialId);
  for (const [method, path] of [
    ["POST", "/api/v1/campaigns"],
    ["PATCH", `/api/v1/campaigns/${campaignId}`],
  ] as const) {
    const answer = await api.call(method, path, { body });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
  }
  expect(await contents()).toBe(before);
});

const addresses: [method: string, path: string, field: string][] = [
  ["GET", "/credentials/1", "id"],
  ["DELETE", "/credentials/%00", "id"],
  ["GET", "/credentials?cursor=abc", "cursor"],
  ["GET", `/campaigns/${UNKNOWN.toUpperCase()}`, "id"],
  ["POST", "/campaigns/'%20or%20true--/activate", "id"],
  ["GET", "/campaigns?status=running", "status"],
  ["GET", "/campaigns?name=Welcome", "name"],
  ["GET", `/campaigns/${UNKNOWN}/analytics?hours=0x10`, "hours"],
  ["GET", `/campaigns/${UNKNOWN}/analytics?hours=1&hours=2`, "hours"],
  ["GET", `/campaigns/${UNKNOWN}/enrollments?status=lost`, "status"],
  ["GET", `/campaigns/${UNKNOWN}/enrollments?limit=201`, "limit"],
  ["GET", `/enrollments/${"a".repeat(10_000)}`, "id"],
  ["GET", `/contacts/${UNKNOWN}/activity?campaignId=1`, "campaignId"],
  ["GET", `/contacts/${UNKNOWN}/activity?type=email_*`, "type"],
  ["GET", "/messages?contactId=1", "contactId"],
  ["GET", "/messages?status=lost", "status"],
  ["GET", "/messages?subject=Hi", "subject"],
  ["POST", "/messages/1/retry", "id"],
];

test.each(addresses)("%s %s is refused, and the parameter named", async (method, path, field) => {
  const answer = await api.call(method, `/api/v1${path}`);
  expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
  expect(await contents()).toBe(before);
});
