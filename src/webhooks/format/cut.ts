const MORE = "…";
const BLANKS = /[\s\p{Cc}]+/gu;
/** They let what comes after them be shown in another place. */
const DIRECTIONS = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;
const LINE_ENDS = /\r\n?|[\n\u2028\u2029]/;
const MAX_LINES = 12;

/** Other people's text on one line, of at most `max` UTF-16 code units; what was cut ends with "…". */
export function tidy(text: string, max: number): string {
  return cut(text.replace(DIRECTIONS, "").replace(BLANKS, " ").trim().toWellFormed(), max);
}

/** The same, with its first lines on lines of their own. */
export function tidyLines(text: string, max: number): string {
  const lines = text.split(LINE_ENDS).map((line) => tidy(line, max));
  const shown = lines.filter((line) => line !== "");
  const rest = shown.length > MAX_LINES ? [MORE] : [];
  return cut([...shown.slice(0, MAX_LINES), ...rest].join("\n"), max);
}

/** At most `max` UTF-16 code units, visibly cut, and no character in halves. */
export function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  const isHalf = /[\uD800-\uDBFF]/.test(text.charAt(max - 2));
  return text.slice(0, max - (isHalf ? 2 : 1)) + MORE;
}

/**
 * The same for a text that is written with escapes, none of which is cut in halves either.
 * @param unit matches one escape, or else one character; flags `g`, `s` and `u`
 */
export function cutEscaped(text: string, max: number, unit: RegExp): string {
  if (text.length <= max) return text;
  let end = 0;
  for (const [written] of text.matchAll(unit)) {
    if (end + written.length > max - MORE.length) break;
    end += written.length;
  }
  return text.slice(0, end) + MORE;
}
