import { nothingShown, type Shown } from "./shown.ts";

const CONTROL = /<([^<>\n]+)>/y;
const BARE_LINK = /https?:\/\/[^\s<>|]+/y;
const BARE_ADDRESS = /[\w.+-]+@[\w-]+(?:\.[\w-]+)+/y;
const EMOJI = /:[a-z0-9_+'-]+:/y;
const PAIRS = [/```[\s\S]+?```/y, /`[^`\n]+`/y, /\*[^*\n]+\*/y, /_[^_\n]+_/y, /~[^~\n]+~/y];
/** Slack draws a quote also where the `>` was escaped. */
const LINE_STARTS = /(?:>|&gt;)/y;

/** What Slack makes of a `mrkdwn` text; stricter than Slack in what it takes for emphasis. */
export function readMrkdwn(
  source: string,
  { isVerbatim, isFormatted }: { isVerbatim: boolean; isFormatted: boolean },
): Shown {
  const shown = nothingShown();
  for (let at = 0; at < source.length; ) {
    const match = (pattern: RegExp) => matchAt(pattern, source, at);
    const control = match(CONTROL);
    if (control !== null) readControl(shown, control.slice(1, -1));
    const bare = isVerbatim || control !== null ? null : (match(BARE_LINK) ?? match(BARE_ADDRESS));
    if (bare !== null) shown.links.push({ label: decode(bare), url: decode(bare) });
    if (control === null && isFormatted) shown.formats.push(...formatsAt(source, at));
    const taken = control ?? bare ?? String.fromCodePoint(source.codePointAt(at) ?? 0);
    if (control === null) shown.text += taken;
    at += taken.length;
  }
  return { ...shown, text: decode(shown.text) };
}

/** What Slack makes of a `plain_text`: nothing is looked for in it, but for emoji where that is not switched off. */
export function readPlainText(source: string, { hasEmoji }: { hasEmoji: boolean }): Shown {
  const formats = hasEmoji ? [...source.matchAll(new RegExp(EMOJI.source, "g"))].map(([name]) => name) : [];
  return { ...nothingShown(), text: decode(source), formats };
}

function readControl(shown: Shown, inner: string): void {
  const [target = "", label] = inner.split("|", 2);
  if (/^[@#]/.test(target)) shown.mentions.push(target);
  else if (target.startsWith("!date^")) shown.text += label ?? "";
  else if (target.startsWith("!")) shown.mentions.push(target);
  else {
    shown.links.push({ label: decode(label ?? target), url: decode(target) });
    shown.text += label ?? target;
  }
}

function formatsAt(source: string, at: number): string[] {
  const isLineStart = at === 0 || source[at - 1] === "\n";
  const patterns = isLineStart ? [...PAIRS, EMOJI, LINE_STARTS] : [...PAIRS, EMOJI];
  return patterns.flatMap((pattern) => matchAt(pattern, source, at) ?? []);
}

function matchAt(pattern: RegExp, source: string, at: number): string | null {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0] ?? null;
}

// Exactly these three, and each once.
function decode(text: string): string {
  const characters = new Map([
    ["&amp;", "&"],
    ["&lt;", "<"],
    ["&gt;", ">"],
  ]);
  return text.replace(/&(?:amp|lt|gt);/g, (entity) => characters.get(entity) ?? entity);
}
