import { compileTemplate, type PlaceOf } from "../messages/template.ts";
import { compileMjml } from "./compile-mjml.ts";
import { expandTemplate, type Library, type Piece, placeOf, type TemplateFormat } from "./expand.ts";
import { type MjmlDocument, markLiquid } from "./mjml.ts";
import { parseTemplate, usesOf } from "./parse.ts";

/** The HTML part of a message as it is written. */
export type Written = { format: TemplateFormat; html: string };

/** The HTML part with layouts, partials and MJML done: Liquid for each contact, and no other template. */
export type Prepared = { ok: true; html: string } | { ok: false; reason: string };

type Draft = Prepared | { ok: "mjml"; before: string; document: MjmlDocument };

const USES_TEMPLATES = /\{%-?\s*(?:layout|render|block)\b/;

/** Whether something has to be done before it can be rendered for a contact. */
export function needsPreparing({ format, html }: Written): boolean {
  return format === "mjml" || USES_TEMPLATES.test(html);
}

/** The templates that a source names itself; those that these name are not among them. */
export function templateNames(source: string): string[] {
  const parsed = USES_TEMPLATES.test(source) ? parseTemplate(source) : null;
  return parsed?.ok ? [...new Set(usesOf(parsed.items).map(({ name }) => name))] : [];
}

/**
 * Makes HTML parts ready to be sent, in the order given. Layouts and partials come first, then the Liquid is
 * checked, then MJML becomes HTML with the Liquid in it: nothing of a contact goes through any of that.
 */
export async function prepareHtml(parts: readonly Written[], library: Library): Promise<Prepared[]> {
  const drafts = parts.map((part) => draft(part, library));
  const documents = drafts.flatMap((each) => (each.ok === "mjml" ? [each.document] : []));
  const compiled = (await compileMjml(documents)).values();
  return drafts.map((each) => {
    if (each.ok !== "mjml") return each;
    const html = compiled.next().value ?? { ok: false, reason: "its MJML became nothing" };
    return html.ok ? checked(each.before + html.html) : html;
  });
}

function draft(part: Written, library: Library): Draft {
  if (!needsPreparing(part)) return checked(part.html);
  const expanded = expandTemplate(part.html, part.format, library);
  if (!expanded.ok) return expanded;
  const { before, pieces } = expanded;
  const whole = checked(textOf([...before, ...pieces]), (...at) => placeOf([...before, ...pieces], ...at));
  if (!whole.ok || part.format === "html") return whole;
  const marked = markLiquid(pieces);
  return marked.ok ? { ok: "mjml", before: textOf(before), document: marked.document } : marked;
}

function checked(html: string, place?: PlaceOf): Prepared {
  const compiled = compileTemplate(html, "html", place);
  return compiled.ok ? { ok: true, html } : compiled;
}

function textOf(pieces: readonly Piece[]): string {
  return pieces.map((piece) => piece.text).join("");
}
