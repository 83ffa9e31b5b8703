import { type Options, parse } from "csv-parse/sync";
import type { LineEnd, Span, SplitFault } from "./split.ts";

/** How the records of a file are written. Cells may be quoted by `"`; a quote in a quoted cell is written twice. */
export type Layout = { separator: string; lineEnd: LineEnd };

export type Fault = SplitFault | "bad_quote" | "too_many_cells";

export type Parsed = { cells: string[] } | { fault: Fault };

/**
 * Reads the cells of records. Spaces around a cell do not count, but inside its quotes they do; empty cells at the
 * end beyond `maxCells` neither.
 * @returns one for each span, or fewer: a record of several lines that makes no sense is the last, with its fault, as
 * where its lines belong is not known. Whoever asked goes on at its second line.
 */
export function parseRecords(
  text: string,
  spans: readonly Span[],
  layout: Layout,
  maxCells: number,
): Parsed[] {
  const options = optionsOf(layout);
  const whole = parseTogether(text, spans, layout, options);
  const parsed: Parsed[] = [];
  for (const [index, span] of spans.entries()) {
    const cells = whole?.[index] ?? parseOne(text, span, options);
    const record = limited(cells, maxCells);
    parsed.push(record);
    if ("fault" in record && span.secondLine !== span.next) break;
  }
  return parsed;
}

function optionsOf({ separator, lineEnd }: Layout): Options {
  return {
    delimiter: separator,
    record_delimiter: lineEnd === "\n" ? ["\r\n", "\n"] : ["\r"],
    relax_column_count: true,
    trim: true,
  };
}

/** All at once, which is several times faster; null when that goes wrong, so that each has to be looked at. */
function parseTogether(
  text: string,
  spans: readonly Span[],
  { lineEnd }: Layout,
  options: Options,
): string[][] | null {
  if (spans.some((span) => span.fault !== null)) return null;
  try {
    // The parser does not see an empty line at the end.
    const records = parse(
      `${spans.map(({ start, end }) => text.slice(start, end)).join(lineEnd)}${lineEnd}`,
      options,
    );
    return records.length === spans.length ? records : null;
  } catch {
    return null;
  }
}

function parseOne(text: string, { start, end, fault }: Span, options: Options): string[] | Fault {
  if (fault !== null) return fault;
  try {
    const records = parse(text.slice(start, end), options);
    const [cells = []] = records;
    return records.length <= 1 ? cells : "bad_quote";
  } catch {
    return "bad_quote";
  }
}

function limited(cells: string[] | Fault, maxCells: number): Parsed {
  if (typeof cells === "string") return { fault: cells };
  if (cells.length <= maxCells) return { cells };
  return cells.slice(maxCells).every((cell) => cell === "")
    ? { cells: cells.slice(0, maxCells) }
    : { fault: "too_many_cells" };
}
