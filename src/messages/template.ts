import { Liquid, LiquidError, type Template as ParsedTemplate, UndefinedVariableError } from "liquidjs";
import type { Json } from "../events/event.ts";

/** What a template can say. `attributes` and `tags` are the contact's own. */
export type TemplateVariables = {
  contact: { email: string; attributes: { [name: string]: Json }; tags: string[] };
  campaign: { name: string };
  unsubscribeUrl: string;
};

export type Rendered = { ok: true; text: string } | { ok: false; reason: string };

/** A parsed template: one per node, rendered once per contact. */
export type Template = { ok: true; render(variables: TemplateVariables): Rendered };

const MAX_SOURCE_CHARS = 1_000_000;
const MAX_RENDERED_CHARS = 1_000_000;

// A newsletter renders in well under a millisecond; these stop a template that never would end.
const RENDER_LIMIT_MS = 250;
const MEMORY_LIMIT = 10_000_000; // characters and array items that filters and ranges may make

// These read other templates, of which an email has none.
const FILE_TAGS = ["include", "render", "layout", "block"];

const VARIABLES = ["contact", "campaign", "unsubscribeUrl"];

/**
 * Parses a Liquid template. What is printed into `html` is escaped unless the template says `| raw`; `text` is
 * printed as it is. A missing variable is an error, except in conditions, in `assign` and before `default`.
 */
export function compileTemplate(
  source: string,
  format: "html" | "text",
): Template | { ok: false; reason: string } {
  if (source.length > MAX_SOURCE_CHARS)
    return { ok: false, reason: `it is longer than ${MAX_SOURCE_CHARS} characters` };
  const engine = createEngine(format);
  const parsed = attempt(() => {
    const templates = engine.parse(source);
    return { templates, unknown: findUnknownVariable(engine, templates) };
  });
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
  return engine;
}

/** A variable that no message will ever have is found when the template is saved, not when it is sent. */
function findUnknownVariable(engine: Liquid, templates: ParsedTemplate[]): string | null {
  const { globals } = engine.analyzeSync(templates, { partials: false });
  for (const [name, uses] of Object.entries(globals)) {
    if (VARIABLES.includes(name)) continue;
    const line = uses[0]?.location.row ?? 1;
    return `${name} is not available, line ${line}; a template knows contact, campaign.name and unsubscribeUrl`;
  }
  return null;
}

function render(engine: Liquid, templates: ParsedTemplate[], variables: TemplateVariables): Rendered {
  // `increment` writes into the outermost object.
  const rendered = attempt(() => String(engine.renderSync(templates, { ...variables })));
  if (!rendered.ok) return rendered;
  const text = rendered.value;
  if (text.length > MAX_RENDERED_CHARS)
    return { ok: false, reason: `it comes out longer than ${MAX_RENDERED_CHARS} characters` };
  return { ok: true, text };
}

/** Liquid tells what is wrong with a template by throwing; so do stacks and strings that grow too large. */
function attempt<T>(work: () => T): { ok: true; value: T } | { ok: false; reason: string } {
  try {
    return { ok: true, value: work() };
  } catch (error) {
    return { ok: false, reason: explain(error) };
  }
}

function explain(error: unknown): string {
  if (!LiquidError.is(error) || error.originalError instanceof RangeError)
    return "it is nested too deeply or grows too large";
  const line = error.token.getPosition()[0];
  if (error instanceof UndefinedVariableError) {
    const name = error.token.getText();
    return `${name} is not set, line ${line}; give it a default: {{ ${name} | default: "…" }}`;
  }
  return `${error.message.replace(/, line:.*$/s, "")}, line ${line}`;
}
