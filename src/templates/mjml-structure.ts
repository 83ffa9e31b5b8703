import { Parser } from "htmlparser2";
import { marksOf } from "./mjml.ts";

/** What is in these is HTML, or text; in all others are only elements of MJML. */
const TEXT_ELEMENTS = new Set([
  "mj-accordion-text",
  "mj-accordion-title",
  "mj-button",
  "mj-carousel-image",
  "mj-navbar-link",
  "mj-preview",
  "mj-raw",
  "mj-social-element",
  "mj-style",
  "mj-table",
  "mj-text",
  "mj-title",
]);

/**
 * MJML drops text between its elements, and with it `{% if … %}` around a section: such a mark gets the `mj-raw`
 * that MJML wants there. Line numbers stay.
 */
export function wrapMarks(text: string, mark: string): string {
  const places: { start: number; end: number }[] = [];
  const open: string[] = [];
  const parser = new Parser(
    {
      onopentag(name) {
        if (isMjml(name)) open.push(name);
      },
      onclosetag(name) {
        if (isMjml(name)) open.length = Math.max(open.lastIndexOf(name), 0);
      },
      ontext(part) {
        const innermost = open.at(-1);
        if (innermost === undefined || TEXT_ELEMENTS.has(innermost)) return;
        for (const { index, 0: word } of part.matchAll(marksOf(mark))) {
          const start = parser.startIndex + index;
          places.push({ start, end: start + word.length });
        }
      },
    },
    { xmlMode: true, decodeEntities: false },
  );
  parser.end(text);
  const parts: string[] = [];
  let done = 0;
  for (const { start, end } of places) {
    parts.push(text.slice(done, start), "<mj-raw>", text.slice(start, end), "</mj-raw>");
    done = end;
  }
  return [...parts, text.slice(done)].join("");
}

function isMjml(name: string): boolean {
  return name === "mjml" || name.startsWith("mj-");
}
