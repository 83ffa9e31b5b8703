import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { type DefaultTreeAdapterTypes, parse } from "parse5";
import {
  badLinkPage,
  cannotShowPage,
  confirmPage,
  keptPage,
  noPreferencesPage,
  notShownPage,
  resubscribedPage,
  testMessagePage,
  tryLaterPage,
  unsubscribedPage,
} from "./pages.ts";
import { preferencesPage } from "./preferences-page.ts";

type Element = DefaultTreeAdapterTypes.Element;

const CHOICES = {
  topics: [
    { id: "01989c2a-7d3c-7cc3-98c4-dc0c0c07398f", name: "News", description: "Monthly.", isLeft: false },
    { id: "01989c2a-7d3c-7cc3-98c4-dc0c0c073990", name: "Tips", description: "", isLeft: true },
  ],
  isUnsubscribed: false,
};

const pages: [string, Response][] = [
  ["unsubscribed", unsubscribedPage("a.b.c")],
  ["confirm", confirmPage("a.b.c", 200)],
  ["resubscribed", resubscribedPage("a.b.c")],
  ["kept", keptPage("a.b.c", "unsubscribe")],
  ["kept the other way", keptPage("a.b.c", "resubscribe")],
  ["bad link", badLinkPage()],
  ["can't show", cannotShowPage()],
  ["not shown", notShownPage("contact_deleted")],
  ["no preferences", noPreferencesPage("a.b.c")],
  ["preferences", preferencesPage("a.b.c", CHOICES, "saved")],
  ["preferences of nobody", preferencesPage("a.b.c", { topics: [], isUnsubscribed: true }, null)],
  ["test message", testMessagePage()],
  ["try later", tryLaterPage()],
];

function elementsOf(html: string): Element[] {
  const walk = (node: DefaultTreeAdapterTypes.Node): Element[] => [
    ...("tagName" in node ? [node] : []),
    ...("childNodes" in node ? node.childNodes.flatMap(walk) : []),
  ];
  return walk(parse(html));
}

function attribute(element: Element | undefined, name: string): string | undefined {
  return element?.attrs.find((attr) => attr.name === name)?.value;
}

describe.each(pages)("the page %s", async (_name, page) => {
  const html = await page.text();
  const elements = elementsOf(html);
  const all = (tag: string) => elements.filter((element) => element.tagName === tag);

  test("has a language, a title, one main, one heading, and fits a phone", () => {
    expect(html.startsWith("<!doctype html>")).toBe(true);
    expect(attribute(all("html")[0], "lang")).toBe("en");
    expect([all("title").length, all("main").length, all("h1").length]).toEqual([1, 1, 1]);
    expect(html).toContain('name="viewport" content="width=device-width, initial-scale=1"');
  });

  test("loads nothing: no script, no asset, no address but its own", () => {
    for (const tag of ["script", "link", "img", "iframe"]) expect(all(tag)).toEqual([]);
    for (const link of all("a")) expect(attribute(link, "href")).toBe("../preferences?t=a.b.c");
    expect(html).not.toMatch(/url\(|@import|https?:|\/\//);
  });

  test("allows its own style by hash, and nothing else", () => {
    const style = /<style>([^<]*)<\/style>/.exec(html)?.[1] ?? "";
    const hash = createHash("sha256").update(style).digest("base64");
    expect(page.headers.get("Content-Security-Policy")).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
    );
    expect(elements.some((element) => attribute(element, "style") !== undefined)).toBe(false);
  });

  test("is not kept, not indexed, gives no referrer and sets no cookie", () => {
    expect(page.headers.get("Cache-Control")).toBe("no-store");
    expect(page.headers.get("Referrer-Policy")).toBe("no-referrer");
    expect(page.headers.get("X-Robots-Tag")).toBe("noindex");
    expect(page.headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect(page.headers.get("Set-Cookie")).toBeNull();
  });

  test("contrasts by 4.5:1 or more, light and dark", () => {
    const schemes = [
      ...html.matchAll(/--ground: (\S+); --card: (\S+); --text: (\S+); --button: (\S+); --label: (\S+);/g),
    ];
    expect(schemes).toHaveLength(2);
    for (const [, , card = "", text = "", button = "", label = ""] of schemes) {
      expect(contrast(text, card)).toBeGreaterThanOrEqual(4.5);
      expect(contrast(label, button)).toBeGreaterThanOrEqual(4.5);
      // Links are text of the button's colour.
      expect(contrast(button, card)).toBeGreaterThanOrEqual(4.5);
    }
  });
});

test("whatever stands for a token cannot break out of the form", async () => {
  const hostile = `"><script>alert(1)</script>'&#34;`;
  const elements = elementsOf(await confirmPage(hostile, 200).text());
  expect(elements.filter((element) => element.tagName === "script")).toEqual([]);
  const form = elements.find((element) => element.tagName === "form");
  expect(attribute(form, "action")).toBe(`?t=${encodeURIComponent(hostile)}`);
});

/** WCAG 2.2's contrast ratio of two `#rrggbb` colours. */
function contrast(one: string, other: string): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

function luminance(color: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const channel = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
