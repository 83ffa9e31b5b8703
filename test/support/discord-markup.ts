import { nothingShown, type Shown } from "./shown.ts";

const ESCAPE = /\\([^0-9A-Za-z\s])/y;
const MASKED_LINK = /\[((?:\\.|[^\]\\])+)\]\(<?(https?:\/\/[^\s)>]+)>?\)/y;
const BARE_LINK = /<?(?:https?|steam):\/\/[^\s<>]+>?/y;
const MENTION = /@everyone|@here|<@[!&]?\d+>|<#\d+>|<\/[^<>]+:\d+>|<id:\w+>/y;
const TIMESTAMP = /<t:-?\d+(?::[tTdDfFR])?>/y;
const EMOJI = /<a?:\w+:\d+>|:\w+:/y;
/** What begins emphasis where the same comes again later, unescaped. */
const PAIRS = /(\*\*\*|\*\*|\*|__|_|~~|\|\||`+)(?=[\s\S]+?(?<!\\)\1)/y;
const LINE_START = /#{1,3} |-# |>{1,3} ?|[ \t]*[-*+] |[ \t]*\d+\. /y;

/** What Discord makes of a text in its markdown; stricter than Discord in what it takes for emphasis. */
export function readMarkdown(source: string): Shown {
  const shown = nothingShown();
  for (let at = 0; at < source.length; ) {
    const found = readAt(shown, source, at);
    shown.text += found.text;
    at += found.length;
  }
  return shown;
}

function readAt(shown: Shown, source: string, at: number): { text: string; length: number } {
  const match = (pattern: RegExp) => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  const start = at === 0 || source[at - 1] === "\n" ? match(LINE_START) : null;
  if (start !== null) shown.formats.push(start[0]);
  const escaped = match(ESCAPE);
  if (escaped !== null) return { text: escaped[1] ?? "", length: 2 };
  const masked = match(MASKED_LINK);
  if (masked !== null) {
    const [whole, label = "", url = ""] = masked;
    shown.links.push({ label, url });
    return { text: label, length: whole.length };
  }
  const link = match(BARE_LINK);
  if (link !== null) {
    shown.links.push({ label: link[0], url: link[0].replace(/^<|>$/g, "") });
    return { text: link[0], length: link[0].length };
  }
  const mention = match(MENTION);
  if (mention !== null) {
    shown.mentions.push(mention[0]);
    return { text: mention[0], length: mention[0].length };
  }
  const timestamp = match(TIMESTAMP);
  if (timestamp !== null) return { text: timestamp[0], length: timestamp[0].length };
  const format = match(EMOJI) ?? match(PAIRS);
  if (format !== null) shown.formats.push(format[0]);
  const character = format?.[0] ?? String.fromCodePoint(source.codePointAt(at) ?? 0);
  return { text: character, length: character.length };
}
