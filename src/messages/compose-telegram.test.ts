import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { checkHtml, linksOf } from "../telegram/html.ts";
import { decodeClickUrl } from "../tracking/links.ts";
import { createTokens, urlDigest } from "../tracking/token.ts";
import type { Refusal } from "./compose.ts";
import { type ComposedTelegram, compileTelegram, composeTelegram } from "./compose-telegram.ts";
import type { TelegramNode } from "./telegram-node.ts";

const PUBLIC_URL = "https://edgr.example.com";
const BUY = "https://example.com/buy?a=1&b=2";
const tokens = createTokens([{ kid: "t1", secret: Buffer.alloc(32, 7), retired: false }]);
const ids = {
  customerId: "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a21",
  campaignId: "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a22",
  nodeId: "nudge",
  runId: "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a23",
  messageId: "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a24",
};
const NODE: TelegramNode = {
  text: "Hi {{ contact.attributes.firstName }}",
  photo: null,
  buttons: [],
  unsubscribeButton: false,
  trackClicks: true,
  silent: false,
  protectContent: false,
};

function compose(
  node: Partial<TelegramNode>,
  attributes: Record<string, string> = { firstName: "Ann" },
  publicUrl = PUBLIC_URL,
): ComposedTelegram | Refusal {
  const compiled = compileTelegram({ ...NODE, ...node });
  if (!compiled.ok) return compiled;
  const contact = { email: "", attributes, tags: [] };
  const now = Date.parse("2026-11-01T00:00:00Z");
  return composeTelegram(compiled.telegram, { ids, contact, campaignName: "Autumn", publicUrl, tokens, now });
}

function content(...args: Parameters<typeof compose>) {
  const composed = compose(...args);
  if (!composed.ok) throw new Error(`${composed.field}: ${composed.reason}`);
  return composed.content;
}

/** Where a click on a tracked address leads; null when it is none of ours. */
function destination(url: string): string | null {
  const parsed = new URL(url);
  const target = decodeClickUrl(parsed.searchParams.get("url") ?? "");
  const claims = tokens.verify(parsed.searchParams.get("t") ?? "");
  if (parsed.pathname !== "/api/tracking/click" || target === null || claims === null) return null;
  expect(claims.urlDigest).toEqual(urlDigest(target));
  expect(claims.messageId).toBe(ids.messageId);
  return target;
}

describe("a Telegram message", () => {
  test("has the contact's data in it, escaped, and what the node says of its sending", () => {
    const text = "<b>{{ campaign.name }}</b>: {{ contact.attributes.firstName }}";
    expect(content({ text, silent: true, protectContent: true }, { firstName: "<b>Zoë & Co</b>" })).toEqual({
      html: "<b>Autumn</b>: &lt;b&gt;Zoë &amp; Co&lt;/b&gt;",
      photo: null,
      keyboard: [],
      silent: true,
      protectContent: true,
      replyToMessageId: null,
    });
  });

  test("tracks links and URL buttons, each with the address as it was written", () => {
    const text = `<a href="https://example.com/buy?a=1&amp;b=2">a</a>`;
    const made = content({ text, buttons: [[{ text: "Buy", url: BUY }]] });
    const [link] = linksOf(made.html) ?? [];
    const [[button] = []] = made.keyboard;
    expect(destination(link?.url ?? "")).toBe(BUY);
    expect(button !== undefined && "url" in button && destination(button.url)).toBe(BUY);
  });

  test("leaves them as they are without trackClicks, and what leads to us with it", () => {
    const text = `<a href="https://example.com/">a</a>`;
    expect(content({ text, trackClicks: false }).html).toBe(text);
    const own = content({ text: "Hi", buttons: [[{ text: "Stop", url: "{{ unsubscribeUrl }}" }]] });
    expect(own.keyboard).toEqual([
      [{ text: "Stop", url: expect.stringContaining("/api/tracking/unsubscribe?t=") }],
    ]);
  });

  test("has a button to unsubscribe in a last row, unless the author has one", () => {
    const buttons = [[{ text: "Buy", url: BUY }]];
    const stop = { callbackData: "edgr:unsubscribe" };
    expect(content({ buttons, unsubscribeButton: true }).keyboard).toEqual([
      [{ text: "Buy", url: expect.any(String) }],
      [{ text: "Unsubscribe", ...stop }],
    ]);
    const own = [[{ text: "No more, {{ contact.attributes.firstName }}", unsubscribe: true as const }]];
    expect(content({ buttons: own, unsubscribeButton: true }).keyboard).toEqual([
      [{ text: "No more, Ann", ...stop }],
    ]);
    expect(content({}).keyboard).toEqual([]);
  });

  test.each<[string, Partial<TelegramNode>, Record<string, string>, string]>([
    [
      "text",
      {},
      { firstName: "x".repeat(4094) },
      "it comes out with 4097 characters; a text has at most 4096",
    ],
    [
      "text",
      { photo: BUY },
      { firstName: "x".repeat(1022) },
      "it comes out with 1025 characters; a caption has at most 1024",
    ],
    ["text", { text: "{{ contact.attributes.firstName }}" }, { firstName: " \n" }, "it comes out empty"],
    ["text", { text: "{{ contact.attributes.html | raw }}" }, { html: "<h1>x</h1>" }, "it has the tag <h1>"],
    ["text", { text: `{% for i in (1..200) %}<a href="${BUY}">x</a>{% endfor %}` }, {}, "it comes out with"],
    ["text", { text: "{{ contact.attributes.nothing }}" }, {}, "contact.attributes.nothing is not set"],
    [
      "photo",
      { photo: "{{ contact.attributes.photo }}" },
      { photo: "javascript:alert(1)" },
      "it is no http or https",
    ],
    [
      "buttons.0.0.url",
      { buttons: [[{ text: "a", url: "{{ contact.attributes.url }}" }]] },
      { url: "tel:1" },
      "it is no http",
    ],
    [
      "buttons.1.0.text",
      { buttons: [[{ text: "a", url: BUY }], [{ text: "{{ contact.attributes.a }}", url: BUY }]] },
      { a: "x".repeat(65) },
      "it comes out with 65 characters; a button has at most 64",
    ],
    [
      "buttons.0.0.text",
      { buttons: [[{ text: "{{ contact.attributes.a }}", url: BUY }]] },
      { a: "a\nb" },
      "it contains a line break",
    ],
    [
      "buttons.0.0.text",
      { buttons: [[{ text: "{{ contact.attributes.a }}", url: BUY }]] },
      { a: " " },
      "it comes out empty",
    ],
    ["buttons.0.0.url", { buttons: [[{ text: "a", url: "{{ nobody }}" }]] }, {}, "nobody is not available"],
  ])("is refused for its %s in %o with %o", (field, node, attributes, reason) => {
    const refused = compose(node, { firstName: "Ann", ...attributes });
    expect(refused).toMatchObject({ ok: false, field, reason: expect.stringContaining(reason) });
  });

  test("counts what Telegram counts: the text without markup and tracked addresses", () => {
    const text = `<b>${"x".repeat(4090)}</b> <a href="${BUY.replace("&", "&amp;")}">&lt;&gt;</a>  `;
    expect(compose({ text })).toMatchObject({ ok: true });
  });

  test("may be a photo alone", () => {
    const made = content({
      text: "{{ contact.attributes.note | default: '' }}",
      photo: " https://a.example/p.png ",
    });
    expect([made.html, made.photo]).toEqual(["", "https://a.example/p.png"]);
  });

  test("warns of links that Telegram makes plain text or refuses", () => {
    const text = '<a href="{{ contact.attributes.link }}">a</a>';
    expect(compose({ text }, { link: "mailto:a@example.com" })).toMatchObject({
      warnings: ['The link "mailto:a@example.com" will be plain text: it is no http or https address.'],
    });
    const local = compose({ buttons: [[{ text: "a", url: BUY }]] }, undefined, "http://localhost:3000");
    expect(local).toMatchObject({
      warnings: ["Telegram opens no links to localhost: a host needs a dot in its name."],
    });
  });

  test("is one that Telegram reads, whatever a contact's attributes are", () => {
    const text =
      '<b>{{ contact.attributes.a }}</b> <a href="https://example.com/?q={{ contact.attributes.a }}">x</a>';
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 50 }), (a) => {
        const composed = compose({ text }, { a });
        if (!composed.ok) return expect(a).toContain("\0");
        expect(checkHtml(composed.content.html)).toMatchObject({ ok: true });
        expect(linksOf(composed.content.html)).toHaveLength(1);
      }),
    );
  });
});
