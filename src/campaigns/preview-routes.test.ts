import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import {
  type CampaignApi,
  createCampaignApi,
  helloNode,
  smtpCredential,
  TEST_TOKENS,
} from "../../test/support/campaign-api.ts";
import { newId } from "../events/id.ts";

let api: CampaignApi;
let credentialId: string;
beforeAll(async () => {
  api = await createCampaignApi();
  credentialId = (await api.ok("POST", "/credentials", smtpCredential())).id;
  const footer = { name: "footer", kind: "partial", source: "<p>{{ campaign.name }} {{ word }}</p>" };
  await api.ok("POST", "/templates", footer);
});
afterAll(() => api.close());

const HTML = `<html lang="en"><head><title>News</title></head><body><div style="display:none">Soon</div>
<p>Hi {{ contact.attributes.firstName }}, have a <a href="https://example.com/buy">look</a> at it.</p>
{% render "footer", word: "today" %}</body></html>`;

async function campaignOf(node: object): Promise<string> {
  const nodes = [helloNode(credentialId, { html: HTML, ...node }), { id: "end", type: "exit" }];
  const edges = [{ id: "e1", from: "hello", to: "end", firesWhen: "always" }];
  return (await api.ok("POST", "/campaigns", { name: "Autumn", nodes, edges })).id;
}

async function rows(): Promise<unknown> {
  const { rows } = await sql`
    select (select count(*) from message) as messages, (select count(*) from event_log) as events,
      (select count(*) from enrollment) as enrollments`.execute(api.database.db);
  return rows[0];
}

describe("a preview", () => {
  let contactId: string;
  beforeEach(async () => {
    const contact = { email: `${newId()}@example.com`, attributes: { firstName: "Zoë & Co" } };
    contactId = (await api.ok("POST", "/contacts", contact)).id;
  });

  test("shows the message of a chosen contact with links untracked, without pixel, and records nothing", async () => {
    const id = await campaignOf({});
    const before = await rows();
    const preview = await api.ok("POST", `/campaigns/${id}/preview`, { nodeId: "hello", contactId });
    expect(preview).toMatchObject({ subject: "Hi Zoë & Co", warnings: [] });
    expect(preview.html).toContain("<p>Hi Zoë &amp; Co, have a");
    expect(preview.html).toContain("<p>Autumn today</p>");
    expect(preview.html).toContain('href="https://example.com/buy"');
    expect(preview.html).not.toMatch(/pixel\.gif|tracking\/click/);
    expect(preview.text).toContain("Hi Zoë & Co");
    expect(preview.sizeBytes).toBe(Buffer.byteLength(String(preview.html)));
    expect(await rows()).toEqual(before);
  });

  test("has an unsubscribe link that belongs to no message", async () => {
    const id = await campaignOf({});
    const { html } = await api.ok("POST", `/campaigns/${id}/preview`, { nodeId: "hello", contactId });
    const [, token = ""] = /unsubscribe\?t=([\w.-]+)/.exec(String(html)) ?? [];
    const { messageId = "" } = TEST_TOKENS.verify(token) ?? {};
    const found = await sql`select from message where id = ${messageId}`.execute(api.database.db);
    expect([messageId.length, found.rows]).toEqual([36, []]);
  });

  test("without a contact takes a sample's data", async () => {
    const id = await campaignOf({});
    expect(await api.ok("POST", `/campaigns/${id}/preview`, { nodeId: "hello" })).toMatchObject({
      subject: "Hi Ann",
    });
  });

  test("of MJML is HTML", async () => {
    const html =
      "<mjml><mj-body><mj-section><mj-column><mj-text>Hi {{ contact.attributes.firstName }}</mj-text></mj-column></mj-section></mj-body></mjml>";
    const id = await campaignOf({ format: "mjml", html });
    const preview = await api.ok("POST", `/campaigns/${id}/preview`, { nodeId: "hello", contactId });
    expect(preview.html).toContain(">Hi Zoë &amp; Co</div>");
    expect(preview.html).not.toMatch(/<mj|fonts\.googleapis/);
  });

  test("that can't be made says why, by node and field", async () => {
    const id = await campaignOf({ html: "<p>{{ contact.attributes.plan }}</p>" });
    const answer = await api.call("POST", `/api/v1/campaigns/${id}/preview`, { body: { nodeId: "hello" } });
    expect(answer.status).toBe(422);
    expect(answer.body.errors).toEqual([
      {
        field: "nodes.0.html",
        reason: expect.stringContaining("contact.attributes.plan is not set, line 1"),
      },
    ]);
  });

  test.each([
    [{ nodeId: "end" }, "nodeId", "is a node of type exit, not a message"],
    [{ nodeId: "gone" }, "nodeId", "is no node of this campaign"],
    [{ nodeId: "hello", contactId: newId() }, "contactId", "is no contact"],
  ])("of %j is refused", async (body, field, reason) => {
    const answer = await api.call("POST", `/api/v1/campaigns/${await campaignOf({})}/preview`, { body });
    expect([answer.status, answer.body.errors]).toEqual([400, [{ field, reason }]]);
  });
});

describe("a preview of what is not saved", () => {
  test("takes data of one's own, and templates", async () => {
    const contact = { attributes: { firstName: "Max" } };
    const preview = await api.ok("POST", "/templates/preview", {
      html: HTML,
      subject: "For {{ contact.email }}",
      contact,
    });
    expect(preview).toMatchObject({ subject: "For ann@example.com", warnings: [] });
    expect(preview.html).toContain("Hi Max");
    expect(preview.html).toContain("<p>Campaign today</p>");
  });

  test("warns of what could be better", async () => {
    const { warnings } = await api.ok("POST", "/templates/preview", {
      html: '<p>Hello there, good morning</p>\n<img src="/a.png">',
      subject: "BUY THIS NOW",
      unsubscribeLink: false,
    });
    expect(warnings).toEqual([
      expect.objectContaining({ rule: "subject-capitals", severity: "warning", line: null }),
      expect.objectContaining({ rule: "alt-missing", severity: "warning", line: 2 }),
      expect.objectContaining({ rule: "link-relative", severity: "error", line: 2 }),
      expect.objectContaining({ rule: "unsubscribe-missing", severity: "warning" }),
      expect.objectContaining({ rule: "title-missing" }),
      expect.objectContaining({ rule: "lang-missing" }),
      expect.objectContaining({ rule: "preheader-missing" }),
    ]);
  });

  test.each([
    [{ html: "{{ nope }}" }, 422, "html", "nope is not available, line 1"],
    [{ html: "<p/>", format: "mjml" }, 422, "html", "Malformed MJML"],
    [
      { html: "x", subject: "{{ contact.attributes.gone }}" },
      422,
      "subject",
      "contact.attributes.gone is not set",
    ],
    [{ html: "" }, 400, "html", "must not be empty"],
    [
      { html: "x", contactId: newId(), contact: {} },
      400,
      "contact",
      "can't be given together with contactId",
    ],
    [{ html: "x", contactId: newId() }, 400, "contactId", "is no contact"],
  ])("%j is refused", async (body, status, field, reason) => {
    const answer = await api.call("POST", "/api/v1/templates/preview", { body });
    const [first] = answer.body.errors;
    expect([answer.status, first?.field, first?.reason]).toEqual([
      status,
      field,
      expect.stringContaining(reason),
    ]);
  });
});

describe("a campaign's lint", () => {
  test("names the node and the line", async () => {
    const html =
      '<html lang="en">\n<p>Hi {% if contact.tags %}you{% endif %} there, good morning</p>\n<a href="">x</a>\n</html>';
    const id = await campaignOf({ html });
    expect((await api.ok("GET", `/campaigns/${id}/lint`)).items).toEqual([
      expect.objectContaining({ nodeId: "hello", rule: "link-empty", severity: "error", line: 3 }),
      expect.objectContaining({ nodeId: "hello", rule: "title-missing", line: null }),
      expect.objectContaining({ nodeId: "hello", rule: "preheader-missing", line: null }),
    ]);
  });

  test("looks through templates, whose lines are not the message's", async () => {
    await api.ok("POST", "/templates", {
      name: "pic",
      kind: "partial",
      source: '<img src="https://example.com/a.png">',
    });
    const id = await campaignOf({ html: HTML.replace("<p>", '{% render "pic" %}<p>') });
    expect((await api.ok("GET", `/campaigns/${id}/lint`)).items).toEqual([
      expect.objectContaining({ rule: "alt-missing", line: null }),
    ]);
  });

  test("asks for an unsubscribe link only where none is added", async () => {
    const without = await campaignOf({ unsubscribeLink: false });
    expect((await api.ok("GET", `/campaigns/${without}/lint`)).items).toEqual([
      expect.objectContaining({ rule: "unsubscribe-missing" }),
    ]);
    const html = HTML.replace("</body>", '<a href="{{ unsubscribeUrl }}">Bye</a></body>');
    const own = await campaignOf({ unsubscribeLink: false, html });
    expect((await api.ok("GET", `/campaigns/${own}/lint`)).items).toEqual([]);
  });
});
