import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  type CampaignApi,
  createCampaignApi,
  helloNode,
  smtpCredential,
  TEST_TOKENS,
} from "../../test/support/campaign-api.ts";
import { listRuns, projectAll } from "../../test/support/campaigns.ts";
import { createEdge, reject, type TestEdge } from "../../test/support/tracking-edge.ts";
import { newId } from "../events/id.ts";
import { decodeClickUrl } from "../tracking/links.ts";
import { nodeClaim, type TokenClaims, urlDigest } from "../tracking/token.ts";
import { viewMessage } from "./view.ts";

const HTML = `{% render "greeting" %}<a href="https://example.com/buy">Buy</a> <a href="{{ viewInBrowserUrl }}">Browser</a>
  <a href="{{ preferencesUrl }}">Topics</a>`;

let api: CampaignApi;
let edge: TestEdge;
let credentialId: string;
let greetingId: string;
beforeAll(async () => {
  api = await createCampaignApi();
  const deps = { db: api.database.db, tokens: TEST_TOKENS, publicUrl: "https://edgr.example.com" };
  edge = createEdge({ tokens: TEST_TOKENS, view: (claims) => viewMessage(deps, claims) });
  credentialId = (await api.ok("POST", "/credentials", smtpCredential())).id;
  const greeting = { name: "greeting", kind: "partial", source: "<p>Hi {{ contact.attributes.name }}</p>" };
  greetingId = (await api.ok("POST", "/templates", greeting)).id;
});
afterAll(() => api.close());

let contactId: string;
let campaignId: string;
let claims: TokenClaims;
beforeEach(async () => {
  const contact = { email: `${newId()}@example.com`, attributes: { name: "Ann & Bob" } };
  contactId = (await api.ok("POST", "/contacts", contact)).id;
  const nodes = [helloNode(credentialId, { html: HTML }), { id: "end", type: "exit" }];
  const edges = [{ id: "e1", from: "hello", to: "end", firesWhen: "sent" }];
  campaignId = (await api.ok("POST", "/campaigns", { name: "Autumn", nodes, edges })).id;
  await api.ok("POST", `/campaigns/${campaignId}/activate`);
  await api.ok("POST", `/campaigns/${campaignId}/enroll`, { contactIds: [contactId] });
  await projectAll(api.database.db);
  const [run] = await listRuns(api.database.db, campaignId);
  if (run?.messageId == null) throw new Error("nothing was queued");
  claims = {
    customerId: api.customer.id,
    campaignId,
    node: nodeClaim("hello"),
    runId: run.id,
    messageId: run.messageId,
    expiresAt: 1_900_000_000,
    urlDigest: null,
  };
});

const view = (changes: Partial<TokenClaims> = {}) =>
  edge.request(`/api/view?t=${TEST_TOKENS.sign({ ...claims, ...changes })}`);

test("a message is shown as it was sent, with its tracked links and without the pixel", async () => {
  const response = await view();
  const html = await response.text();
  expect(response.status).toBe(200);
  expect(html).toContain("<p>Hi Ann &amp; Bob</p>");
  expect(html).not.toContain("pixel.gif");
  const [, token = "", url = ""] = /click\?t=([\w.-]+)&amp;url=([\w-]+)/.exec(html) ?? [];
  expect(decodeClickUrl(url)).toBe("https://example.com/buy");
  expect(TEST_TOKENS.verify(token)).toEqual({ ...claims, urlDigest: urlDigest("https://example.com/buy") });
  // One token opens all that a recipient can do, and these links are not tracked.
  const own = TEST_TOKENS.sign(claims);
  expect(html).toContain(`href="https://edgr.example.com/api/view?t=${own}"`);
  expect(html).toContain(`href="https://edgr.example.com/api/preferences?t=${own}"`);
  expect(html).toContain(`href="https://edgr.example.com/api/tracking/unsubscribe?t=${own}"`);
});

test("nothing in it may run, and nobody keeps, indexes or frames it", async () => {
  const { headers } = await view();
  const policy = headers.get("Content-Security-Policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toMatch(/script-src|allow-scripts|allow-same-origin|allow-forms/);
  expect(policy).toMatch(/(?:^|; )sandbox /);
  expect(headers.get("X-Robots-Tag")).toBe("noindex");
  expect(headers.get("Cache-Control")).toBe("no-store");
  expect(headers.get("Referrer-Policy")).toBe("no-referrer");
});

test("looking at it records nothing", async () => {
  const count = async () => (await sql`select id from event_log`.execute(api.database.db)).rows.length;
  const before = await count();
  await view();
  expect([await count(), edge.appended]).toEqual([before, []]);
});

test("it says what its version says, whatever has been edited and activated since", async () => {
  await api.ok("PATCH", `/templates/${greetingId}`, { source: "<p>Bye {{ contact.attributes.name }}</p>" });
  await api.ok("POST", `/campaigns/${campaignId}/activate`);
  expect(await (await view()).text()).toContain("<p>Hi Ann");
  await api.ok("PATCH", `/templates/${greetingId}`, { source: "<p>Hi {{ contact.attributes.name }}</p>" });
});

test("its contact is the one of today", async () => {
  await api.ok("PATCH", `/contacts/${contactId}`, { attributes: { name: "Eve" } });
  expect(await (await view()).text()).toContain("<p>Hi Eve</p>");
});

test("an expired token shows it, with links that have expired as well", async () => {
  const html = await (await view({ expiresAt: 1_700_000_000 })).text();
  const [, token = ""] = /click\?t=([\w.-]+)/.exec(html) ?? [];
  expect(TEST_TOKENS.verify(token)?.expiresAt).toBe(1_700_000_000);
});

describe("an honest page stands where a message can't be shown", () => {
  test("because its contact is deleted", async () => {
    await api.call("DELETE", `/api/v1/contacts/${contactId}`);
    const response = await view();
    const html = await response.text();
    expect([response.status, html]).toEqual([410, expect.stringContaining("have been deleted")]);
    expect(html).not.toContain("Ann");
  });

  test("because an attribute it needs is gone", async () => {
    await api.ok("PATCH", `/contacts/${contactId}`, { attributes: { name: null } });
    const response = await view();
    expect([response.status, await response.text()]).toEqual([404, expect.stringContaining("any more")]);
  });

  test("because its campaign is deleted", async () => {
    await api.ok("POST", `/campaigns/${campaignId}/pause`);
    await api.call("DELETE", `/api/v1/campaigns/${campaignId}`);
    expect((await view()).status).toBe(404);
  });

  test("because it was a test message", async () => {
    expect(await (await view({ messageId: newId() })).text()).toContain("This was a test message");
  });

  test("because the database is away", async () => {
    const away = createEdge({ tokens: TEST_TOKENS, view: reject });
    const response = await away.request(`/api/view?t=${TEST_TOKENS.sign(claims)}`);
    expect([response.status, response.headers.get("Retry-After")]).toEqual([503, "120"]);
  });
});

test("a wrong token, a click's, or another customer's shows nothing", async () => {
  const good = TEST_TOKENS.sign(claims);
  const wrong = [
    "/api/view",
    "/api/view?t=",
    `/api/view?t=${good.slice(0, -1)}`,
    `/api/view?t=${good}&t=${good}`,
    `/api/view?t=${TEST_TOKENS.sign({ ...claims, urlDigest: urlDigest("https://example.com/buy") })}`,
  ];
  for (const path of wrong) expect((await edge.request(path)).status).toBe(400);
  expect(await (await view({ customerId: newId() })).text()).not.toContain("Ann");
});
