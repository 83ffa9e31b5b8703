import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type LintInput, lintEmail } from "./lint.ts";
import { withoutTags } from "./parse.ts";

const UNSUBSCRIBE = "https://edgr.example.com/api/tracking/unsubscribe?t=T";

const FINE = `<html lang="en"><head><title>News</title></head><body>
<div style="display:none">What is new in autumn</div>
<p>There is a lot to read about this autumn.</p>
<img src="https://example.com/a.png" alt="Leaves">
<a href="https://example.com/read">Read</a> <a href="mailto:help@example.com">Write</a> <a href="${UNSUBSCRIBE}">Bye</a>
</body></html>`;

const email: LintInput = {
  html: FINE,
  subject: "What is new",
  text: "What is new",
  isTemplate: false,
  isUnsubscribeLink: (href) => href.startsWith(UNSUBSCRIBE),
};

/** The findings as `rule severity line`. */
function lint(changes: Partial<LintInput> = {}): string[] {
  return lintEmail({ ...email, ...changes }).map(({ rule, severity, line }) => `${rule} ${severity} ${line}`);
}

/** Findings of a line in an email that is fine otherwise. */
const withLine = (line: string, isTemplate = false) =>
  lint({ html: FINE.replace("<img", `${line}\n<img`), isTemplate });

test("an email that is fine has no findings", () => {
  expect(lint()).toEqual([]);
});

describe("links are judged by their form", () => {
  test.each([
    ['<a href="">x</a>', ["link-empty error 4"]],
    ['<a href="#">x</a>', ["link-empty error 4"]],
    ["<a>x</a>", ["link-empty warning 4"]],
    ['<a id="top"></a>', []],
    ['<a href="javascript:alert(1)">x</a>', ["link-unsafe error 4"]],
    ['<a href=" java\nscript:alert(1)">x</a>', ["link-unsafe error 4"]],
    ['<a href="data:text/html,x">x</a>', ["link-unsafe error 4"]],
    ['<a href="/buy">x</a>', ["link-relative error 4"]],
    ['<a href="//example.com/buy">x</a>', ["link-relative error 4"]],
    ['<a href="www.example.com">x</a>', ["link-relative error 4"]],
    ['<a href="http://example.com">x</a>', ["link-insecure warning 4"]],
    ['<a href="https://">x</a>', ["link-broken error 4"]],
    ['<a href="https:/example.com">x</a>', ["link-broken error 4"]],
    ['<a href="https://example">x</a>', ["link-broken error 4"]],
    ['<a href="tel:+49123">x</a>', []],
    ['<a href="https://example.com/{{ id }">x</a>', ["liquid-left error 4"]],
    ['<img src="pic.png" alt="">', ["link-relative error 4"]],
    ['<img src="data:image/png;base64,AA" alt="">', ["image-data warning 4"]],
  ])("%s", (line, findings) => {
    expect(withLine(line)).toEqual(findings);
  });

  test("Liquid gets its values later, and only then a link is broken", () => {
    expect(withLine('<a href="{{ contact.attributes.url }}">x</a><a href="/{{ x }}">x</a>', true)).toEqual(
      [],
    );
    expect(withLine('<a href="javascript:{{ x }}">x</a>', true)).toEqual(["link-unsafe error 4"]);
  });
});

describe("what harms", () => {
  test("an image without alt, and what programs leave out", () => {
    expect(withLine('<img src="https://example.com/b.png"><script>x</script>')).toEqual([
      "alt-missing warning 4",
      "element-unsupported warning 4",
    ]);
  });

  test("Liquid that is left, in text and in subject, but not the braces of CSS", () => {
    expect(withLine("Hi {{ name }")).toEqual(["liquid-left error 4"]);
    expect(withLine("<style>@media (x){p{color:red}}</style>")).toEqual([]);
    expect(lint({ subject: "Hi {{ name" })).toEqual(["liquid-left error null"]);
  });

  test("size beyond what Gmail shows", () => {
    expect(lint({ html: FINE.replace("Leaves", "x".repeat(101_000)) })).toEqual(["size warning null"]);
  });

  test("images and next to no text", () => {
    const html = FINE.replace(/<p>.*<\/p>/, "").replace("Read", "");
    expect(lint({ html: html.replace("Write", "").replace("Bye", "") })).toEqual(["image-only warning null"]);
  });

  test("no unsubscribe link where one is needed", () => {
    const html = FINE.replace(UNSUBSCRIBE, "https://example.com/bye");
    expect(lint({ html })).toEqual(["unsubscribe-missing warning null"]);
    expect(lint({ html, isUnsubscribeLink: null })).toEqual([]);
  });

  test("an empty text part", () => {
    expect(lint({ text: " \n" })).toEqual(["text-missing warning null"]);
    expect(lint({ text: null })).toEqual([]);
  });

  test("no title, language or preheader", () => {
    const html = FINE.replace("News", " ").replace('"en"', '"und"').replace("What is new in autumn", "");
    expect(lint({ html })).toEqual([
      "title-missing info null",
      "lang-missing info null",
      "preheader-missing info null",
    ]);
  });
});

test.each([
  ["", ["subject-empty error null"]],
  ["BUY IT NOW", ["subject-capitals warning null"]],
  ["NASA", []],
  ["Now!!", ["subject-exclamation warning null"]],
  ["Now! Or! Never!", ["subject-exclamation warning null"]],
  ["Now!", []],
  ["Re: your order", ["subject-fake-reply warning null"]],
  ["Fwd: look", ["subject-fake-reply warning null"]],
  ["Regarding your order", []],
  ["x".repeat(101), ["subject-long info null"]],
  ["日本語の件名", []],
])("the subject %p", (subject, findings) => {
  expect(lint({ subject })).toEqual(findings);
});

test("a subject of Liquid is judged by the rest of it", () => {
  expect(lint({ subject: "{{ contact.attributes.first | UPPER }} hello", isTemplate: true })).toEqual([]);
});

test("tags of a template and what is in its outputs is no HTML, and lines stay", () => {
  const source = '{% if a < b %}\n{{ x | default: "<img>" }}{% endif %}<p>';
  expect(withoutTags(source)).toBe("\n{{ x | default: img }}<p>");
});

test("it ends on hostile documents, soon and without an exception", () => {
  expect(lint({ html: "<b>".repeat(100_000) })).toContain("structure error null");
  expect(lint({ html: "<a href=x>".repeat(900) }).length).toBeLessThanOrEqual(200);
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string(), fc.boolean(), (html, subject, isTemplate) => {
      lintEmail({ ...email, html, subject, isTemplate });
    }),
  );
});
