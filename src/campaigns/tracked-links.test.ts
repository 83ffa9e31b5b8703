import { describe, expect, test } from "bun:test";
import { messageNode, telegramNode } from "../../test/support/graphs.ts";
import type { TelegramMessageNode } from "./schema.ts";
import { trackedLinks } from "./tracked-links.ts";

function links(html: string): string[] {
  const { urls, complete } = trackedLinks(messageNode("hello", { html }));
  return complete ? [...urls] : [...urls, "and perhaps more"];
}

describe("the links of a template", () => {
  test("are those of a and area, entities decoded", () => {
    expect(links('<A HREF="https://a.example/?x=1&amp;y=2">x</A><area href=http://b.example/>')).toEqual([
      "https://a.example/?x=1&y=2",
      "http://b.example/",
    ]);
  });

  test("are written as a click on them will be recorded", () => {
    expect(links('<a href=" https://a.example/long\n/path ">x</a>')).toEqual(["https://a.example/long/path"]);
  });

  test("leave out what click tracking leaves as it is", () => {
    const html = `<a href="mailto:a@example.com">m</a><a href="tel:1">t</a><a href="#top">t</a><a href="/relative">r</a>
      <a href="https://a.example/" data-no-track>n</a><a href="{{ unsubscribeUrl }}">u</a><a>nothing</a>
      <link href="https://a.example/style.css"><!-- <a href="https://comment.example/">c</a> -->`;
    expect(links(html)).toEqual([]);
  });

  test.each([
    '<a href="{{ contact.attributes.link }}">x</a>',
    '<a href="https://a.example/?who={{ contact.id }}">x</a>',
    '<a {% if vip %}href="https://a.example/"{% endif %}>x</a>',
    "<a href={{ link }}>x</a>",
    '{% if a <b %}<a href="https://a.example/">x</a>{% endif %}',
    "{{ contact.attributes.block | raw }}",
    "{% render 'products' %}",
    "{%- layout 'news' -%}{% block body %}{% endblock %}",
  ])("are not all known before sending in %s", (html) => {
    expect(links(html)).toContain("and perhaps more");
  });

  test("of a Telegram message are those of its text and its buttons", () => {
    const found = trackedLinks(
      telegramNode("nudge", {
        text: `{% if contact.attributes.vip %}<a href="https://a.example/?x=1&amp;y=2">x</a>{% endif %} {{ contact.email }}
          <a href="https://b.example/" data-no-track>n</a><a href="{{ unsubscribeUrl }}">u</a>`,
        buttons: [
          [
            { text: "c", url: "https://c.example/" },
            { text: "Stop", unsubscribe: true },
          ],
        ],
      }),
    );
    expect(found).toEqual({
      urls: new Set(["https://a.example/?x=1&y=2", "https://c.example/"]),
      complete: true,
    });
  });

  test.each<Partial<TelegramMessageNode>>([
    { text: '<a href="{{ contact.attributes.link }}">x</a>' },
    { text: "{{ contact.attributes.block | raw }}" },
    { text: '{% render "products" %}' },
    { buttons: [[{ text: "x", url: "https://a.example/{{ contact.email }}" }]] },
  ])("of a Telegram message are not all known before sending in %j", (overrides) => {
    expect(trackedLinks(telegramNode("nudge", overrides)).complete).toBe(false);
  });

  test("are not looked for in MJML", () => {
    const html = '<mjml><mj-body><mj-button href="https://a.example/">x</mj-button></mj-body></mjml>';
    expect(trackedLinks(messageNode("hello", { format: "mjml", html }))).toEqual({
      urls: new Set(),
      complete: false,
    });
  });

  test("are known though Liquid writes the text around them", () => {
    const html =
      '<p class="{{ c }}">{% if vip %}<a href="https://a.example/">{{ contact.email }}</a>{% endif %}</p>';
    expect(links(html)).toEqual(["https://a.example/"]);
  });
});
