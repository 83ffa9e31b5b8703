import { escapeHtml } from "../tracking/rewrite.ts";
import { lineOf, NO_TRACK, OUTPUT, type Token, tokenize } from "./html-tokens.ts";

/**
 * Telegram's own markup, which looks like HTML and is less: what counts is what its parser makes of it (parse_html in
 * tdlib's MessageEntity.cpp). What passes here means the same to it; some of what it would silently drop is refused.
 */

export type HtmlCheck =
  /** `length`: UTF-16 code units of the text that remains, trimmed; Telegram counts no more than that. */
  { ok: true; length: number } | { ok: false; reason: string };

/** A link with its address as Telegram reads it. */
export type HtmlLink = { url: string; isTracked: boolean };

/** Whether Telegram takes a text for what it says; a reason names the line. */
export function checkHtml(html: string): HtmlCheck {
  const read = tokenize(html, { isTemplate: false });
  if (!read.ok) return read;
  const reason = nestingProblem(html, read.tokens);
  return reason === null ? { ok: true, length: lengthOf(textOf(read.tokens)) } : { ok: false, reason };
}

/**
 * The same for a Liquid template, as `markupOf` gives it: attributes with outputs in them are not judged, and `length`
 * leaves the outputs out.
 * @param isWhole false: only some of it is rendered, so that only each tag for itself is looked at
 */
export function checkMarkup(markup: string, { isWhole }: { isWhole: boolean }): HtmlCheck {
  const read = tokenize(markup, { isTemplate: true });
  if (!read.ok) return read;
  const reason = isWhole ? nestingProblem(markup, read.tokens) : null;
  if (reason !== null) return { ok: false, reason };
  return { ok: true, length: lengthOf(textOf(read.tokens).replaceAll(OUTPUT, "")) };
}

/** The links of a text, or of a Liquid template as `markupOf` gives it; null when it can't be read. */
export function linksOf(html: string): HtmlLink[] | null {
  const read = tokenize(html, { isTemplate: true });
  if (!read.ok) return null;
  return read.tokens.flatMap((token) => {
    if (token.kind !== "open") return [];
    const isTracked = token.attributes.every(({ name }) => name !== NO_TRACK);
    return token.attributes.flatMap(({ name, value }) =>
      name === "href" && value !== null ? [{ url: value, isTracked }] : [],
    );
  });
}

/**
 * The same text with other addresses behind its links. Links with `data-no-track` stay, without it.
 * @param html what `checkHtml` has nothing against
 * @param click the address to put in the place of one, which may be the same
 */
export function rewriteLinks(html: string, click: (url: string) => string): string {
  const read = tokenize(html, { isTemplate: false });
  if (!read.ok) return html;
  const parts: string[] = [];
  let done = 0;
  for (const token of read.tokens) {
    if (token.kind !== "open") continue;
    const isTracked = token.attributes.every(({ name }) => name !== NO_TRACK);
    for (const { name, value, start, end } of token.attributes) {
      if (name !== NO_TRACK && (name !== "href" || value === null || !isTracked)) continue;
      const isLink = name === "href" && value !== null;
      parts.push(html.slice(done, start), isLink ? ` href="${escapeHtml(click(value))}"` : "");
      done = end;
    }
  }
  parts.push(html.slice(done));
  return parts.join("");
}

function nestingProblem(html: string, tokens: readonly Token[]): string | null {
  const open: { name: string; start: number }[] = [];
  for (const token of tokens) {
    if (token.kind === "text") continue;
    const innermost = open.at(-1);
    if (token.kind === "open") {
      const reason = placeProblem(token.name, open);
      if (reason !== null) return `${reason}, line ${lineOf(html, token.start)}`;
      open.push(token);
    } else if (innermost?.name !== token.name) {
      const expected =
        innermost === undefined ? "where nothing is open" : `where </${innermost.name}> has to come`;
      return `has </${token.name}> ${expected}, line ${lineOf(html, token.start)}`;
    } else open.pop();
  }
  const unclosed = open.at(-1);
  if (unclosed === undefined) return null;
  return `does not close <${unclosed.name}>, line ${lineOf(html, unclosed.start)}`;
}

/** Telegram would take the one of the two away and say nothing. */
function placeProblem(name: string, open: readonly { name: string }[]): string | null {
  const innermost = open.at(-1)?.name;
  const isInPre = innermost === "pre" && name !== "code";
  if (innermost === "code" || isInPre) return `has <${name}> inside of <${innermost}>`;
  const isNeverInItself = name === "a" || name === "blockquote";
  return isNeverInItself && open.some((outer) => outer.name === name)
    ? `has <${name}> inside of <${name}>`
    : null;
}

function textOf(tokens: readonly Token[]): string {
  return tokens.map((token) => (token.kind === "text" ? token.text : "")).join("");
}

/** Telegram takes blanks off both ends. */
function lengthOf(text: string): number {
  let start = 0;
  let end = text.length;
  while (start < end && " \t\r\n".includes(text.charAt(start))) start += 1;
  while (end > start && " \t\r\n".includes(text.charAt(end - 1))) end -= 1;
  return end - start;
}
