import { describe, expect, test } from "bun:test";
import { newId } from "../events/id.ts";
import { decodeClickUrl } from "../tracking/links.ts";
import { createTokens, type Tokens, urlDigest } from "../tracking/token.ts";
import { type ComposeContext, compileEmail, composeEmail, type EmailNode } from "./compose.ts";

const NOW = Date.UTC(2026, 4, 5);
const PUBLIC = "https://edgr.example.com";
const tokens = createTokens([{ kid: "k1", secret: Buffer.alloc(32, 1), retired: false }]);

const node: EmailNode = {
  fromEmail: "news@example.com",
  fromName: "News",
  replyTo: "reply@example.com",
  subject: "Hi {{ contact.attributes.firstName }}",
  html: '<body><p>Hi {{ contact.attributes.firstName }}</p><a href="https://a.example/?a=1&amp;b=2">Read</a></body>',
  text: null,
  unsubscribeLink: true,
  trackOpens: true,
  trackClicks: true,
};

const context: ComposeContext = {
  ids: { customerId: newId(), campaignId: newId(), nodeId: "hello", runId: newId(), messageId: newId() },
  contact: { email: "ann@example.com", attributes: { firstName: "Ann" }, tags: ["vip"] },
  campaignName: "Autumn",
  publicUrl: PUBLIC,
  postalAddress: "EDGR <Ltd>\n1 Main Street",
  configurationSet: null,
  replyAddress: null,
  tokens,
  now: NOW,
};

function outcome(changes: Partial<EmailNode>, of: Partial<ComposeContext> = {}) {
  const compiled = compileEmail({ ...node, ...changes });
  return compiled.ok ? composeEmail(compiled.email, { ...context, ...of }) : compiled;
}

/** The composed email; fails where there is none. */
function compose(changes: Partial<EmailNode> = {}, of: Partial<ComposeContext> = {}) {
  const composed = outcome(changes, of);
  if (!composed.ok) throw new Error(`${composed.field}: ${composed.reason}`);
  return { ...composed.email, warnings: composed.warnings };
}

function withName(firstName: string): Partial<ComposeContext> {
  return { contact: { ...context.contact, attributes: { firstName } } };
}

/** The tracking links in some text: path, verified claims and, of clicks, the destination. */
function trackingLinks(text: string) {
  const found = text.matchAll(
    /https:\/\/edgr\.example\.com\/api\/tracking\/([\w.]+)\?t=([\w.-]+)(?:&amp;url=([\w-]+))?/g,
  );
  return [...found].map(([, path, token = "", url]) => ({
    path,
    claims: tokens.verify(token),
    url: url === undefined ? null : decodeClickUrl(url),
  }));
}

test("an email is personalised, addressed and named", () => {
  const email = compose();
  expect(email).toMatchObject({
    from: { name: "News", address: "news@example.com" },
    to: "ann@example.com",
    replyTo: "reply@example.com",
    subject: "Hi Ann",
    warnings: [],
  });
  expect(email.html).toContain("<p>Hi Ann</p>");
  expect(email.messageId).toMatch(/^<[\w-]{22}@example\.com>$/);
});

test("the same message is composed the same way again", () => {
  expect(compose()).toEqual(compose());
});

test("attributes are escaped in HTML and as they are in subject and text", () => {
  const email = compose({ text: "Hi {{ contact.attributes.firstName }}" }, withName("A & <B>"));
  expect(email.html).toContain("<p>Hi A &amp; &lt;B&gt;</p>");
  expect(email.subject).toBe("Hi A & <B>");
  expect(email.text).toStartWith("Hi A & <B>\n");
});

describe("tracking", () => {
  test("link, unsubscribe link and pixel carry tokens of this message that live 400 days", () => {
    const { html } = compose();
    const { nodeId: _, ...ids } = context.ids;
    const claims = { ...ids, node: "hello", expiresAt: NOW / 1000 + 400 * 86_400, urlDigest: null };
    const url = "https://a.example/?a=1&b=2";
    expect(trackingLinks(html)).toEqual([
      { path: "click", claims: { ...claims, urlDigest: urlDigest(url) }, url },
      { path: "unsubscribe", claims, url: null },
      { path: "pixel.gif", claims, url: null },
    ]);
    expect(html).toEndWith("></body>");
  });

  test("every link has a token of its own, and one that is there twice has one", () => {
    const signed: (string | null)[] = [];
    const counting: Tokens = {
      ...tokens,
      sign(claims) {
        signed.push(claims.urlDigest);
        return tokens.sign(claims);
      },
    };
    const html =
      '<a href="https://a.example">1</a><a href="https://b.example">2</a><a href="https://a.example">3</a>';
    const [first, second, third] = trackingLinks(compose({ html }, { tokens: counting }).html);
    expect(first?.claims?.urlDigest).not.toBe(second?.claims?.urlDigest);
    expect(third).toEqual(first);
    expect(signed).toEqual([null, urlDigest("https://a.example"), urlDigest("https://b.example")]);
  });

  test("clicks that are not tracked keep their links", () => {
    const { html } = compose({ trackClicks: false });
    expect(html).toContain('<a href="https://a.example/?a=1&amp;b=2">');
    expect(trackingLinks(html).map(({ path }) => path)).toEqual(["unsubscribe", "pixel.gif"]);
  });

  test("opens that are not tracked get no pixel", () => {
    expect(trackingLinks(compose({ trackOpens: false }).html).map(({ path }) => path)).toEqual([
      "click",
      "unsubscribe",
    ]);
  });
});

describe("footer", () => {
  test("it has the unsubscribe link and the postal address, in HTML and text", () => {
    const { html, text } = compose();
    expect(html).toMatch(/>Unsubscribe<\/a><br>EDGR &lt;Ltd&gt;<br>1 Main Street<\/div><img/);
    expect(text).toMatch(/\n-- \nUnsubscribe: https:\S+\nEDGR <Ltd>\n1 Main Street\n$/);
  });

  test("a template with an unsubscribe link of its own gets no second one", () => {
    const { html, text } = compose({
      html: '<body><a href="{{ unsubscribeUrl }}">Leave</a></body>',
      text: "Leave: {{ unsubscribeUrl }}",
    });
    expect(trackingLinks(html).map(({ path }) => path)).toEqual(["unsubscribe", "pixel.gif"]);
    expect(html).toContain("EDGR &lt;Ltd&gt;<br>1 Main Street</div>");
    expect(trackingLinks(text)).toHaveLength(1);
    expect(text).toEndWith("\n-- \nEDGR <Ltd>\n1 Main Street\n");
  });

  test("an unsubscribe link that nobody sees does not count", () => {
    const { html } = compose({ html: '<body><!-- <a href="{{ unsubscribeUrl }}">Leave</a> --></body>' });
    expect(html).toContain(">Unsubscribe</a>");
  });

  test("without unsubscribeLink there is none, but the headers are there all the same", () => {
    const { html, text, headers } = compose({ unsubscribeLink: false });
    expect(trackingLinks(html).map(({ path }) => path)).toEqual(["click", "pixel.gif"]);
    expect(html).not.toContain("Main Street");
    expect(text).toBe("Hi Ann\n\nRead (https://a.example/?a=1&b=2)");
    expect(headers["List-Unsubscribe-Post"]).toBe("List-Unsubscribe=One-Click");
    expect(trackingLinks(headers["List-Unsubscribe"] ?? "")).toHaveLength(1);
  });

  test("without a postal address there is just the link", () => {
    expect(compose({}, { postalAddress: null }).text).toMatch(/\n-- \nUnsubscribe: https:\S+\n$/);
  });
});

test("the text part is made from the untracked HTML and keeps its links", () => {
  expect(compose().text).toStartWith("Hi Ann\n\nRead (https://a.example/?a=1&b=2)\n\n-- \n");
  const own = compose({ text: "https://a.example {{ campaign.name }}" });
  expect(own.text).toStartWith("https://a.example Autumn\n\n-- \n");
});

test("SES headers are there where a configuration set is, under a name SES would take", () => {
  expect(compose().headers).not.toHaveProperty("X-SES-CONFIGURATION-SET");
  expect(compose({}, { configurationSet: "edgr" }).headers).toHaveProperty("X-SES-CONFIGURATION-SET", "edgr");
  expect(outcome({}, { configurationSet: "a\r\nBcc: eve@example.com" })).toMatchObject({
    field: "configurationSet",
  });
});

test("no header has the contact's address or name in it", () => {
  const contact = {
    ...context.contact,
    email: "annabella@example.org",
    attributes: { firstName: "Annabella" },
  };
  const { headers } = compose({}, { contact, configurationSet: "edgr" });
  expect(JSON.stringify(headers)).not.toMatch(/annabella|example\.org/i);
});

test("HTML that Gmail would cut off is sent with a warning", () => {
  expect(compose({ html: "x".repeat(100_001) }).warnings).toEqual([
    "The HTML is 101 kB. Gmail cuts off at about 102 kB, and with it footer and open pixel.",
  ]);
  expect(compose({ html: "é".repeat(50_001) }).warnings).toHaveLength(1);
  expect(compose({ html: "x".repeat(97_000) }).warnings).toEqual([]);
});

describe("what cannot be sent is refused with its field", () => {
  test.each<[Partial<EmailNode>, string, string]>([
    [{ fromEmail: "news" }, "fromEmail", "it is not an email address"],
    [{ fromEmail: "news@example.com\r\nBcc: eve@example.com" }, "fromEmail", "it contains a line break"],
    [{ replyTo: "Ann <ann@example.com>" }, "replyTo", "it is not an email address"],
    [
      { fromName: "{{ x }}" },
      "fromName",
      "x is not available, line 1; a template knows contact, campaign.name, unsubscribeUrl, preferencesUrl and viewInBrowserUrl",
    ],
    [{ fromName: "News\nBcc: eve@example.com" }, "fromName", "it contains a line break"],
    [{ subject: "{% if %}" }, "subject", 'invalid value expression: "", line 1'],
    [{ subject: "Hi\0" }, "subject", "it contains a NUL character"],
    [{ subject: "x".repeat(999) }, "subject", "it is longer than 998 characters"],
    [{ html: "{{ contact" }, "html", 'output "{{ contact" not closed, line 1'],
    [{ html: "<p>\0</p>" }, "html", "it contains a NUL character"],
    [{ html: "<b>".repeat(1001) }, "html", "it leaves more than 1000 elements open"],
    [{ text: "{% include 'x' %}" }, "text", 'tag "include" not found, line 1'],
    [
      { text: "\n{{ contact.attributes.a }}" },
      "text",
      'contact.attributes.a is not set, line 2; give it a default: {{ contact.attributes.a | default: "…" }}',
    ],
  ])("%j", (changes, field, reason) => {
    expect(outcome(changes)).toEqual({ ok: false, field, reason });
  });

  test.each(["Ann\r\nBcc: eve@example.com", "Ann\n\n<script>", "Ann\rX: y"])(
    "an attribute cannot bring in a header: %j",
    (name) => {
      expect(outcome({}, withName(name))).toEqual({
        ok: false,
        field: "subject",
        reason: "it contains a line break",
      });
      expect(
        outcome({ subject: "Hi", fromName: "{{ contact.attributes.firstName }}" }, withName(name)),
      ).toEqual({
        ok: false,
        field: "fromName",
        reason: "it contains a line break",
      });
    },
  );

  test.each(["", "ann", "ann@example.com\r\nBcc: eve@example.com", "ann@example.com, eve@example.com"])(
    "nobody is sent to at %j",
    (email) => {
      expect(outcome({}, { contact: { ...context.contact, email } })).toMatchObject({
        ok: false,
        field: "contact.email",
      });
    },
  );
});

test("half a character in an attribute or a link breaks nothing", () => {
  const html = '<a href="https://a.example/{{ contact.attributes.firstName }}">x</a>';
  const email = compose({ html }, withName("\ud83d"));
  expect(email.subject).toBe("Hi \ufffd");
  const [link] = trackingLinks(email.html);
  expect(link?.url).toBe("https://a.example/\ufffd");
  expect(link?.claims?.urlDigest).toBe(urlDigest("https://a.example/\ufffd"));
});

test("an attribute cannot break out of the HTML it is printed into", () => {
  const html = '<body><a title="{{ contact.attributes.firstName }}" href="https://a.example">x</a></body>';
  const email = compose({ html }, withName('"></a></body><!--'));
  expect(email.html).toContain('title="&#34;&gt;&lt;/a&gt;&lt;/body&gt;&lt;!--"');
  expect(trackingLinks(email.html).map(({ path }) => path)).toEqual(["click", "unsubscribe", "pixel.gif"]);
});
