export type LineEnd = "\n" | "\r";

export type SplitFault = "quote_not_closed" | "too_long";

/** One record in a text: a line, or the lines over which a quoted cell goes. */
export type Span = {
  start: number;
  end: number;
  /** Where the next record begins. */
  next: number;
  /** Where the record's second line begins; `next` when it has one line. */
  secondLine: number;
  fault: SplitFault | null;
};

/** The most a call finds, in records and in characters, and the most characters a record may have. */
export type SplitLimits = { records: number; chars: number; recordChars: number };

/**
 * Finds where records begin and end, from `from` on. A quote that is never closed costs its own line only: when the
 * quotes do not add up within `recordChars`, the line is taken by itself, with a fault, and the next line begins anew.
 * @param isLast whether the file ends with this text
 * @returns none when the text ends within the first record, or at its beginning
 */
export function splitRecords(
  text: string,
  from: number,
  lineEnd: LineEnd,
  limits: SplitLimits,
  isLast: boolean,
): Span[] {
  const spans: Span[] = [];
  const countQuotes = quoteCounter(text);
  for (
    let start = from;
    start < text.length && spans.length < limits.records && start - from < limits.chars;
  ) {
    const span = nextSpan({ text, start, lineEnd, maxChars: limits.recordChars, isLast, countQuotes });
    if (span === null) break;
    spans.push(span);
    start = span.next;
  }
  return spans;
}

type Search = {
  text: string;
  start: number;
  lineEnd: LineEnd;
  maxChars: number;
  isLast: boolean;
  countQuotes: (start: number, end: number) => number;
};

function nextSpan({ text, start, lineEnd, maxChars, isLast, countQuotes }: Search): Span | null {
  let quotes = 0;
  let first: Span | null = null;
  for (let lineStart = start; lineStart < text.length; ) {
    const found = text.indexOf(lineEnd, lineStart);
    const end = found === -1 ? text.length : found;
    const next = found === -1 ? end : end + 1;
    if (end - start > maxChars && first !== null) break;
    if (found === -1 && !isLast) return null;
    const trimmed = lineEnd === "\n" && end > lineStart && text[end - 1] === "\r" ? end - 1 : end;
    const span: Span = { start, end: trimmed, next, secondLine: first?.next ?? next, fault: null };
    if (end - start > maxChars) return { ...span, fault: "too_long" };
    quotes += countQuotes(lineStart, end);
    if (quotes % 2 === 0) return span;
    first ??= span;
    lineStart = next;
  }
  const isUnclosed = first !== null && (isLast || text.length - start > maxChars);
  return first !== null && isUnclosed ? { ...first, fault: "quote_not_closed" } : null;
}

/** Counts quotes, remembering where the next one is: most lines of most files have none. */
function quoteCounter(text: string): (start: number, end: number) => number {
  let known = -1;
  let next = -1;
  return (start, end) => {
    if (known === -1 || start < known || (next !== -1 && next < start)) next = text.indexOf('"', start);
    let count = 0;
    for (; next !== -1 && next < end; next = text.indexOf('"', next + 1)) count += 1;
    known = end;
    return count;
  };
}
