import { type Format, MAX_RECORD_CHARS } from "./detect.ts";
import { decodeChunk, type Encoding } from "./encoding.ts";
import { type Fault, type Parsed, parseRecords } from "./parse.ts";
import { type Span, type SplitLimits, splitRecords } from "./split.ts";

/** Where the next record of a file begins: an offset in the text of a chunk. */
export type Cursor = { chunk: number; offset: number; row: number };

export type FileRow = {
  /** As a spreadsheet counts: the file's first line is row 1, and a record of several lines is one. */
  row: number;
  /** The record as it stands in the file, its beginning if it is long. */
  line: string;
  isCut: boolean;
} & ({ cells: string[] } | { fault: Fault | "nul" | "undecodable" });

export type Batch = {
  /** Without the rows that have nothing in them. */
  rows: FileRow[];
  cursor: Cursor;
  /** Of the whole file, how much lies before the cursor. */
  doneBytes: number;
  isLast: boolean;
};

export type ChunkSource = {
  chunks: number;
  /** A chunk and where in the file it begins. */
  load(number: number): Promise<{ bytes: Buffer; startBytes: number }>;
};

const BATCH = { records: 500, chars: 512 * 1024, recordChars: MAX_RECORD_CHARS };
const MAX_LINE_CHARS = 16 * 1024;
const REPLACEMENT = "\ufffd";

/** A chunk whose text is in the text at hand: its beginning is at `at` there, before it when that is negative. */
type Part = {
  chunk: number;
  at: number;
  chars: number;
  bytes: number;
  startBytes: number;
  isDamaged: boolean;
};

/**
 * Reads a file from a cursor on, a batch at a time. Holds a chunk or two, and no more of a line than may be in one.
 * @returns a function that gives the next batch
 */
export function createReader(
  source: ChunkSource,
  format: Format & { encoding: Encoding },
  start: Cursor,
  limits: SplitLimits = BATCH,
): () => Promise<Batch> {
  const window = createWindow(source, format.encoding, start, limits.recordChars);
  let row = start.row;

  async function nextSpans(): Promise<Span[]> {
    for (;;) {
      const isLast = window.isLast();
      const spans = splitRecords(window.text(), window.at(), format.lineEnd, limits, isLast);
      if (spans.length > 0 || isLast) return spans;
      await window.loadMore();
    }
  }

  return async () => {
    const spans = await nextSpans();
    const text = window.text();
    const parsed = parseRecords(text, spans, format, format.columns.length);
    const rows = parsed.flatMap((record, index) => {
      const span = spans[index];
      if (span === undefined || isEmpty(record)) return [];
      return [fileRow(record, lineOf(text, span, record), row + index, window.isDamagedAt(span.start))];
    });
    const last = spans[parsed.length - 1];
    const isBroken = "fault" in (parsed.at(-1) ?? {});
    window.moveTo((isBroken ? last?.secondLine : last?.next) ?? text.length);
    row += parsed.length;
    const { chunk, offset, doneBytes } = window.place();
    const isLast = window.isLast() && window.at() >= text.length;
    return { rows, cursor: { chunk, offset, row }, doneBytes, isLast };
  };
}

/** What of a file is in memory: the text from the first record that has not been read to the end of a chunk. */
function createWindow(source: ChunkSource, encoding: Encoding, start: Cursor, recordChars: number) {
  let text = "";
  let at = 0;
  let parts: Part[] = [];
  let nextChunk = start.chunk;

  /** The chunk in which a place of the text lies; the end of the text is in the last. */
  const partAt = (place: number) => parts.findLast((part) => part.at <= place) ?? parts[0];

  return {
    text: () => text,
    at: () => at,
    moveTo(place: number) {
      at = place;
    },
    isLast: () => nextChunk >= source.chunks,
    isDamagedAt: (place: number) => partAt(place)?.isDamaged === true,

    /** Where the next record begins, in the file. */
    place() {
      const part = partAt(at);
      if (part === undefined) return { ...start, doneBytes: 0 };
      const offset = at - part.at;
      const share = offset / Math.max(part.chars, 1);
      return { chunk: part.chunk, offset, doneBytes: part.startBytes + Math.round(part.bytes * share) };
    },

    async loadMore(): Promise<void> {
      const chunk = nextChunk;
      const { bytes, startBytes } = await source.load(chunk);
      const { text: decoded, isDamaged } = decodeChunk(bytes, encoding, chunk === 0);
      const skipped = chunk === start.chunk ? start.offset : 0;
      // What was read is let go; of a line that is too long only as much is kept as shows that it is.
      const kept = text.slice(at, at + recordChars + 1);
      parts = parts
        .filter((_, index) => index === parts.length - 1 || (parts[index + 1]?.at ?? 0) > at)
        .map((part) => ({ ...part, at: part.at - at }));
      const place = { chunk, at: kept.length - skipped, chars: decoded.length };
      parts.push({ ...place, bytes: bytes.length, startBytes, isDamaged });
      text = kept + decoded.slice(skipped);
      at = 0;
      nextChunk += 1;
    },
  };
}

function fileRow(record: Parsed, whole: string, row: number, isDamaged: boolean): FileRow {
  const isCut = whole.length > MAX_LINE_CHARS;
  const line = whole.slice(0, MAX_LINE_CHARS).toWellFormed().replaceAll("\0", REPLACEMENT);
  if ("fault" in record) return { row, line, isCut, fault: record.fault };
  if (whole.includes("\0")) return { row, line, isCut, fault: "nul" };
  return !whole.isWellFormed() || (isDamaged && whole.includes(REPLACEMENT))
    ? { row, line, isCut, fault: "undecodable" }
    : { row, line, isCut, cells: record.cells };
}

/** Of several lines that make no sense together only the first is what was read. */
function lineOf(text: string, span: Span, record: Parsed): string {
  if ("cells" in record || span.secondLine === span.next) return text.slice(span.start, span.end);
  return text.slice(span.start, span.secondLine).replace(/[\r\n]+$/, "");
}

function isEmpty(record: Parsed): boolean {
  return "cells" in record && record.cells.every((cell) => cell === "");
}
