import { Liquid, LiquidError, type Template as ParsedTemplate, UndefinedVariableError } from "liquidjs";
import type { Json } from "../events/event.ts";
import { PartialTag } from "./partial-tag.ts";

/** What a template can say. `attributes` and `tags` are the contact's own. */
export type TemplateVariables = {
  contact: { email: string; attributes: { [name: string]: Json }; tags: string[] };
  campaign: { name: string };
  unsubscribeUrl: string;
  preferencesUrl: string;
  viewInBrowserUrl: string;
};

export type Rendered = { ok: true; text: string } | { ok: false; reason: string };

/** A parsed template: one per node, rendered once per contact. */
export type Template = { ok: true; render(variables: TemplateVariables): Rendered };

const MAX_SOURCE_CHARS = 1_000_000;
const MAX_RENDERED_CHARS = 1_000_000;

// A newsletter renders in well under a millisecond; these stop a template that never would end.
const RENDER_LIMIT_MS = 250;
const MEMORY_LIMIT = 10_000_000; // characters and array items that filters and ranges may make

// These read other templates; what a message uses has been put into it (templates/expand.ts).
const FILE_TAGS = ["include", "render", "layout", "block"];

const VARIABLES = ["contact", "campaign", "unsubscribeUrl", "preferencesUrl", "viewInBrowserUrl"];
const KNOWN = "contact, campaign.name, unsubscribeUrl, preferencesUrl and viewInBrowserUrl";

/** A place in a source in words, for a person who looks for it; line and column count from 1. */
export type PlaceOf = (line: number, column: number) => string;

const inItself: PlaceOf = (line) => `line ${line}`;

/** What keeps a template from being parsed, if anything does; which variables it has is not asked. */
export function syntaxProblem(source: string, placeOf: PlaceOf): string | null {
  const engine = createEngine("html");
  const parsed = attempt(() => engine.parse(source), placeOf);
  return parsed.ok ? null : parsed.reason;
}

/**
 * Parses a Liquid template. What is printed into `html` is escaped unless the template says `| raw`; `text` is
 * printed as it is. A missing variable is an error, except in conditions, in `assign` and before `default`.
 * @param placeOf where a line was written, when `source` is put together from several templates
 */
export function compileTemplate(
  source: string,
  format: "html" | "text",
  placeOf: PlaceOf = inItself,
): Template | { ok: false; reason: string } {
  if (source.length > MAX_SOURCE_CHARS)
    return { ok: false, reason: `it is longer than ${MAX_SOURCE_CHARS} characters` };
  const engine = createEngine(format);
  const parsed = attempt(() => {
    const templates = engine.parse(source);
    return { templates, unknown: findUnknownVariable(engine, templates, placeOf) };
  }, placeOf);
  if (!parsed.ok) return parsed;
  const { templates, unknown } = parsed.value;
  if (unknown !== null) return { ok: false, reason: unknown };
  return { ok: true, render: (variables) => render(engine, templates, variables) };
}

function createEngine(format: "html" | "text"): Liquid {
  const engine = new Liquid({
    strictVariables: true,
    strictFilters: true,
    lenientIf: true,
    ownPropertyOnly: true,
    renderLimit: RENDER_LIMIT_MS,
    memoryLimit: MEMORY_LIMIT,
    // What a contact receives must not depend on where the server stands.
    timezoneOffset: 0,
    locale: "en-US",
    templates: {},
    ...(format === "html" ? { outputEscape: "escape" } : {}),
  });
  for (const tag of FILE_TAGS) delete engine.tags[tag];
  engine.registerTag("partial", PartialTag);
  return engine;
}

/** A variable that no message will ever have is found when the template is saved, not when it is sent. */
function findUnknownVariable(engine: Liquid, templates: ParsedTemplate[], placeOf: PlaceOf): string | null {
  const { globals } = engine.analyzeSync(templates, { partials: false });
  for (const [name, uses] of Object.entries(globals)) {
    if (VARIABLES.includes(name)) continue;
    const { row = 1, col = 1 } = uses[0]?.location ?? {};
    return `${name} is not available, ${placeOf(row, col)}; a template knows ${KNOWN}`;
  }
  return null;
}

function render(engine: Liquid, templates: ParsedTemplate[], variables: TemplateVariables): Rendered {
  // Globals, because a partial has a scope of its own, and knows the contact all the same.
  const rendered = attempt(() => String(engine.renderSync(templates, {}, { globals: variables })), inItself);
  if (!rendered.ok) return rendered;
  const text = rendered.value;
  if (text.length > MAX_RENDERED_CHARS)
    return { ok: false, reason: `it comes out longer than ${MAX_RENDERED_CHARS} characters` };
  return { ok: true, text };
}

/** Liquid tells what is wrong with a template by throwing; so do stacks and strings that grow too large. */
function attempt<T>(work: () => T, placeOf: PlaceOf): { ok: true; value: T } | { ok: false; reason: string } {
  try {
    return { ok: true, value: work() };
  } catch (error) {
    return { ok: false, reason: explain(error, placeOf) };
  }
}

function explain(error: unknown, placeOf: PlaceOf): string {
  if (!LiquidError.is(error) || error.originalError instanceof RangeError)
    return "it is nested too deeply or grows too large";
  const [line = 1, column = 1] = error.token.getPosition();
  const place = placeOf(line, column);
  if (error instanceof UndefinedVariableError) {
    const name = error.token.getText();
    return `${name} is not set, ${place}; give it a default: {{ ${name} | default: "…" }}`;
  }
  return `${error.message.replace(/, line:.*$/s, "")}, ${place}`;
}
