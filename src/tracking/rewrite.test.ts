import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type DefaultTreeAdapterMap, defaultTreeAdapter, parse } from "parse5";
import { clickUrl, decodeClickUrl, isTrackableUrl } from "./links.ts";
import { type RewriteOptions, rewriteHtml } from "./rewrite.ts";

const PUBLIC = "https://edgr.example.com";
const UNSUBSCRIBE = `${PUBLIC}/api/tracking/unsubscribe?t=TOKEN`;
const OWN = "https://edgr.example.com/api/view?t=";
const PIXEL = `${PUBLIC}/api/tracking/pixel.gif?t=TOKEN`;
const PIXEL_TAG = `<img src="${PIXEL}" alt="" width="1" height="1" style="display:block;width:1px;height:1px;border:0">`;

function rewrite(html: string, options: Partial<RewriteOptions> = {}): string {
  const rewritten = rewriteHtml(html, {
    click: (url) => `[${url}]`,
    unsubscribeUrl: UNSUBSCRIBE,
    ownUrls: [OWN],
    footer: () => "",
    pixelUrl: null,
    ...options,
  });
  return rewritten.ok ? rewritten.html : rewritten.reason;
}

describe("links", () => {
  test.each([
    ['<a href="http://a.example/">', '<a href="[http://a.example/]">'],
    ["<A HREF='HTTPS://a.example'>", '<A HREF="[HTTPS://a.example]">'],
    ["<a href=https://a.example/b>", '<a href="[https://a.example/b]">'],
    ['<a class=x href = "https://a.example" id=y>', '<a class=x href="[https://a.example]" id=y>'],
    ['<a class="x"href="https://a.example"id="y">', '<a class="x"href="[https://a.example]"id="y">'],
    ['<area shape="rect" href="https://a.example"/>', '<area shape="rect" href="[https://a.example]"/>'],
    [
      '<a href="https://a.example" href="https://b.example">',
      '<a href="[https://a.example]" href="https://b.example">',
    ],
  ])("%s is tracked", (html, expected) => {
    expect(rewrite(html)).toBe(expected);
  });

  test.each([
    ["https://a.example/?a=1&amp;b=2", "https://a.example/?a=1&b=2"],
    ["https://a.example/?a=1&#38;b=2", "https://a.example/?a=1&b=2"],
    ["https://a.example/?a=1&#x26;b=2", "https://a.example/?a=1&b=2"],
    ["https://a.example/?a=1&copy=2&amp=3", "https://a.example/?a=1&copy=2&amp=3"],
    ["https://a.example/%7e+%zz#A&#x42;", "https://a.example/%7e+%zz#AB"],
    ["https://a.example/&quot;&lt;&eacute;", 'https://a.example/"<é'],
    [" \n https://a.example/a b \t", "https://a.example/a b"],
    ["https://a.exam\nple/\t&#10;b", "https://a.example/b"],
  ])("the target of %j is what a browser would open", (href, expected) => {
    const seen: string[] = [];
    rewrite(`<a href="${href}">x</a>`, { click: (url) => String(seen.push(url)) });
    expect(seen).toEqual([expected]);
  });

  test.each([
    '<a href="mailto:ann@example.com">',
    '<a href="tel:+331234">',
    '<a href="sms:+331234">',
    '<a href="tg://resolve?domain=edgr">',
    '<a href="#top">',
    '<a href="/relative">',
    '<a href="//protocol-relative.example/">',
    '<a href="javascript:alert(1)">',
    '<a href="https:relative">',
    '<a href="https://user:password@a.example/">',
    '<a href="">',
    "<a href>",
    "<a>",
    '<a name="href" data-href="https://a.example">',
    `<a href="${UNSUBSCRIBE}">`,
    `<a href=" ${UNSUBSCRIBE}#now">`,
    '<img src="https://a.example/i.png">',
    '<link href="https://a.example/s.css"><form action="https://a.example/f"></form>',
    '<abbr href="https://a.example">',
    '<p>a <a href="https://a.example" title="unclosed',
  ])("%s stays as it is", (html) => {
    expect(rewrite(html)).toBe(html);
  });

  test.each([
    '<!-- <a href="https://a.example"> -->',
    '<!--[if mso]><a href="https://a.example"><v:roundrect href="https://a.example"><![endif]-->',
    '<!--><!-- <a href="https://a.example"> --!>',
    "<script>document.write('<a href=\"https://a.example\"></a>')</script>",
    '<script type="application/ld+json">{"url": "<a href=\\"https://a.example\\">"}</script>',
    '<style>a[href="https://a.example"] { content: \'<a href="https://a.example">\' }</style>',
    '<title><a href="https://a.example"></title>',
    '<textarea><a href="https://a.example"></textarea>',
    '<template><a href="https://a.example"></a><template></template><a href="https://b.example"></template>',
    "<p title='<a href=\"https://a.example\">'>",
    '<?php <a href="https://a.example" ?>',
  ])("what is no element to a browser stays as it is: %s", (html) => {
    expect(rewrite(html)).toBe(html);
  });

  test("the downlevel-revealed conditional content that browsers render is tracked", () => {
    const html = '<!--[if !mso]><!--><a href="https://a.example">x</a><!--<![endif]-->';
    expect(rewrite(html)).toBe('<!--[if !mso]><!--><a href="[https://a.example]">x</a><!--<![endif]-->');
  });

  test.each([
    ['<a href="https://a.example" data-no-track>x</a>', '<a href="https://a.example">x</a>'],
    ['<a data-no-track="" href="https://a.example">x</a>', '<a href="https://a.example">x</a>'],
    ['<a DATA-NO-TRACK=""href="https://a.example">x</a>', '<a href="https://a.example">x</a>'],
    ["<a href=https://a.example data-no-track/>x</a>", "<a href=https://a.example />x</a>"],
    ["<a data-no-track data-no-track href=https://a.example>x</a>", "<a href=https://a.example>x</a>"],
  ])("data-no-track keeps a link as it is and goes away: %s", (html, expected) => {
    expect(rewrite(html)).toBe(expected);
  });

  test("without click tracking only data-no-track goes", () => {
    const html = '<a href="https://a.example">x</a><a data-no-track href="https://b.example">y</a>';
    expect(rewrite(html, { click: null })).toBe(html.replace(" data-no-track", ""));
  });
});

describe("footer and pixel", () => {
  const tail = { footer: () => "<p>F</p>", pixelUrl: PIXEL };

  test.each([
    ["<body>Hi</body></html>", "<body>Hi|</body></html>"],
    ["<body>Hi</BODY >", "<body>Hi|</BODY >"],
    ["Hi</body>", "Hi|</body>"],
    ["<body>Hi</body><p>more</p></body>", "<body>Hi</body><p>more</p>|</body>"],
    ["<body>Hi</body><!-- </body> -->", "<body>Hi|</body><!-- </body> -->"],
    ["<body>Hi</body><script>'</body>'</script>", "<body>Hi|</body><script>'</body>'</script>"],
    ["<body>Hi</body><p title='</body>'>", "<body>Hi|</body><p title='</body>'>"],
    ["<body>Hi<template></body></template>", "<body>Hi<template></body></template>|"],
    ["<p>Hi", "<p>Hi|"],
    ["", "|"],
    ["Tom &am", "Tom &am|"],
    ["Hi<!-- open", "Hi|<!-- open"],
    ["Hi<p title='open", "Hi|<p title='open"],
    ["Hi<a href=x /", "Hi|<a href=x /"],
    ["Hi</p", "Hi|</p"],
    ["Hi</", "Hi|</"],
    ["Hi<titl", "Hi|<titl"],
    ["Hi<svg><style>x", "Hi<svg><style>x|"],
    ["Hi<!", "Hi|<!"],
    ["Hi<title>open</titl", "Hi|<title>open</titl"],
    ["Hi<template><style>open", "Hi|<template><style>open"],
    ["Hi<plaintext>open", "Hi|<plaintext>open"],
  ])("of %j go to the place people see", (html, expected) => {
    expect(rewrite(html, tail)).toBe(expected.replace("|", `<p>F</p>${PIXEL_TAG}`));
  });

  test("the footer is told whether the document has the unsubscribe link already", () => {
    const told = (html: string) => rewrite(html, { footer: String }).replace(html, "");
    expect(told(`<a href="${UNSUBSCRIBE}">x</a>`)).toBe("true");
    expect(told(`<a data-id="1" href='${UNSUBSCRIBE}'>x</a>`)).toBe("true");
    expect(told(`<p>${UNSUBSCRIBE}</p>`)).toBe("false");
    expect(told(`<!-- <a href="${UNSUBSCRIBE}">x</a> -->`)).toBe("false");
  });
});

test("a document that could keep a parser busy for minutes is refused", () => {
  const refusal = "it leaves more than 1000 elements open";
  expect(rewrite("<b>".repeat(1001))).toBe(refusal);
  expect(rewrite(`${"<b></i>".repeat(1001)}`)).toBe(refusal);
  expect(rewrite("<svg>".repeat(100_000) + "</desc>".repeat(100_000))).toBe(refusal);
  const fine = "<div><b>x</b><br><img></div><svg><path/></svg>".repeat(2000);
  expect(rewrite(fine)).toBe(fine);
});

describe("against parse5, on documents nobody would write", () => {
  const options: RewriteOptions = {
    click: (url) => clickUrl(PUBLIC, "TOKEN", url),
    unsubscribeUrl: UNSUBSCRIBE,
    ownUrls: [OWN],
    footer: () => "<p id=footer>F</p>",
    pixelUrl: PIXEL,
  };

  test("exactly the links change that parse5 sees, and each decodes to its target", () => {
    fc.assert(
      fc.property(documents(), (html) => {
        fc.pre(!breaksOff(html));
        expect(rewrite(html, options)).toBe(expectedByParse5(html));
      }),
      { numRuns: 2000 },
    );
  });

  test("the footer is seen and the pixel is there once, wherever the document breaks off", () => {
    fc.assert(
      fc.property(documents(), fc.double({ min: 0, max: 1, noNaN: true }), (whole, share) => {
        const html = whole.slice(0, Math.floor(whole.length * share));
        const elements = allElements(rewrite(html, options));
        expect(
          elements.filter(({ tagName, attrs }) => tagName === "p" && attrs[0]?.value === "footer"),
        ).toHaveLength(1);
        expect(elements.filter((element) => attribute(element, "src") === PIXEL)).toHaveLength(1);
      }),
      { numRuns: 2000 },
    );
  });
});

/** Whether the document ends inside of a tag or a comment, where parse5 names no place for a footer. */
function breaksOff(html: string): boolean {
  const codes: string[] = [];
  parse(html, { scriptingEnabled: false, onParseError: ({ code }) => codes.push(code) });
  return codes.some((code) => code.startsWith("eof-"));
}

type Element = DefaultTreeAdapterMap["element"];

/** What rewriting must give, from the tree and the places in the source that parse5 reports. */
function expectedByParse5(html: string): string {
  const inserted = `<p id=footer>F</p>${PIXEL_TAG}`;
  const edits: { start: number; end: number; text: string }[] = [];
  let bodyEnd = html.length;
  for (const element of allElements(html)) {
    const place = element.sourceCodeLocation;
    if (element.tagName === "body") bodyEnd = place?.endTag?.startOffset ?? bodyEnd;
    const href = attribute(element, "href");
    if (!["a", "area"].includes(element.tagName) || href === null) continue;
    const target = href.trim();
    const at = place?.attrs?.href;
    if (at === undefined || !isTrackableUrl(target)) continue;
    const url = clickUrl(PUBLIC, "TOKEN", target);
    expect(decodeClickUrl(url.replace(/^.*&url=/, ""))).toBe(target);
    const text = `${html.slice(at.startOffset, at.startOffset + 4)}="${url.replaceAll("&", "&amp;")}"`;
    edits.push({ start: at.startOffset, end: at.endOffset, text });
  }
  edits.push({ start: bodyEnd, end: bodyEnd, text: inserted });
  // Elements that parse5 clones when tags are nested wrongly have one place in the source.
  const unique = new Map(edits.map((edit) => [edit.start, edit]));
  return [...unique.values()]
    .sort((a, b) => b.start - a.start)
    .reduce((text, edit) => text.slice(0, edit.start) + edit.text + text.slice(edit.end), html);
}

function allElements(html: string): Element[] {
  const found: Element[] = [];
  // Mail programs run no scripts, so the content of <noscript> is shown.
  const open: DefaultTreeAdapterMap["node"][] = [
    parse(html, { sourceCodeLocationInfo: true, scriptingEnabled: false }),
  ];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (defaultTreeAdapter.isElementNode(node)) found.push(node);
    if ("childNodes" in node) open.push(...node.childNodes);
  }
  return found;
}

function attribute(element: Element, name: string): string | null {
  return element.attrs.find((candidate) => candidate.name === name)?.value ?? null;
}

function documents(): fc.Arbitrary<string> {
  const body = fc.array(piece(), { maxLength: 12 }).map((pieces) => pieces.join(""));
  const shell = fc.constantFrom(
    ["", "."],
    ["<!DOCTYPE html><html><head><title>a &amp; <b></title></head><body>", "</body></html>"],
    ["<body>", "</BODY\n>"],
    ["<html>", "</html>"],
  );
  return fc.tuple(shell, body).map(([[before = "", after = ""], text]) =>
    // parse5 gives no places for a body without a start tag.
    before.includes("<body>") ? before + text + after : before + text.replaceAll("</body>", "") + after,
  );
}

function piece(): fc.Arbitrary<string> {
  const link = fc
    .tuple(
      fc.constantFrom("a", "A", "area", "AREA", "abbr", "a\t", "a/"),
      fc.array(attributeSource(), { maxLength: 4 }),
    )
    .map(([name, attributes]) => `<${name} ${attributes.join("")}>`);
  const inside = fc.constantFrom(
    ["<!--", "-->"],
    ["<!--", "--!>"],
    ["<!--[if mso]>", "<![endif]-->"],
    ["<script>", "</script>"],
    ["<style>", "</STYLE >"],
    ["<textarea>", "</textarea>"],
    ["<title>", "</title/>"],
    ["<iframe>", "</iframe>"],
    ["<noscript>", "</noscript>"],
    ["<template>", "</template>"],
    ["<xmp>", "</xmp>"],
    ["<svg><style>", "</style></svg>"],
    ["<svg><foreignObject><style>", "</style></foreignObject></svg>"],
    ["<svg><![CDATA[", "]]></svg>"],
    ["<p title='", "'>"],
    ["<?", ">"],
    ["</ ", ">"],
    ["<td><table><tr><td>", "</td></tr></table>"],
  );
  const text = fc.constantFrom(
    "x",
    "&lt;",
    "&",
    "< ",
    "</>",
    "<>",
    "--",
    "\r\n",
    "</a>",
    "</p>",
    "é😀",
    "</body>",
    "<br/>",
  );
  const wrapped = fc
    .tuple(inside, fc.array(fc.oneof(link, text), { maxLength: 3 }))
    .map(([[before = "", after = ""], content]) => before + content.join("") + after);
  return fc.oneof({ weight: 3, arbitrary: link }, wrapped, text);
}

function attributeSource(): fc.Arbitrary<string> {
  const part = fc.constantFrom(
    "a",
    "/",
    "?",
    "&amp;",
    "&",
    "&#38;",
    "&#x26",
    "&copy",
    "&copy=",
    "&quot;",
    "%20",
    "+",
    "#",
    "é",
    "😀",
    "&notit;",
  );
  const target = fc
    .tuple(
      fc.constantFrom(
        "http://a.example",
        "HTTPS://a.example/",
        "https&colon;//a.example/",
        "//a",
        "mailto:a",
        "",
        "http:",
      ),
      fc.array(part, { maxLength: 5 }),
    )
    .map(([start, rest]) => start + rest.join(""));
  const name = fc.constantFrom("href", "HREF", "hRef", "class", "data-href", "href:");
  const equals = fc.constantFrom("=", " = ", "=\n");
  const quote = fc.constantFrom('"', "'", "");
  const value = fc
    .tuple(name, equals, quote, target, fc.constantFrom(" ", "", "\n"))
    .map(([n, eq, q, v, after]) => `${n}${eq}${q}${q === "" ? v || "x" : v}${q}${q === "" ? " " : after}`);
  return fc.oneof({ weight: 4, arbitrary: value }, fc.constantFrom("href ", "checked ", "/"));
}
