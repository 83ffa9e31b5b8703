import { z } from "zod";
import { AppError } from "../errors.ts";
import type { Db } from "../storage/pool.ts";
import type { Library } from "../templates/expand.ts";
import { needsPreparing, prepareHtml, templateNames, type Written } from "../templates/prepare.ts";
import { findLibrary } from "../templates/queries.ts";
import type { CompiledNode } from "./graph.ts";

const written = z.union([
  z.object({ channel: z.literal("telegram"), text: z.string() }),
  z.object({ format: z.enum(["html", "mjml"]), html: z.string() }),
]);

/** `compiled`: the setting that holds what was made of it. */
type WrittenBody = Written & { field: "html" | "text"; compiled: "compiledHtml" | "compiledText" };

type Frozen = { nodes: CompiledNode[]; library: Library };

/**
 * Messages with the layouts and partials they use, as they are now, in their settings (`partials`: source by name):
 * part of what a version is, so that a changed one shows as a change that is not activated.
 */
export async function freezeTemplates(
  db: Db,
  customerId: string,
  nodes: readonly CompiledNode[],
): Promise<Frozen> {
  const names = nodes.flatMap((node) => (node.type === "message" ? templateNames(bodyOf(node).html) : []));
  const library = await findLibrary(db, customerId, names);
  return { nodes: nodes.map((node) => withPartials(node, library)), library };
}

/** Messages with what is sent of them (`compiledHtml`, `compiledText`), where that is not what is written as it is. */
export async function compileMessages({ nodes, library }: Frozen): Promise<CompiledNode[]> {
  const messages = nodes.filter((node) => node.type === "message" && needsPreparing(bodyOf(node)));
  const prepared = await prepareHtml(messages.map(bodyOf), library);
  const results = new Map(messages.map((node, index) => [node.nodeId, prepared[index]]));
  return nodes.map((node) => {
    const result = results.get(node.nodeId);
    if (result === undefined) return node;
    const { field, compiled } = bodyOf(node);
    if (!result.ok)
      throw new AppError("conflict", `The ${field} of node "${node.nodeId}": ${result.reason}.`);
    return { ...node, settings: { ...node.settings, [compiled]: result.html } };
  });
}

function withPartials(node: CompiledNode, library: Library): CompiledNode {
  if (node.type !== "message") return node;
  const partials: Record<string, string> = {};
  const add = (source: string) => {
    for (const name of templateNames(source)) {
      const used = library.get(name);
      if (used === undefined || name in partials) continue;
      partials[name] = used.source;
      add(used.source);
    }
  };
  add(bodyOf(node).html);
  return Object.keys(partials).length === 0 ? node : { ...node, settings: { ...node.settings, partials } };
}

function bodyOf(node: CompiledNode): WrittenBody {
  const settings = written.parse(node.settings);
  return "text" in settings
    ? { field: "text", compiled: "compiledText", format: "html", html: settings.text }
    : { field: "html", compiled: "compiledHtml", ...settings };
}
