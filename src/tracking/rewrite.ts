import { Tokenizer, type TokenizerCallbacks } from "htmlparser2";
import { isTrackableUrl } from "./links.ts";

export type RewriteOptions = {
  /** The tracked address for a destination as the email has it; null leaves every link alone. */
  click: ((url: string) => string) | null;
  /** Links that begin with it are the unsubscribe link and are never tracked (protocols 4.1). */
  unsubscribeUrl: string;
  /** Links that begin with one of these lead back to us and are not tracked either. */
  ownUrls: readonly string[];
  /** HTML to put before the last `</body>`; is told whether the document already links to `unsubscribeUrl`. */
  footer: (hasUnsubscribeLink: boolean) => string;
  /** The open pixel's address, after the footer; null for none. */
  pixelUrl: string | null;
};

export type Rewritten = { ok: true; html: string } | { ok: false; reason: string };

// Parsers search the open elements at every end tag: with 100,000 of them, a megabyte takes a minute. No layout
// comes near a hundred, but some documents close next to nothing.
const MAX_OPEN_ELEMENTS = 1000;

/**
 * Makes the links of an HTML document tracked and adds footer and pixel (protocols 5.1, 5.4). What changes is
 * the `href` of `a` and `area` elements with an absolute http or https target, and `data-no-track` on those
 * elements, which keeps a link as it is and is removed. Every other byte stays.
 *
 * Left alone: other schemes, relative and protocol-relative addresses (an email has no address of its own that
 * would give them a scheme), what `isTrackableUrl` refuses, and everything that is text to a browser: comments
 * with the conditional ones of Outlook, scripts, styles, and the inert content of `<template>`.
 */
export function rewriteHtml(html: string, options: RewriteOptions): Rewritten {
  const outline = scan(html);
  if (outline === null)
    return { ok: false, reason: `it leaves more than ${MAX_OPEN_ELEMENTS} elements open` };
  const targets = outline.links.map((link) => browserTarget(link.href));
  const isUnsubscribe = (url: string) => url.startsWith(options.unsubscribeUrl);
  const isOwn = (url: string) => isUnsubscribe(url) || options.ownUrls.some((own) => url.startsWith(own));
  const edits: Edit[] = [...outline.removals];
  for (const [index, link] of outline.links.entries()) {
    const url = targets[index] ?? "";
    if (options.click === null || link.isUntracked || isOwn(url) || !isTrackableUrl(url)) continue;
    edits.push({ start: link.start, end: link.end, text: `="${escapeHtml(options.click(url))}"` });
  }
  const pixel = options.pixelUrl === null ? "" : pixelTag(options.pixelUrl);
  const tail = options.footer(targets.some(isUnsubscribe)) + pixel;
  edits.push({ start: outline.bodyEnd, end: outline.bodyEnd, text: tail });
  return { ok: true, html: applyEdits(html, edits) };
}

/** Escapes text for HTML and for double-quoted attribute values. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

function pixelTag(url: string): string {
  const style = "display:block;width:1px;height:1px;border:0";
  return `<img src="${escapeHtml(url)}" alt="" width="1" height="1" style="${style}">`;
}

/** Where a browser would go: the URL standard trims controls and spaces and drops tabs and line breaks. */
function browserTarget(href: string): string {
  let start = 0;
  let end = href.length;
  // No regular expression: `+$` takes a square of the time for blanks in the middle.
  while (start < end && href.charCodeAt(start) <= SPACE) start += 1;
  while (end > start && href.charCodeAt(end - 1) <= SPACE) end -= 1;
  return href.slice(start, end).replace(/[\t\n\r]/g, "");
}

const SPACE = 0x20;

type Edit = { start: number; end: number; text: string };

/** Edits do not overlap; they are applied in the order of the document. */
function applyEdits(html: string, edits: Edit[]): string {
  const parts: string[] = [];
  let done = 0;
  for (const { start, end, text } of edits.sort((a, b) => a.start - b.start)) {
    parts.push(html.slice(done, start), text);
    done = end;
  }
  parts.push(html.slice(done));
  return parts.join("");
}

const BLANKS = " \t\n\f\r";

/** Takes an attribute out with the blanks before it, where no other attribute would grow together. */
function removal(html: string, start: number, end: number): Edit {
  let from = start;
  if (BLANKS.includes(html.charAt(end)) || html[end] === ">") {
    while (BLANKS.includes(html.charAt(from - 1))) from -= 1;
  }
  return { start: from, end, text: "" };
}

/** An `href` with its entities decoded; `start` is behind the attribute's name, `end` behind its value. */
type Link = { start: number; end: number; href: string; isUntracked: boolean };

type Outline = { links: Link[]; removals: Edit[]; bodyEnd: number };

function scan(html: string): Outline | null {
  const scanner = new Scanner(html);
  const tokenizer = new Tokenizer({}, scanner);
  // The line break ends what the end of the document would leave undecided, such as `&am` or `</`.
  tokenizer.write(`${html}\n`);
  tokenizer.end();
  if (scanner.isTooDeep) return null;
  return { links: scanner.links, removals: scanner.removals, bodyEnd: scanner.bodyEnd() };
}

// Once one of these is open, everything up to its own end tag is text.
const TEXT_ELEMENTS = new Set([
  "title",
  "textarea",
  "style",
  "script",
  "iframe",
  "noembed",
  "noframes",
  "xmp",
  "plaintext",
]);

// Elements inside of SVG and MathML whose content is HTML again.
const INTEGRATION_POINTS = new Set([
  "foreignobject",
  "desc",
  "title",
  "mi",
  "mo",
  "mn",
  "ms",
  "mtext",
  "annotation-xml",
]);

const VOID_ELEMENTS = new Set([
  "area",
  "base",
  "br",
  "col",
  "embed",
  "hr",
  "img",
  "input",
  "link",
  "meta",
  "param",
  "source",
  "track",
  "wbr",
]);

const LINK_ELEMENTS = new Set(["a", "area"]);

/**
 * Collects links and the place for the footer from the tokens of a document. Tokens are enough, since no tree
 * is changed: htmlparser2's tokenizer finds the same ones as parse5 (a property of the test says so) in a
 * quarter of its time, and gives their places in the source.
 */
class Scanner implements TokenizerCallbacks {
  readonly links: Link[] = [];
  readonly removals: Edit[] = [];
  isTooDeep = false;
  private readonly html: string;
  private tag = "";
  private attribute = { name: "", start: 0, nameEnd: 0 };
  private value = "";
  private href: Omit<Link, "isUntracked"> | null = null;
  private noTrack: Edit[] = [];
  /** How many elements of a name are open; those that another one's end tag closes stay counted. */
  private readonly open = new Map<string, number>();
  private openCount = 0;
  /** Open `svg` and `math` elements and the integration points inside of them. */
  private foreign: string[] = [];
  private openTemplates: number[] = [];
  private openTextElement: number | null = null;
  private lastBodyEnd: number | null = null;
  /** Behind the last token that is complete. */
  private end = 0;

  constructor(html: string) {
    this.html = html;
  }

  /**
   * Where the footer goes: before the last `</body>`, else at the end, but never inside of a comment, a tag or
   * an element of text that the document forgot to close, where nobody would see it.
   */
  bodyEnd(): number {
    const { lastBodyEnd, end, html, openTextElement, openTemplates } = this;
    return lastBodyEnd ?? Math.min(end, html.length, openTextElement ?? end, openTemplates[0] ?? end);
  }

  onopentagname(start: number, end: number): void {
    this.tag = this.html.slice(start, end).toLowerCase();
    this.href = null;
    this.noTrack = [];
    if (!VOID_ELEMENTS.has(this.tag)) this.count(this.tag, 1);
    if (this.isTooDeep) return;
    if (this.tag === "template") this.openTemplates.push(start - 1);
    else if (TEXT_ELEMENTS.has(this.tag) && !this.isInForeignContext()) this.openTextElement = start - 1;
    if (this.tag === "svg" || this.tag === "math") this.foreign.push(this.tag);
    else if (this.foreign.length > 0 && INTEGRATION_POINTS.has(this.tag)) this.foreign.push(this.tag);
  }

  onattribname(start: number, end: number): void {
    this.value = "";
    const name = LINK_ELEMENTS.has(this.tag) ? this.html.slice(start, end).toLowerCase() : "";
    this.attribute = { name, start, nameEnd: end };
  }

  onattribdata(start: number, end: number): void {
    if (this.attribute.name === "href") this.value += this.html.slice(start, end);
  }

  onattribentity(codePoint: number): void {
    if (this.attribute.name === "href") this.value += String.fromCodePoint(codePoint);
  }

  onattribend(_quote: unknown, end: number): void {
    const { name, start, nameEnd } = this.attribute;
    // Of an attribute that is given twice, the first one counts.
    if (name === "href") this.href ??= { start: nameEnd, end, href: this.value };
    if (name === "data-no-track") this.noTrack.push(removal(this.html, start, end));
  }

  onopentagend(end: number): void {
    this.end = end + 1;
    if (this.openTemplates.length > 0) return;
    for (const edit of this.noTrack) this.removals.push(edit);
    if (this.href !== null) this.links.push({ ...this.href, isUntracked: this.noTrack.length > 0 });
  }

  onselfclosingtag(end: number): void {
    if (this.isInForeignContext()) this.count(this.tag, -1);
    if (this.foreign.length > 0 && this.foreign.at(-1) === this.tag) this.foreign.pop();
    this.onopentagend(end);
  }

  onclosetag(start: number, end: number): void {
    const name = this.html.slice(start, end).toLowerCase();
    const close = this.html.indexOf(">", end);
    if (close === -1) return;
    this.end = close + 1;
    this.openTextElement = null;
    this.count(name, -1);
    if (name === "template") this.openTemplates.pop();
    if (name === "body" && this.openTemplates.length === 0) this.lastBodyEnd = start - 2;
    const opened = this.foreign.lastIndexOf(name);
    if (opened !== -1) this.foreign.length = opened;
  }

  oncomment(_start: number, end: number): void {
    // An unclosed one ends behind the document.
    if (end < this.html.length) this.end = end + 1;
  }

  oncdata(_start: number, end: number): void {
    this.oncomment(0, end);
  }

  ondeclaration(_start: number, end: number): void {
    this.oncomment(0, end);
  }

  onprocessinginstruction(_start: number, end: number): void {
    this.oncomment(0, end);
  }

  ontext(start: number, end: number): void {
    // What breaks off inside of a tag is reported as text without a beginning.
    if (start >= 0) this.end = end;
  }

  ontextentity(_codePoint: number, end: number): void {
    this.end = end;
  }

  onend(): void {}

  private count(name: string, step: 1 | -1): void {
    const open = this.open.get(name) ?? 0;
    if (open + step < 0) return;
    this.open.set(name, open + step);
    this.openCount += step;
    if (this.openCount > MAX_OPEN_ELEMENTS) this.isTooDeep = true;
  }

  isInForeignContext(): boolean {
    const innermost = this.foreign.at(-1);
    return innermost === "svg" || innermost === "math";
  }
}
