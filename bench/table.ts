/** A line of what a benchmark prints. */
export type Row = { what: string; value: string; reference: string; ratio: number | null; target: string };

export function row(
  what: string,
  value: string,
  reference: string,
  ratio: number | null,
  target: string,
): Row {
  return { what, value, reference, ratio, target };
}

export function round(value: number): string {
  return Math.round(value).toLocaleString("en");
}
