import { parseRecords } from "./parse.ts";
import { type LineEnd, splitRecords } from "./split.ts";

export const SEPARATORS = [",", ";", "\t", "|"] as const;

export type Separator = (typeof SEPARATORS)[number];

export type Format = {
  separator: Separator;
  lineEnd: LineEnd;
  hasHeader: boolean;
  /** One name for each column, no name twice. */
  columns: string[];
  /** Where the first row begins in the text, and its number: the file's first line is row 1. */
  firstOffset: number;
  firstRow: number;
};

/** What somebody who knows better says about a file. */
export type FormatChoice = { separator: Separator | null; hasHeader: boolean | null };

/** Room for a contact whose attributes are as large as they may be, with every quote doubled. */
export const MAX_RECORD_CHARS = 160 * 1024;
export const MAX_COLUMNS = 1_000;
const SAMPLE_RECORDS = 50;
const SAMPLE_ROWS = 5;
const MAX_SAMPLE_CHARS = 200;
const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;
const EMAIL_NAME = /mail|^(address|to)$/i;

/**
 * Finds out how a file is written from its first piece.
 * @returns the first rows as a sample; null when there is no line with anything in it
 */
export function detectFormat(
  text: string,
  isLast: boolean,
  choice: FormatChoice,
): { format: Format; sample: string[][] } | null {
  const lineEnd: LineEnd = !text.includes("\n") && text.includes("\r") ? "\r" : "\n";
  // What some spreadsheets write above everything else.
  const [announcement, announced] = /^"?sep=([,;\t|])"?\r?\n?/.exec(text) ?? [""];
  const limits = { records: SAMPLE_RECORDS, chars: Number.POSITIVE_INFINITY, recordChars: MAX_RECORD_CHARS };
  const spans = splitRecords(text, announcement.length, lineEnd, limits, isLast);
  const read = (separator: string) =>
    parseRecords(text, spans, { separator, lineEnd }, Number.POSITIVE_INFINITY).flatMap((record, index) =>
      "cells" in record && record.cells.some((cell) => cell !== "") ? [{ index, cells: record.cells }] : [],
    );
  const separator =
    choice.separator ?? SEPARATORS.find((known) => known === announced) ?? likeliest(spans.length, read);
  const records = read(separator);
  const [first] = records;
  if (first === undefined) return null;
  const hasHeader = choice.hasHeader ?? isHeader(first.cells);
  const width = Math.max(...records.map(({ cells }) => cells.length));
  const columns = hasHeader
    ? uniqueNames(first.cells.map(storable))
    : Array.from({ length: width }, (_, at) => numbered(at));
  const firstSpan = spans[first.index];
  const before = first.index + (announcement === "" ? 1 : 2);
  return {
    format: {
      separator,
      lineEnd,
      hasHeader,
      columns,
      firstOffset: (hasHeader ? firstSpan?.next : firstSpan?.start) ?? 0,
      firstRow: hasHeader ? before + 1 : before,
    },
    sample: records
      .slice(hasHeader ? 1 : 0, SAMPLE_ROWS + (hasHeader ? 1 : 0))
      .map(({ cells }) => cells.map((cell) => storable(cell.slice(0, MAX_SAMPLE_CHARS)))),
  };
}

/** The separator by which most lines have one number of cells, the more the better, and more than one. */
function likeliest(lines: number, read: (separator: Separator) => { cells: string[] }[]): Separator {
  const scored = SEPARATORS.map((separator) => {
    const widths = new Map<number, number>();
    for (const { cells } of read(separator)) widths.set(cells.length, (widths.get(cells.length) ?? 0) + 1);
    const [width, count] = [...widths].sort((a, b) => b[1] - a[1])[0] ?? [0, 0];
    return { separator, width, score: width < 2 ? 0 : count / lines };
  });
  const best = scored.toSorted((a, b) => b.score - a.score || b.width - a.width)[0];
  return best === undefined || best.score === 0 ? "," : best.separator;
}

function isHeader(cells: readonly string[]): boolean {
  return (
    cells.some((cell) => EMAIL_NAME.test(cell) && !cell.includes("@")) ||
    !cells.some((cell) => EMAIL.test(cell))
  );
}

function uniqueNames(cells: readonly string[]): string[] {
  const taken = new Set(cells);
  const seen = new Set<string>();
  return cells.map((cell, at) => {
    let name = cell === "" ? numbered(at) : cell;
    for (let number = 2; seen.has(name) || (name !== cell && taken.has(name)); number += 1)
      name = `${cell === "" ? numbered(at) : cell} (${number})`;
    seen.add(name);
    return name;
  });
}

/** PostgreSQL keeps neither NUL nor half of a surrogate pair. */
function storable(text: string): string {
  return text.replaceAll("\0", "\ufffd").toWellFormed();
}

const numbered = (at: number) => `Column ${at + 1}`;
