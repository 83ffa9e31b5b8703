import { expect, test } from "bun:test";
import { compileHtmlToText } from "./text.ts";

const toText = compileHtmlToText();

test.each([
  ["<h1>News</h1><p>Hi &lt;Ann&gt; &amp; all</p>", "News\n\nHi <Ann> & all"],
  ['<a href="https://a.example/?a=1&amp;b=2">Read</a>', "Read (https://a.example/?a=1&b=2)"],
  ['<a href="https://a.example">https://a.example</a>', "https://a.example"],
  ['<a href="#top">Up</a>', "Up"],
  ['<a href="https://a.example"><img src="i.png" alt="Logo"></a>', "https://a.example"],
  ["<ul><li>one</li><li>two</li></ul>", " * one\n * two"],
  ["<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a\nb\nc"],
  ["a<br>b", "a\nb"],
  ["<html><head><title>T</title><style>p{}</style></head><body>x<script>y</script></body></html>", "x"],
  ["x<template>y</template><!-- z -->", "x"],
  ["", ""],
])("%s reads as text", (html, expected) => {
  expect(toText(html)).toBe(expected);
});

test.each(["display:none", "mso-hide:all;DISPLAY: None;max-height:0"])(
  "a preheader hidden by %s is left out",
  (style) => {
    expect(toText(`<div style="${style}">Preheader</div><p>Hi</p>`)).toBe("Hi");
  },
);

test("a hidden element is left out", () => {
  expect(toText("<p hidden>Preheader</p><p>Hi</p>")).toBe("Hi");
});

test("long lines are left to the mail program", () => {
  const line = "word ".repeat(500).trim();
  expect(toText(`<p>${line}</p>`)).toBe(line);
});

test("depth is cut off, not the stack", () => {
  expect(toText(`${"<div>".repeat(50_000)}x`)).toBe("…");
});
