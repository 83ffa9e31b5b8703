import { stringify } from "csv-stringify/sync";

export type Dialect = {
  separator: string;
  /**
   * For a spreadsheet that would take `=…` for a formula: an apostrophe goes before what begins like one, and a mark
   * before the file says that it is UTF-8. Such a file is not what was stored; by default nothing is changed.
   */
  spreadsheet: boolean;
};

// What stands at a cell's edge or ends a line would not survive without quotes.
const NEEDS_QUOTES = /^\s|\s$|[\r\n]/;
export const BOM = "\ufeff";

/** Lines of a CSV file (RFC 4180), each ended by CR and LF. */
export function toCsv(rows: readonly (readonly string[])[], { separator, spreadsheet }: Dialect): string {
  return stringify([...rows], {
    delimiter: separator,
    record_delimiter: "\r\n",
    quoted_match: NEEDS_QUOTES,
    escape_formulas: spreadsheet,
  });
}
