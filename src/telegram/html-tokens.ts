/**
 * The reading of Telegram's markup, as its own parser does it: what is not certain to mean the same there is not read.
 */

type Rules = Record<string, (value: string | null) => boolean>;

type Attribute = { name: string; value: string | null; start: number; end: number };

export type Token =
  | { kind: "text"; text: string; start: number }
  | { kind: "open"; name: string; attributes: Attribute[]; start: number }
  | { kind: "close"; name: string; start: number };

type Tokens = { ok: true; tokens: Token[] } | { ok: false; reason: string };

/** Keeps a link as it is; only we know it, so it is taken out. */
export const NO_TRACK = "data-no-track";

const isAnything = () => true;
const isPresent = (value: string | null) => value === null || value === "";

/** The tags and what their attributes may say. */
const TAGS = new Map<string, Rules>([
  ["a", { href: (value) => value !== null && value !== "", [NO_TRACK]: isAnything }],
  ...["b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "tg-spoiler", "pre"].map(
    (name): [string, Rules] => [name, {}],
  ),
  ["span", { class: (value) => value === "tg-spoiler" }],
  ["code", { class: (value) => value?.startsWith("language-") ?? false }],
  ["blockquote", { expandable: isPresent }],
  ["tg-emoji", { "emoji-id": (value) => /^[1-9]\d{0,18}$/.test(value ?? "") }],
  [
    "tg-time",
    {
      unix: (value) => /^[1-9]\d{0,9}$/.test(value ?? ""),
      format: (value) => /^(r|w?[dD]?[tT]?)$/.test(value ?? ""),
    },
  ],
]);

/** Without it, the tag says nothing, or Telegram refuses it. */
const NEEDED = new Map([
  ["a", "href"],
  ["span", "class"],
  ["tg-emoji", "emoji-id"],
  ["tg-time", "unix"],
]);

const NAMED_ENTITIES = new Map([
  ["lt", "<"],
  ["gt", ">"],
  ["amp", "&"],
  ["quot", '"'],
]);

/** What stands for an output of Liquid in a template's markup. */
export const OUTPUT = "{{}}";

const MAX_SHOWN = 40;

// Sticky: each is tried at one place only.
const END_TAG = /<\/([A-Za-z][A-Za-z0-9-]*)[ \t\r\n]*>/y;
const START_TAG = /<([A-Za-z][A-Za-z0-9-]*)/y;
const ATTRIBUTE = /[ \t\r\n]+([A-Za-z-]+)(?:[ \t\r\n]*=[ \t\r\n]*(?:"([^"]*)"|'([^']*)'))?/y;
const TAG_END = /[ \t\r\n]*>/y;
const ENTITY = /&(?:#x([0-9A-Fa-f]*)|#([0-9]*)|([A-Za-z]*))(;?)/y;

class Unreadable extends Error {}

/**
 * The tags and texts, decoded; a reason says why it can't be read, and in which line.
 * @param options `isTemplate`: attributes with an `OUTPUT` in them are not judged
 */
export function tokenize(html: string, options: { isTemplate: boolean }): Tokens {
  const tokens: Token[] = [];
  let at = 0;
  try {
    while (at < html.length) {
      const next = html.indexOf("<", at);
      const textEnd = next === -1 ? html.length : next;
      if (textEnd > at) tokens.push(readText(html, at, textEnd));
      at = textEnd;
      if (next === -1) break;
      at = readTag(html, at, tokens, options);
    }
    return { ok: true, tokens };
  } catch (error) {
    if (error instanceof Unreadable) return { ok: false, reason: error.message };
    throw error;
  }
}

function readText(html: string, start: number, end: number): Token {
  return { kind: "text", text: decode(html.slice(start, end), (at) => lineOf(html, start + at)), start };
}

/** @returns where it ends */
function readTag(html: string, start: number, tokens: Token[], options: { isTemplate: boolean }): number {
  const close = matchAt(END_TAG, html, start);
  if (close !== null) {
    tokens.push({ kind: "close", name: knownTag(html, start, close[1]), start });
    return start + close[0].length;
  }
  const open = matchAt(START_TAG, html, start);
  if (open === null) throw unreadable(html, start, 'has a "<" that begins no tag: write &lt;');
  const name = knownTag(html, start, open[1]);
  const attributes: Attribute[] = [];
  let at = start + open[0].length;
  for (;;) {
    const end = matchAt(TAG_END, html, at);
    if (end !== null) {
      checkAttributes(html, start, name, attributes, options);
      tokens.push({ kind: "open", name, attributes, start });
      return at + end[0].length;
    }
    const attribute = matchAt(ATTRIBUTE, html, at);
    if (attribute === null)
      throw unreadable(html, start, `has a tag that is not written as <${name}> or <${name} name="value">`);
    const [whole, attributeName = "", double, single] = attribute;
    const written = double ?? single;
    const value = written === undefined ? null : decode(written, () => lineOf(html, at));
    attributes.push({ name: attributeName, value, start: at, end: at + whole.length });
    at += whole.length;
  }
}

function knownTag(html: string, start: number, written = ""): string {
  const name = written.toLowerCase();
  if (TAGS.has(name)) return name;
  throw unreadable(
    html,
    start,
    `has the tag <${shown(name)}>; Telegram knows ${[...TAGS.keys()].join(", ")}`,
  );
}

function checkAttributes(
  html: string,
  start: number,
  tag: string,
  attributes: readonly Attribute[],
  { isTemplate }: { isTemplate: boolean },
): void {
  const seen = new Set<string>();
  for (const { name, value } of attributes) {
    const isAllowed = TAGS.get(tag)?.[name];
    if (isAllowed === undefined)
      throw unreadable(
        html,
        start,
        `has the attribute ${shown(name)} in <${tag}>, which Telegram does not know`,
      );
    // Liquid may choose one of several.
    if (seen.has(name) && !isTemplate) throw unreadable(html, start, `has ${name} twice in one <${tag}>`);
    seen.add(name);
    const isUnknown = isTemplate && value?.includes(OUTPUT) === true;
    if (!isUnknown && !isAllowed(value))
      throw unreadable(
        html,
        start,
        `has ${name}="${shown(value ?? "")}" in <${tag}>, which says nothing to Telegram`,
      );
  }
  const needed = NEEDED.get(tag);
  if (needed !== undefined && !seen.has(needed))
    throw unreadable(html, start, `has <${tag}> without ${needed}`);
}

/** Entities as Telegram decodes them: what is none stays, and an & by itself needs no escaping. */
function decode(source: string, lineAt: (at: number) => number): string {
  let decoded = "";
  let done = 0;
  for (let at = source.indexOf("&"); at !== -1; at = source.indexOf("&", done)) {
    decoded += source.slice(done, at);
    const [whole = "&", hex, decimal, name, semicolon] = matchAt(ENTITY, source, at) ?? [];
    const length = whole.length - (semicolon?.length ?? 0);
    const code = hex === undefined ? Number.parseInt(decimal ?? "", 10) : Number.parseInt(hex, 16);
    const isNumber = name === undefined && code > 0 && code < 0x10ffff && length < 10;
    const isHalf = isNumber && code >= 0xd800 && code <= 0xdfff;
    const character = isNumber ? String.fromCodePoint(code) : NAMED_ENTITIES.get(name ?? "");
    if (isHalf || (character === undefined && semicolon === ";" && whole.length > 2))
      throw new Unreadable(
        `has ${shown(whole)}, which Telegram does not decode: write the character itself, line ${lineAt(at)}`,
      );
    decoded += character ?? "&";
    done = at + (character === undefined ? 1 : whole.length);
  }
  return decoded + source.slice(done);
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function unreadable(html: string, at: number, reason: string): Unreadable {
  return new Unreadable(`${reason}, line ${lineOf(html, at)}`);
}

/** From 1. */
export function lineOf(html: string, at: number): number {
  return html.slice(0, at).split("\n").length;
}

function shown(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
