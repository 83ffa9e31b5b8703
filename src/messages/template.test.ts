import { describe, expect, test } from "bun:test";
import { compileTemplate, type TemplateVariables } from "./template.ts";

const ann: TemplateVariables = {
  contact: {
    email: "ann@example.com",
    attributes: { firstName: "Ann & <Bob>", plan: null, address: { city: "Paris" }, items: ["a", "b"] },
    tags: ["vip"],
  },
  campaign: { name: "Autumn" },
  unsubscribeUrl: "https://edgr.example.com/u?t=TOKEN",
  preferencesUrl: "https://edgr.example.com/p?t=TOKEN",
  viewInBrowserUrl: "https://edgr.example.com/v?t=TOKEN",
};

/** What comes out for Ann, or why nothing does. */
function render(source: string, format: "html" | "text" = "text"): string {
  const template = compileTemplate(source, format);
  if (!template.ok) return `not compiled: ${template.reason}`;
  const rendered = template.render(ann);
  return rendered.ok ? rendered.text : rendered.reason;
}

describe("variables", () => {
  test.each([
    [
      "{{ contact.email }}, {{ campaign.name }}, {{ unsubscribeUrl }}",
      "ann@example.com, Autumn, https://edgr.example.com/u?t=TOKEN",
    ],
    ["{{ contact.attributes.address.city }} {{ contact.attributes['plan'] }}|", "Paris |"],
    ["{% for tag in contact.tags %}{{ forloop.index }} {{ tag }}{% endfor %}", "1 vip"],
    ["{{ contact.attributes.items | join: '+' }}", "a+b"],
    ["{{ '2026-05-05T23:30:00+02:00' | date: '%Y-%m-%d %H:%M' }}", "2026-05-05 21:30"],
  ])("%s is personalised", (source, expected) => {
    expect(render(source)).toBe(expected);
  });

  test("what is printed into HTML is escaped, into text it is not", () => {
    const source = "{{ contact.attributes.firstName }}";
    expect(render(source, "html")).toBe("Ann &amp; &lt;Bob&gt;");
    expect(render(source, "text")).toBe("Ann & <Bob>");
    expect(render("{{ contact.attributes.firstName | raw }}", "html")).toBe("Ann & <Bob>");
  });

  test.each([
    "{% echo contact.attributes.firstName %}",
    "{% cycle contact.attributes.firstName %}",
    "{% liquid echo contact.attributes.firstName %}",
  ])("%s is escaped too", (source) => {
    expect(render(source, "html")).toBe("Ann &amp; &lt;Bob&gt;");
  });

  test("a missing one is named with its line and what to do", () => {
    expect(render("Hi\n\n{{ contact.attributes.lastName }}")).toBe(
      'contact.attributes.lastName is not set, line 3; give it a default: {{ contact.attributes.lastName | default: "…" }}',
    );
    expect(render("{{ contact.attributes['last name'] }}")).toStartWith(
      "contact.attributes['last name'] is not set, line 1",
    );
  });

  test.each([
    ['{{ contact.attributes.lastName | default: "friend" }}', "friend"],
    ['{{ contact.attributes.a.b.c | default: "friend" }}', "friend"],
    ['{{ contact.attributes.plan | default: "free" | upcase }}', "FREE"],
    ["{% if contact.attributes.a.b %}yes{% else %}no{% endif %}", "no"],
    ['{% if contact.attributes.a == "x" or contact.attributes.b %}yes{% else %}no{% endif %}', "no"],
    ["{% unless contact.attributes.a %}no{% endunless %}", "no"],
    ['{% case contact.attributes.a %}{% when "x" %}yes{% else %}no{% endcase %}', "no"],
    ['{% assign a = contact.attributes.a %}{{ a | default: "no" }}', "no"],
  ])("a missing one may be asked for: %s", (source, expected) => {
    expect(render(source)).toBe(expected);
  });

  test.each(["firstName", "unsubscribe", "constructor", "__proto__", "globalThis"])(
    "%s, which no message has, is refused before any message is made",
    (name) => {
      expect(render(`\n{{ ${name} | default: "x" }}`)).toBe(
        `not compiled: ${name} is not available, line 2; a template knows contact, campaign.name, unsubscribeUrl, preferencesUrl and viewInBrowserUrl`,
      );
    },
  );

  test("one message's template cannot change the next one's variables", () => {
    const template = compileTemplate(
      "{% increment campaign %}{% assign contact = 1 %}{{ unsubscribeUrl }}",
      "text",
    );
    const before = structuredClone(ann);
    for (let i = 0; i < 2; i++)
      expect(template.ok && template.render(ann)).toEqual({ ok: true, text: `0${ann.unsubscribeUrl}` });
    expect(ann).toEqual(before);
  });
});

describe("hostile and broken templates", () => {
  test.each([
    ['{% include "header" %}', 'tag "include" not found, line 1'],
    ['{% render "/etc/passwd" %}', 'tag "render" not found, line 1'],
    ['\n{% layout "base" %}', 'tag "layout" not found, line 2'],
    ["{% block a %}{% endblock %}", 'tag "block" not found, line 1'],
    ["{{ contact.email | shout }}", "undefined filter: shout, line 1"],
    ["{% if contact %}", "tag {% if contact %} not closed, line 1"],
    ["\n{{ contact.email", 'output "{{ contact.email" not closed, line 2'],
    [
      "{% if contact %}".repeat(20_000) + "{% endif %}".repeat(20_000),
      "it is nested too deeply or grows too large",
    ],
    ["x".repeat(1_000_001), "it is longer than 1000000 characters"],
  ])("%#: do not compile", (source, reason) => {
    expect(render(source)).toBe(`not compiled: ${reason}`);
  });

  test.each([
    ["{% for i in (1..100000000) %}x{% endfor %}", "memory alloc limit exceeded, line 1"],
    [
      '{% assign s = "xxxxxxxxxx" %}{% for i in (1..99) %}{% assign s = s | append: s %}{% endfor %}',
      "memory alloc limit exceeded, line 1",
    ],
    [
      "{% for i in (1..900) %}{% for j in (1..900) %}{% for k in (1..900) %}{% endfor %}{% endfor %}{% endfor %}",
      "template render limit exceeded, line 1",
    ],
    [
      `{% for i in (1..5000) %}${"0123456789".repeat(21)}{% endfor %}`,
      "it comes out longer than 1000000 characters",
    ],
  ])("%s ends", (source, reason) => {
    expect(render(source)).toBe(reason);
  });

  test.each([
    "{{ contact.constructor }}",
    "{{ contact.__proto__ }}",
    "{{ contact.attributes.constructor.constructor }}",
    "{{ contact.email.constructor }}",
    "{{ contact.tags.map }}",
    "{{ contact['__proto__']['polluted'] }}",
    "{{ contact.attributes.items | map: 'constructor' | first }}",
  ])("%s reaches no prototype", (source) => {
    expect(render(source)).toMatch(/ is not set, line 1;|^$/);
  });
});
