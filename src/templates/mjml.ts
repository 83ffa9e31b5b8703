import { type Piece, placeOf } from "./expand.ts";

/** MJML in which every piece of Liquid is a mark, a word that MJML has no opinion about. */
export type MjmlDocument = { pieces: readonly Piece[]; liquid: readonly string[]; mark: string };

/** `line` is one of the document. */
export type MjmlOutput =
  | { ok: true; html: string; errors: readonly { line: number; message: string; tagName: string }[] }
  | { ok: false; reason: string };

export type MjmlHtml = { ok: true; html: string } | { ok: false; reason: string };

const MAX_MJML_CHARS = 300_000;
const INCLUDE = /<mj-include\b/i;
const SHOWN_ERRORS = 3;
const SHOWN_CHARS = 60;

/**
 * Liquid stays out of MJML's sight, and comes back when MJML has become HTML: so it is compiled once for all
 * contacts, and nothing of a contact is ever read as MJML.
 */
export function markLiquid(
  pieces: readonly Piece[],
): { ok: true; document: MjmlDocument } | { ok: false; reason: string } {
  const included = pieces.find(({ text, isLiquid }) => !isLiquid && INCLUDE.test(text));
  if (included !== undefined) {
    const line = lineBreaks(included.text.slice(0, included.text.search(INCLUDE)));
    const at = placeOf([{ ...included, text: "" }], 1 + line);
    return { ok: false, reason: `mj-include: there are no files; use {% render "…" %}, ${at}` };
  }
  const mark = unusedWord(pieces);
  const liquid: string[] = [];
  const marked = pieces.map((piece) => {
    if (!piece.isLiquid) return piece;
    liquid.push(piece.text);
    return { ...piece, text: markOf(mark, liquid.length - 1) };
  });
  const chars = marked.reduce((sum, { text }) => sum + text.length, 0);
  if (chars > MAX_MJML_CHARS)
    return { ok: false, reason: `its MJML is longer than ${MAX_MJML_CHARS} characters` };
  return { ok: true, document: { pieces: marked, liquid, mark } };
}

/** Puts the Liquid back into what MJML made of a document. What MJML left out can't be there. */
export function restoreLiquid({ pieces, liquid, mark }: MjmlDocument, output: MjmlOutput): MjmlHtml {
  const restore = (text: string) =>
    text.replace(marksOf(mark), (_, index: string) => liquid[Number(index)] ?? "");
  if (!output.ok) return output;
  if (output.errors.length > 0) {
    const reasons = output.errors.slice(0, SHOWN_ERRORS).map(({ line, message, tagName }) => {
      return `${tagName}: ${restore(message)}, ${placeOf(pieces, line)}`;
    });
    return { ok: false, reason: reasons.join("; ") };
  }
  const kept = new Set([...output.html.matchAll(marksOf(mark))].map(([word]) => word));
  const lost = pieces.find(({ isLiquid, text }) => isLiquid && !kept.has(text));
  if (lost === undefined) return { ok: true, html: restore(output.html) };
  const line = pieces.slice(0, pieces.indexOf(lost)).reduce((sum, { text }) => sum + lineBreaks(text), 1);
  return {
    ok: false,
    reason: `MJML has no place for ${shown(restore(lost.text))}, ${placeOf(pieces, line)}`,
  };
}

/** Finds marks; the number of each is the first group. */
export function marksOf(mark: string): RegExp {
  return new RegExp(`${mark}(\\d+)x`, "g");
}

function markOf(mark: string, index: number): string {
  return `${mark}${index}x`;
}

/** Letters only, in lower case: what MJML puts it into must not change it. */
function unusedWord(pieces: readonly Piece[]): string {
  const text = pieces
    .map((piece) => piece.text)
    .join("")
    .toLowerCase();
  let word = "liquid";
  while (text.includes(word)) word += "q";
  return word;
}

function lineBreaks(text: string): number {
  return text.split("\n").length - 1;
}

function shown(text: string): string {
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text;
}
