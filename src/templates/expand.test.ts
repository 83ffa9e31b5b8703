import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compileTemplate } from "../messages/template.ts";
import { expandTemplate, type Library, placeOf, type Source } from "./expand.ts";

const LAYOUT = `<html><head><title>{{ title }}</title></head>
<body>{% block content %}nothing yet{% endblock %}
<footer>{% block footer %}by {{ campaign.name }}{% endblock %}</footer></body></html>`;

function library(...sources: Partial<Source>[]): Library {
  const all = sources.map((source): Source => {
    return { name: "x", kind: "partial", format: "html", source: "", ...source };
  });
  return new Map(all.map((source) => [source.name, source]));
}

/** What comes out for Ann, or why nothing does. */
function render(source: string, from: Library): string {
  const expanded = expandTemplate(source, "html", from);
  if (!expanded.ok) return `refused: ${expanded.reason}`;
  const pieces = [...expanded.before, ...expanded.pieces];
  const text = pieces.map((piece) => piece.text).join("");
  const compiled = compileTemplate(text, "html", (...at) => placeOf(pieces, ...at));
  if (!compiled.ok) return `refused: ${compiled.reason}`;
  const rendered = compiled.render({
    contact: { email: "ann@example.com", attributes: { name: "Ann", items: ["a", "b"] }, tags: [] },
    campaign: { name: "Autumn" },
    unsubscribeUrl: "https://edgr.example.com/u",
    preferencesUrl: "https://edgr.example.com/p",
    viewInBrowserUrl: "https://edgr.example.com/v",
  });
  return rendered.ok ? rendered.text : rendered.reason;
}

describe("partials", () => {
  const button = { name: "button", source: '<a href="{{ url }}">{{ label | default: "Go" }}</a>' };

  test("stand where they are rendered, with their arguments and what every template has", () => {
    const hello = { name: "hello", source: "Hi {{ contact.attributes.name }} from {{ campaign.name }}" };
    expect(render('{% render "hello" %}, {% render "hello" %}', library(hello))).toBe(
      "Hi Ann from Autumn, Hi Ann from Autumn",
    );
    const source = `{% render 'button', url: unsubscribeUrl, label: "Bye <all>" %}`;
    expect(render(source, library(button))).toBe('<a href="https://edgr.example.com/u">Bye &lt;all&gt;</a>');
  });

  test("know nothing of the variables around them and leave none behind", () => {
    const leaky = { name: "leaky", source: '{% assign a = 2 %}{{ b | default: "-" }}' };
    expect(render('{% assign b = 1 %}{% render "leaky", b: 3 %}{{ a | default: "?" }}', library(leaky))).toBe(
      "refused: a is not available, line 1; a template knows contact, campaign.name, unsubscribeUrl, preferencesUrl and viewInBrowserUrl",
    );
    expect(render('{% assign b = 1 %}{% render "leaky" %}', library(leaky))).toStartWith(
      'refused: b is not available, line 1 of the template "leaky"',
    );
    const source = '{% assign a = 1 %}{% render "leaky", b: 3 %}{{ a }}';
    expect(render(source, library(leaky))).toBe("31");
  });

  test("may be repeated, and may use others", () => {
    const row = { name: "row", source: '<li>{% render "bold", text: item %}</li>' };
    const bold = { name: "bold", source: "<b>{{ text }}</b>" };
    const source = '{% for i in contact.attributes.items %}{% render "row", item: i %}{% endfor %}';
    expect(render(source, library(row, bold))).toBe("<li><b>a</b></li><li><b>b</b></li>");
  });

  test("keep the whitespace control of their tag", () => {
    expect(render('a {%- render "x" -%} b', library({ source: "-" }))).toBe("a-b");
  });

  test("are text in comments and raw blocks", () => {
    expect(render('{% comment %}{% render "gone" %}{% endcomment %}a', library())).toBe("a");
    expect(render('{% raw %}{% render "gone" %}{% endraw %}', library())).toBe('{% render "gone" %}');
  });
});

describe("layouts", () => {
  const base = { name: "base", kind: "layout", source: LAYOUT } as const;

  test("hold the page's blocks, and their own where the page has none", () => {
    const page = '{% layout "base", title: "Hi" %}\n{% block content %}<p>Hello</p>{% endblock %}';
    expect(render(page, library(base))).toBe(
      "<html><head><title>Hi</title></head>\n<body><p>Hello</p>\n<footer>by Autumn</footer></body></html>",
    );
  });

  test("are told what the page sets, and block.super gives their own content back", () => {
    const page = `{% layout "base" %}{% assign title = "Set" %} stray text
      {% block footer %}sent {{ block.super }}{% endblock %}`;
    expect(render(page, library(base))).toBe(
      "<html><head><title>Set</title></head>\n<body>nothing yet\n<footer>sent by Autumn</footer></body></html>",
    );
  });

  test("may have layouts", () => {
    const middle = {
      name: "middle",
      kind: "layout",
      source: `{% layout "base", title: "M" %}{% block content %}<main>{% block inner %}{% endblock %}</main>{% endblock %}`,
    } as const;
    const page =
      '{% layout "middle" %}{% block inner %}deep{% endblock %}{% block footer %}end{% endblock %}';
    // The page's footer is none of the middle's blocks, and says so.
    expect(render(page, library(base, middle))).toBe(
      "<html><head><title>M</title></head>\n<body><main>deep</main>\n<footer>end</footer></body></html>",
    );
  });

  test("name a block that they do not have", () => {
    const page = '{% layout "base", title: "x" %}\n{% block contnet %}lost{% endblock %}';
    expect(render(page, library(base))).toBe('refused: the layout "base" has no block "contnet", line 2');
  });
});

describe("what can't be expanded says where and why", () => {
  const base = { name: "base", kind: "layout", source: LAYOUT } as const;
  test.each([
    ['a\n{% render "gone" %}', 'there is no template "gone", line 2'],
    ["{% render name %}", "render needs the name of a template in quotes, line 1"],
    ['{% render "base" %}', 'the template "base" is a layout, no partial, line 1'],
    ['{% layout "nest" %}', 'the template "nest" is a partial, no layout, line 1'],
    ['{% render "nest" %}', 'there is no template "gone", line 3 of the template "nest"'],
    [
      '{% render "loop" %}',
      'the template "loop" uses itself: loop → pool → loop, line 1 of the template "pool"',
    ],
    ['{% render "broken" %}', 'tag "nonsense" not found, line 2 of the template "broken"'],
    ['{% render "unclosed" %}', 'tag "{% if x" not closed, line 1 of the template "unclosed"'],
    ['{% render "mail" %}', 'the template "mail" is mjml, this is html, line 1'],
    ['{% render "paged" %}', 'a partial has no layout, line 1 of the template "paged"'],
    [
      '{% render "nest" with contact %}',
      'render takes arguments as in {% render "name", key: value %}, line 1',
    ],
    ['{% layout "base" %}{% layout "base" %}', "there is more than one layout, line 1"],
    ["{% block a %}", "block a is not closed, line 1"],
    ["{% endblock %}", "endblock ends no block, line 1"],
    ["{% block %}{% endblock %}", "a block needs a name of one word, line 1"],
    ["{% block a %}".repeat(60), "its blocks are nested too deeply, line 1"],
  ])("%s", (source, reason) => {
    const from = library(
      base,
      { name: "nest", source: 'a\nb\n{% render "gone" %}' },
      { name: "loop", source: '{% render "pool" %}' },
      { name: "pool", source: '{% render "loop" %}' },
      { name: "broken", source: "fine\n{% nonsense %}" },
      { name: "unclosed", source: "{% if x" },
      { name: "mail", format: "mjml", source: "<mj-text>x</mj-text>" },
      { name: "paged", source: '{% layout "base" %}' },
    );
    expect(render(source, from)).toBe(`refused: ${reason}`);
  });

  test("what doubles at every step is stopped", () => {
    const twice = (name: string, next: string) => ({
      name,
      source: `{% render "${next}" %}{% render "${next}" %}`,
    });
    const steps = Array.from({ length: 40 }, (_, step) => twice(`t${step}`, `t${step + 1}`));
    const from = library(...steps, { name: "t40", source: "x" });
    expect(render('{% render "t0" %}', from)).toBe(
      "refused: with its templates it grows to more than 1000000 characters",
    );
  });
});

test.each([
  "/etc/passwd",
  "../x",
  "../../etc/passwd",
  "file:///etc/passwd",
  "./package.json",
  "package.json",
  "",
])("%s is only a name that nobody has given to a template", (name) => {
  for (const tag of ["render", "layout"]) {
    expect(render(`{% ${tag} "${name}" %}`, library())).toBe(
      `refused: there is no template "${name}", line 1`,
    );
  }
  for (const tag of ["include", "render", "layout"]) {
    const inLiquid = `{% liquid\n ${tag} "${name}" %}`;
    expect(render(inLiquid, library())).toBe(`refused: tag "${tag}" not found, line 2`);
  }
  expect(render(`{% include "${name}" %}`, library())).toBe('refused: tag "include" not found, line 1');
});

test("a template that uses nothing is expanded into itself", () => {
  const parts = fc.constantFrom(
    "a",
    "\n",
    "{{ x }}",
    "{% if a %}",
    "{% endif %}",
    "<p>",
    "{%- raw -%}x{% endraw %}",
  );
  fc.assert(
    fc.property(fc.array(parts), (written) => {
      const source = written.join("");
      const expanded = expandTemplate(source, "html", new Map());
      if (!expanded.ok) throw new Error(expanded.reason);
      expect(expanded.pieces.map((piece) => piece.text).join("")).toBe(source);
      for (let line = 1; line <= source.split("\n").length; line += 1)
        expect(placeOf(expanded.pieces, line)).toBe(`line ${line}`);
    }),
  );
});
