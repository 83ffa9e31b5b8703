import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Parser } from "htmlparser2";
import { escapeHtml } from "../tracking/rewrite.ts";
import { checkHtml, checkMarkup, linksOf, rewriteLinks } from "./html.ts";

const reasonOf = (html: string) => {
  const checked = checkHtml(html);
  return checked.ok ? null : checked.reason;
};

describe("a text for Telegram", () => {
  test.each([
    ['plain text, with > and " and Tom & Jerry', 40],
    [
      "<b>a</b><strong>b</strong><i>c</i><em>d</em><u>e</u><ins>f</ins><s>g</s><strike>h</strike><del>i</del>",
      9,
    ],
    ['<span class="tg-spoiler">a</span><tg-spoiler>b</tg-spoiler>', 2],
    ['<a href="https://a.example/?a=1&amp;b=2">a</a>', 1],
    ["<B>a</b> <i\n>b</I >", 3],
    ['<pre><code class="language-python">a</code></pre><code>b</code>', 2],
    ["<blockquote expandable>a</blockquote><blockquote>b</blockquote>", 2],
    ['<tg-emoji emoji-id="5368324170671202286">👍</tg-emoji>', 2],
    ['<tg-time unix="1790000000" format="wDT">soon</tg-time>', 4],
    ["&lt;&gt;&amp;&quot;&#39;&#x27;&#128512;", 8],
    ["&lt&amp", 2],
    ["  \n a b \t\n", 3],
    ["", 0],
  ])("%p passes, and %i characters remain", (html, length) => {
    expect(checkHtml(html)).toEqual({ ok: true, length });
  });

  test.each([
    ["<table>a</table>", "has the tag <table>; Telegram knows a, b,"],
    ["a<br>b", "has the tag <br>"],
    ["one\n<b>a", "does not close <b>, line 2"],
    ["a</b>", "has </b> where nothing is open, line 1"],
    ["<b><i>a</b></i>", "has </b> where </i> has to come"],
    ["a < b", 'has a "<" that begins no tag: write &lt;, line 1'],
    ["<!-- a -->", 'has a "<" that begins no tag'],
    ["<b", "has a tag that is not written as"],
    ["<b/>", "has a tag that is not written as"],
    ["<a href=https://a.example>a</a>", "has a tag that is not written as"],
    ["<a>a</a>", "has <a> without href"],
    ['<a href="">a</a>', 'has href="" in <a>, which says nothing to Telegram'],
    ['<a HREF="https://a.example/">a</a>', "has the attribute HREF in <a>"],
    ['<a href="https://a.example/" target="_blank">a</a>', "has the attribute target in <a>"],
    ['<a href="https://a.example/" href="https://b.example/">a</a>', "has href twice in one <a>"],
    ["<span>a</span>", "has <span> without class"],
    ['<span class="red">a</span>', 'has class="red" in <span>'],
    ['<tg-emoji emoji-id="x">a</tg-emoji>', 'has emoji-id="x"'],
    ['<a href="https://a.example/">a<a href="https://b.example/">b</a></a>', "has <a> inside of <a>"],
    ["<blockquote><b><blockquote>a</blockquote></b></blockquote>", "has <blockquote> inside of <blockquote>"],
    ["<code><b>a</b></code>", "has <b> inside of <code>"],
    ["a&nbsp;b", "has &nbsp;, which Telegram does not decode: write the character itself, line 1"],
    ["&#xD83D;", "has &#xD83D;"],
    ["&#0;", "has &#0;"],
  ])("%p is refused, with the reason", (html, reason) => {
    expect(reasonOf(html)).toStartWith(reason);
  });

  test("of any kind is passed or refused, and what passes says the same to a parser of HTML", () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const html = pieces.join("");
        const checked = checkHtml(html);
        if (!checked.ok) return expect(checked.reason).toMatch(/, line \d+$/);
        const read = readAsHtml(html);
        expect(checked.length).toBe(read.text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "").length);
        expect((linksOf(html) ?? []).map(({ url }) => url)).toEqual(read.hrefs);
      }),
      { numRuns: 2000 },
    );
  });

  test("made of nested tags has the length of its text, whatever the text is", () => {
    fc.assert(
      fc.property(nested, ({ html, text }) => {
        expect(checkHtml(html)).toEqual({
          ok: true,
          length: text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "").length,
        });
      }),
    );
  });
});

describe("rewriting", () => {
  const click = (url: string) => `https://edgr.example.com/c?t=1&url=${encodeURIComponent(url)}`;

  test("changes addresses and nothing else", () => {
    const html = `<b>A &amp; B</b> <a href='https://a.example/?a=1&amp;b="2"'>x</a> &lt;a href="y"&gt;`;
    expect(rewriteLinks(html, (url) => `${url}&c`)).toBe(
      `<b>A &amp; B</b> <a href="https://a.example/?a=1&amp;b=&quot;2&quot;&amp;c">x</a> &lt;a href="y"&gt;`,
    );
  });

  test("leaves links with data-no-track alone, and takes that away", () => {
    const html =
      '<a data-no-track href="https://a.example/">x</a><a href="https://b.example/" data-no-track="">y</a>';
    expect(rewriteLinks(html, click)).toBe(
      '<a href="https://a.example/">x</a><a href="https://b.example/">y</a>',
    );
  });

  test("keeps text and tags, and gives every link the address for the one it had", () => {
    fc.assert(
      fc.property(nested, ({ html, text, urls }) => {
        const rewritten = rewriteLinks(html, click);
        expect(checkHtml(rewritten)).toEqual(checkHtml(html));
        expect((linksOf(rewritten) ?? []).map(({ url }) => url)).toEqual(urls.map(click));
        expect(readAsHtml(rewritten).text).toBe(text);
      }),
    );
  });
});

describe("the markup of a template", () => {
  test("is judged without what Liquid writes into attributes, and counted without outputs", () => {
    const markup = '<a href="{{}}">Hi</a> {{}}<tg-emoji emoji-id="{{}}">x</tg-emoji>';
    expect(checkMarkup(markup, { isWhole: true })).toEqual({ ok: true, length: 4 });
  });

  test("is judged tag by tag where only some of it is rendered", () => {
    expect(checkMarkup("<b>a<b>b", { isWhole: false })).toMatchObject({ ok: true });
    expect(checkMarkup("<b>a<b>b", { isWhole: true })).toMatchObject({ ok: false });
    expect(checkMarkup("<b>a<hr>", { isWhole: false })).toMatchObject({ ok: false });
  });
});

function readAsHtml(html: string): { text: string; hrefs: string[] } {
  const read = { text: "", hrefs: [] as string[] };
  const parser = new Parser(
    {
      ontext(text) {
        read.text += text;
      },
      onopentag(_name, { href }) {
        if (href !== undefined) read.hrefs.push(href);
      },
    },
    { xmlMode: true, lowerCaseTags: true },
  );
  parser.end(html);
  return read;
}

const piece = fc.constantFrom(
  ..."<b>|</b>|<i>|</i>|<B>|</B >|<pre>|</pre>|<code>|</code>|</a>|<u|<|>|</|<!--|-->|text|\n| |é😀|'|\"".split(
    "|",
  ),
  '<a href="https://a.example/?a=1&amp;b=2">',
  "<a href='x' >",
  '<a href = "&#60;">',
  '<a class="x">',
  "<blockquote expandable>",
  "</blockquote>",
  "&amp;",
  "&lt;",
  "&#128512;",
  "&#x41;",
  "& ",
  "&nbsp;",
);

type Nested = { html: string; text: string; urls: string[] };

const words: fc.Arbitrary<Nested> = fc
  .string({ unit: "grapheme", maxLength: 8 })
  .filter((text) => !text.includes("\0"))
  .map((text) => ({ html: escapeHtml(text), text, urls: [] }));

const link: fc.Arbitrary<Nested> = fc
  .tuple(fc.webUrl({ withQueryParameters: true }), words)
  .map(([url, inside]) => ({
    html: `<a href="${escapeHtml(url)}">${inside.html}</a>`,
    text: inside.text,
    urls: [url],
  }));

const { nested } = fc.letrec<{ nested: Nested }>((tie) => ({
  nested: fc
    .array(
      fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        words,
        link,
        fc
          .tuple(fc.constantFrom("b", "i", "u", "s", "tg-spoiler", "em"), tie("nested"))
          .map(([tag, inside]) => ({
            ...inside,
            html: `<${tag}>${inside.html}</${tag}>`,
          })),
      ),
      { maxLength: 4 },
    )
    .map((parts) => ({
      html: parts.map((part) => part.html).join(""),
      text: parts.map((part) => part.text).join(""),
      urls: parts.flatMap((part) => part.urls),
    })),
}));
