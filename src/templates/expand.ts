import { Tokenizer } from "liquidjs";
import { type Block, type Item, type Parsed, parseTemplate, SUPER, type Use, type Written } from "./parse.ts";

export const TEMPLATE_KINDS = ["layout", "partial"] as const;
export const TEMPLATE_FORMATS = ["html", "mjml"] as const;

export type TemplateKind = (typeof TEMPLATE_KINDS)[number];
export type TemplateFormat = (typeof TEMPLATE_FORMATS)[number];

/** A reusable layout or partial of a customer, by whose name others use it. */
export type Source = { name: string; kind: TemplateKind; format: TemplateFormat; source: string };

/** All that a template may use: nothing else is ever looked up, and nowhere else. */
export type Library = ReadonlyMap<string, Source>;

/** A part of an expanded template; `template` is the one it is written in, null for the message's own source. */
export type Piece = { text: string; isLiquid: boolean; template: string | null; line: number };

/** `before` prints nothing: it is what a page with a layout does outside of its blocks, such as to set variables. */
export type Expanded = { ok: true; before: Piece[]; pieces: Piece[] } | { ok: false; reason: string };

/** No message comes near it; templates that use each other twice over would double at every step. */
const MAX_EXPANDED_CHARS = 1_000_000;

/** What an overriding block puts in the place of `parent`, which is what would be there without it. */
type Override = (parent: readonly Piece[]) => Piece[];

type Place = {
  template: string | null;
  format: TemplateFormat;
  isPartial: boolean;
  /** The templates on the way here. */
  chain: readonly string[];
  overrides: ReadonlyMap<string, Override>;
  /** What `block.super` stands for; null outside of an overriding block. */
  parent: readonly Piece[] | null;
};

const NOWHERE: Omit<Place, "format"> = {
  template: null,
  isPartial: false,
  chain: [],
  overrides: new Map(),
  parent: null,
};

class Refused extends Error {}

/**
 * Puts layouts and partials into a template, so that what is sent needs no other one. A partial becomes
 * `{% partial key: value %}…{% endpartial %}`, a scope of its own; of a page with a layout, the blocks go into the
 * layout's, and what else it does (`assign`, `capture`) is done before.
 */
export function expandTemplate(source: string, format: TemplateFormat, library: Library): Expanded {
  try {
    const expander = new Expander(library);
    const pieces = expander.expand(source, { ...NOWHERE, format });
    return { ok: true, before: expander.before, pieces };
  } catch (error) {
    if (error instanceof Refused) return { ok: false, reason: error.message };
    throw error;
  }
}

/** Where a place of the joined pieces was written, in words; line and column count from 1. */
export function placeOf(pieces: readonly Piece[], line: number, column = 1): string {
  let at = { line: 1, column: 1 };
  for (const { text, template, line: begin } of pieces) {
    const lines = text.split("\n");
    const width = lines.at(-1)?.length ?? 0;
    const end = {
      line: at.line + lines.length - 1,
      column: lines.length === 1 ? at.column + width : width + 1,
    };
    if (line < end.line || (line === end.line && column < end.column))
      return wordsFor(template, begin + line - at.line);
    at = end;
  }
  return `line ${line}`;
}

function wordsFor(template: string | null, line: number): string {
  return template === null ? `line ${line}` : `line ${line} of the template "${template}"`;
}

class Expander {
  readonly before: Piece[] = [];
  private readonly library: Library;
  private readonly parsed = new Map<string, Parsed>();
  private chars = 0;

  constructor(library: Library) {
    this.library = library;
  }

  expand(source: string, place: Place): Piece[] {
    const parsed = this.parsed.get(source) ?? parseTemplate(source);
    this.parsed.set(source, parsed);
    if (!parsed.ok) throw new Refused(`${parsed.reason}, ${wordsFor(place.template, parsed.line)}`);
    const layout = parsed.items.find((item) => item.kind === "layout");
    if (layout === undefined) return this.expandItems(parsed.items, place);
    if (place.isPartial)
      throw new Refused(`a partial has no layout, ${wordsFor(place.template, layout.line)}`);
    return this.expandPage(layout, parsed.items, place);
  }

  private expandPage(layout: Use, items: readonly Item[], place: Place): Piece[] {
    const found = this.find(layout, place);
    const overrides = new Map(place.overrides);
    const used = new Set<string>();
    for (const block of blocksOf(items)) {
      const outer = place.overrides.get(block.name);
      overrides.set(block.name, (parent) => {
        used.add(block.name);
        const own = this.expandItems(block.items, { ...place, parent });
        return outer === undefined ? own : outer(own);
      });
    }
    this.doBefore(layout, items, place);
    const expanded = this.expand(found.source, { ...this.inside(found, place), overrides });
    const lost = items.find((item) => item.kind === "block" && !used.has(item.name));
    if (lost?.kind === "block") {
      const at = wordsFor(place.template, lost.line);
      throw new Refused(`the layout "${found.name}" has no block "${lost.name}", ${at}`);
    }
    return expanded;
  }

  private doBefore(layout: Use, items: readonly Item[], place: Place): void {
    const liquid = (raw: string) => this.piece({ raw, line: layout.line }, true, place);
    const outside = items.filter((item) => item.kind !== "layout" && item.kind !== "block");
    if (outside.some((item) => item.kind !== "text")) {
      const done = this.expandItems(outside, place);
      this.before.push(liquid("{% capture _ %}"), ...done, liquid("{% endcapture %}"));
    }
    this.before.push(...assignments(layout.arguments).map(liquid));
  }

  private expandItems(items: readonly Item[], place: Place): Piece[] {
    return items.flatMap((item) => this.expandItem(item, place));
  }

  private expandItem(item: Item, place: Place): Piece[] {
    switch (item.kind) {
      case "text":
        return [this.piece(item, false, place)];
      case "liquid":
        return SUPER.test(item.raw) && place.parent !== null
          ? place.parent.map((piece) => this.counted(piece))
          : [this.piece(item, true, place)];
      case "block": {
        const own = this.expandItems(item.items, place);
        return place.overrides.get(item.name)?.(own) ?? own;
      }
      case "render":
        return this.expandPartial(item, place);
      case "layout":
        throw new Refused(`layout stands in a block, ${wordsFor(place.template, item.line)}`);
    }
  }

  private expandPartial(item: Use, place: Place): Piece[] {
    const found = this.find(item, place);
    const inside = this.expand(found.source, this.inside(found, place));
    const [left, right] = [item.raw.startsWith("{%-") ? "-" : "", item.raw.endsWith("-%}") ? "-" : ""];
    const begin = this.piece({ raw: `{%${left} partial ${item.arguments} %}`, line: item.line }, true, place);
    const end = this.piece({ raw: `{% endpartial ${right}%}`, line: item.line }, true, place);
    const whole = [begin, ...inside, end];
    // What is HTML already is nothing that MJML has to look at.
    if (found.format === place.format) return whole;
    return [{ ...begin, text: whole.map((piece) => piece.text).join("") }];
  }

  private find(item: Use, place: Place): Source {
    const at = wordsFor(place.template, item.line);
    const found = this.library.get(item.name);
    if (found === undefined) throw new Refused(`there is no template "${item.name}", ${at}`);
    const kind = item.kind === "layout" ? "layout" : "partial";
    if (found.kind !== kind)
      throw new Refused(`the template "${item.name}" is a ${found.kind}, no ${kind}, ${at}`);
    if (place.chain.includes(item.name)) {
      const circle = [...place.chain.slice(place.chain.indexOf(item.name)), item.name].join(" → ");
      throw new Refused(`the template "${item.name}" uses itself: ${circle}, ${at}`);
    }
    const isHtmlInMjml = place.format === "mjml" && found.format === "html" && kind === "partial";
    if (found.format !== place.format && !isHtmlInMjml) {
      throw new Refused(`the template "${item.name}" is ${found.format}, this is ${place.format}, ${at}`);
    }
    return found;
  }

  private inside({ name, kind, format }: Source, place: Place): Place {
    const chain = [...place.chain, name];
    return { ...NOWHERE, template: name, format, isPartial: kind === "partial", chain };
  }

  private piece({ raw, line }: Written, isLiquid: boolean, place: Place): Piece {
    return this.counted({ text: raw, isLiquid, template: place.template, line });
  }

  private counted(piece: Piece): Piece {
    this.chars += piece.text.length;
    if (this.chars > MAX_EXPANDED_CHARS)
      throw new Refused(`with its templates it grows to more than ${MAX_EXPANDED_CHARS} characters`);
    return piece;
  }
}

function blocksOf(items: readonly Item[]): Block[] {
  return items.flatMap((item) => (item.kind === "block" ? [item, ...blocksOf(item.items)] : []));
}

/** The arguments of a layout tag as the layout's variables. */
function assignments(given: string): string[] {
  return new Tokenizer(given)
    .readHashes()
    .map(({ name, value }) => `{% assign ${name.content} = ${value?.getText() ?? "true"} %}`);
}
