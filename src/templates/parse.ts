import { LiquidError, Tokenizer, TokenKind, TypeGuards } from "liquidjs";

/** A piece of a template as it is written; `line` is where it begins, from 1. */
export type Written = { raw: string; line: number };

/**
 * A template as far as layouts and partials are concerned: every other tag and output is Liquid, whatever it does.
 * `arguments` is what stands behind the name.
 */
export type Item =
  | ({ kind: "text" | "liquid" } & Written)
  | ({ kind: "render"; name: string; arguments: string } & Written)
  | ({ kind: "layout"; name: string; arguments: string } & Written)
  | ({ kind: "block"; name: string; items: Item[] } & Written);

export type Parsed = { ok: true; items: Item[] } | { ok: false; reason: string; line: number };

/** A tag that names another template. */
export type Use = Extract<Item, { kind: "render" | "layout" }>;
export type Block = Extract<Item, { kind: "block" }>;

/** The name a block's content gives to what the layout would have there. */
export const SUPER = /^\{\{-?\s*block\.super\s*-?\}\}$/;

const MAX_DEPTH = 50; // blocks in blocks; layouts have one or two
const NAMED = /^(?:"([^"]*)"|'([^']*)')\s*(.*)$/s;
const ENDS = new Map([
  ["comment", "endcomment"],
  ["raw", "endraw"],
]);

type Token = Written & { kind: "text" | "output" | "tag"; name: string; arguments: string };

class ParseError extends Error {
  readonly line: number;

  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

/** Reads a template's source; what it means to Liquid is not asked here. */
export function parseTemplate(source: string): Parsed {
  try {
    return { ok: true, items: parseItems(tokenize(source)) };
  } catch (error) {
    if (error instanceof ParseError) return { ok: false, reason: error.message, line: error.line };
    if (!LiquidError.is(error)) throw error;
    const line = error.token.getPosition()[0] ?? 1;
    return { ok: false, reason: error.message.replace(/, line:.*$/s, ""), line };
  }
}

/** Every use of another template, in the order they are written. */
export function usesOf(items: readonly Item[]): Use[] {
  return items.flatMap((item) => {
    if (item.kind === "block") return usesOf(item.items);
    return item.kind === "render" || item.kind === "layout" ? [item] : [];
  });
}

function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  for (const token of new Tokenizer(source).readTopLevelTokens()) {
    const raw = source.slice(token.begin, token.end);
    const kind = token.kind === TokenKind.HTML ? "text" : token.kind === TokenKind.Output ? "output" : "tag";
    const { name, args } = TypeGuards.isTagToken(token) ? token : { name: "", args: "" };
    tokens.push({ raw, line, kind, name, arguments: args.trim() });
    line += raw.split("\n").length - 1;
  }
  return tokens;
}

function parseItems(tokens: readonly Token[]): Item[] {
  const root: Item[] = [];
  const open: Block[] = [];
  for (let index = 0; index < tokens.length; index += 1) {
    const token = tokens[index];
    if (token === undefined) break;
    const into = open.at(-1)?.items ?? root;
    if (token.kind === "text") into.push({ kind: "text", raw: token.raw, line: token.line });
    else if (token.name === "render") into.push({ ...named("render", token), kind: "render" });
    else if (token.name === "layout") {
      if (root.some((item) => item.kind === "layout"))
        throw new ParseError("there is more than one layout", token.line);
      root.push({ ...named("layout", token), kind: "layout" });
    } else if (token.name === "block") {
      const block = openBlock(token);
      if (open.length === MAX_DEPTH) throw new ParseError("its blocks are nested too deeply", token.line);
      into.push(block);
      open.push(block);
    } else if (token.name === "endblock") {
      if (open.pop() === undefined) throw new ParseError("endblock ends no block", token.line);
    } else {
      const last = lastOf(tokens, index);
      const raw = tokens.slice(index, last + 1).map((part) => part.raw);
      into.push({ kind: "liquid", raw: raw.join(""), line: token.line });
      index = last;
    }
  }
  const unclosed = open.at(-1);
  if (unclosed !== undefined) throw new ParseError(`block ${unclosed.name} is not closed`, unclosed.line);
  return root;
}

/** The last token of what begins at `index`: what is a comment, or raw, is one thing whatever is in it. */
function lastOf(tokens: readonly Token[], index: number): number {
  const end = ENDS.get(tokens[index]?.name ?? "");
  if (end === undefined) return index;
  for (let place = index + 1; place < tokens.length; place += 1)
    if (tokens[place]?.name === end) return place;
  return tokens.length - 1;
}

function named(tag: string, token: Token): Written & { name: string; arguments: string } {
  const match = NAMED.exec(token.arguments);
  const rest = match?.[3] ?? "";
  if (match === null) throw new ParseError(`${tag} needs the name of a template in quotes`, token.line);
  if (rest !== "" && !rest.startsWith(","))
    throw new ParseError(`${tag} takes arguments as in {% ${tag} "name", key: value %}`, token.line);
  return {
    raw: token.raw,
    line: token.line,
    name: match[1] ?? match[2] ?? "",
    arguments: rest.slice(1).trim(),
  };
}

function openBlock(token: Token): Block {
  if (!/^\w+$/.test(token.arguments)) throw new ParseError("a block needs a name of one word", token.line);
  return { kind: "block", name: token.arguments, items: [], raw: token.raw, line: token.line };
}

/** A template without its tags, and with nothing in its outputs that could be HTML; lines stay where they are. */
export function withoutTags(source: string): string {
  const parsed = parseTemplate(source);
  if (!parsed.ok) return source;
  return parsed.items.map((item) => (item.kind === "liquid" ? harmless(item.raw) : item.raw)).join("");
}

function harmless(liquid: string): string {
  return liquid.startsWith("{{") ? liquid.replace(/[<>"']/g, "") : liquid.replace(/[^\n]/g, "");
}
