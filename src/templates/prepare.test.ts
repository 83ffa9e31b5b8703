import { describe, expect, test } from "bun:test";
import { compileTemplate, type TemplateVariables } from "../messages/template.ts";
import type { Library, Source } from "./expand.ts";
import { prepareHtml, templateNames } from "./prepare.ts";

const variables: TemplateVariables = {
  contact: { email: "ann@example.com", attributes: { name: "Ann", items: ["a", "b"] }, tags: ["vip"] },
  campaign: { name: "Autumn" },
  unsubscribeUrl: "https://edgr.example.com/u",
  preferencesUrl: "https://edgr.example.com/p",
  viewInBrowserUrl: "https://edgr.example.com/v",
};

const library: Library = new Map(
  [
    {
      name: "base",
      kind: "layout",
      format: "mjml",
      source:
        '<mjml lang="en"><mj-head><mj-title>{{ title }}</mj-title></mj-head><mj-body>\n{% block content %}{% endblock %}\n</mj-body></mjml>',
    },
    {
      name: "row",
      kind: "partial",
      format: "mjml",
      source: "<mj-section><mj-column><mj-text>{{ who }}</mj-text></mj-column></mj-section>",
    },
    { name: "bad", kind: "partial", format: "mjml", source: "\n<mj-nothing>x</mj-nothing>" },
    { name: "old", kind: "partial", format: "html", source: "<table><tr><td>{{ who }}</td></tr></table>" },
  ].map((source) => [source.name, source as Source]),
);

async function prepare(html: string, format: "mjml" | "html" = "mjml") {
  const [prepared] = await prepareHtml([{ format, html }], library);
  if (prepared === undefined) throw new Error("nothing came back");
  return prepared;
}

/** What the contact gets, without the blanks MJML puts in. */
async function render(mjml: string, of: TemplateVariables["contact"]["attributes"] = {}) {
  const prepared = await prepare(mjml);
  if (!prepared.ok) throw new Error(prepared.reason);
  const compiled = compileTemplate(prepared.html, "html");
  if (!compiled.ok) throw new Error(compiled.reason);
  const attributes = { ...variables.contact.attributes, ...of };
  const rendered = compiled.render({ ...variables, contact: { ...variables.contact, attributes } });
  if (!rendered.ok) throw new Error(rendered.reason);
  return rendered.text.replace(/\s+/g, " ");
}

const text = (content: string) =>
  `<mjml><mj-body><mj-section><mj-column><mj-text>${content}</mj-text></mj-column></mj-section></mj-body></mjml>`;

describe("MJML", () => {
  test("becomes HTML that is rendered per contact", async () => {
    const html = await render(text("Hi {{ contact.attributes.name }}"));
    expect(html).toStartWith("<!doctype html>");
    expect(html).toContain(">Hi Ann</div>");
  });

  test("a contact's data are never MJML, nor HTML", async () => {
    const name = '</mj-text><mj-button href="https://evil.example">x</mj-button>';
    const html = await render(text("{{ contact.attributes.name }}"), { name });
    expect(html).toContain("&lt;/mj-text&gt;&lt;mj-button href=&#34;https://evil.example&#34;&gt;");
    expect(html).not.toContain("<a");
  });

  test("keeps Liquid wherever it stands: in text, attributes, and around sections", async () => {
    const html = await render(`<mjml><mj-body>
      {% if contact.tags contains "vip" and 1 < 2 %}
      <mj-section><mj-column>{% for item in contact.attributes.items %}
        <mj-button href="{{ unsubscribeUrl | append: "#" | append: item }}">{{ item | upcase }}</mj-button>
      {% endfor %}</mj-column></mj-section>
      {% else %}<mj-section><mj-column><mj-text>nobody</mj-text></mj-column></mj-section>{% endif %}
    </mj-body></mjml>`);
    expect([...html.matchAll(/href="(https:\/\/edgr[^"]*)"/g)].map(([, href]) => href)).toEqual([
      "https://edgr.example.com/u#a",
      "https://edgr.example.com/u#b",
    ]);
    expect(html).not.toContain("nobody");
    expect(html).not.toMatch(/liquid\d|mj-raw/);
  });

  test("takes layouts and partials, of HTML too", async () => {
    const html = await render(`{% layout "base", title: "Hello" %}
      {% block content %}{% render "row", who: contact.email %}{% render "old", who: "raw" %}{% endblock %}`);
    expect(html).toContain("<title>Hello</title>");
    expect(html).toContain(">ann@example.com</div>");
    expect(html).toContain("<table><tr><td>raw</td></tr></table>");
  });

  test.each([
    [
      "<mjml><mj-body>\n<mj-foo/></mj-body></mjml>",
      "mj-foo: Element mj-foo doesn't exist or is not registered, line 2",
    ],
    ['\n<mjml><mj-body><mj-section colour="{{ x }}"/></mj-body></mjml>', "x is not available, line 2"],
    [text("\n\n{% nope %}"), 'tag "nope" not found, line 3'],
    [
      '<mjml><mj-body>\n\n<mj-section colour="red"></mj-section></mj-body></mjml>',
      "mj-section: Attribute colour is illegal, line 3",
    ],
    [
      '<mjml><mj-body>{% if\n contact.email %}\n{% endif %}{% render "bad" %}</mj-body></mjml>',
      'mj-nothing: Element mj-nothing doesn\'t exist or is not registered, line 2 of the template "bad"',
    ],
    [
      "<mjml>\n{{ contact.email }}<mj-body></mj-body></mjml>",
      "MJML has no place for {{ contact.email }}, line 2",
    ],
    [
      '<mjml><mj-body>\n<mj-include path="/etc/passwd"/></mj-body></mjml>',
      'mj-include: there are no files; use {% render "…" %}, line 2',
    ],
    ["<p>no MJML</p>", "Malformed MJML. Check that your structure is correct and enclosed in <mjml> tags."],
    [`<mjml><mj-body>${"<mj-section>".repeat(4000)}</mj-body></mjml>`, "it is nested too deeply"],
    [text("x".repeat(300_000)), "its MJML is longer than 300000 characters"],
  ])("%.60p is refused with its reason", async (mjml, reason) => {
    const prepared = await prepare(mjml);
    expect(prepared.ok ? "accepted" : prepared.reason).toStartWith(reason);
  });

  test("words that look like what stands for Liquid meanwhile stay words", async () => {
    expect(await render(text("liquid0x liquidq0x {{ contact.attributes.name }}"))).toContain(
      ">liquid0x liquidq0x Ann</div>",
    );
  });
});

test("several parts come back in their order, whatever they are", async () => {
  const parts = [
    { format: "mjml" as const, html: text("one") },
    { format: "html" as const, html: "<p>two</p>" },
    { format: "html" as const, html: '{% render "gone" %}' },
    { format: "mjml" as const, html: text("four") },
  ];
  const prepared = await prepareHtml(parts, library);
  const told = prepared.map((part) =>
    part.ok ? (/>(one|two|four)</.exec(part.html)?.[1] ?? "") : part.reason,
  );
  expect(told).toEqual(["one", "two", 'there is no template "gone", line 1', "four"]);
});

test("HTML without templates is what it was", async () => {
  const html = "<p>{{ contact.email }}</p>";
  expect(await prepare(html, "html")).toEqual({ ok: true, html });
});

test("a source names each template it uses once", () => {
  expect(
    templateNames('{% layout "a" %}{% block x %}{% render "b" %}{%- render "b" %}{% endblock %}'),
  ).toEqual(["a", "b"]);
  expect(templateNames("render layout {{ block }}")).toEqual([]);
});
