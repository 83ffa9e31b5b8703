import { OUTPUT } from "../telegram/html-tokens.ts";
import { type Item, parseTemplate } from "../templates/parse.ts";

/**
 * What of a template is markup: outputs are `OUTPUT`, tags are left out, lines stay where they are. `isConditional`:
 * it has tags, so that perhaps not all of it is rendered.
 */
export type Markup = { text: string; isConditional: boolean };

/** The markup of a Liquid template; null when it is no good Liquid. */
export function markupOf(template: string): Markup | null {
  const parsed = parseTemplate(template);
  if (!parsed.ok) return null;
  const items = parsed.items.flatMap(withInner);
  const text = items.map((item) =>
    item.kind === "text" ? item.raw : isOutput(item) ? OUTPUT : blank(item.raw),
  );
  return {
    text: text.join(""),
    isConditional: items.some((item) => item.kind !== "text" && !isOutput(item)),
  };
}

/** Whether Liquid writes something of it. */
export function isLiquid(template: string): boolean {
  return /\{[{%]/.test(template);
}

function withInner(item: Item): Item[] {
  return item.kind === "block" ? [{ ...item, items: [] }, ...item.items.flatMap(withInner)] : [item];
}

function isOutput(item: Item): boolean {
  return item.kind === "liquid" && item.raw.startsWith("{{");
}

function blank(raw: string): string {
  return raw.replace(/[^\n]/g, "");
}
