import { z } from "zod";
import { AppError } from "../errors.ts";
import type { Db } from "../storage/pool.ts";
import type { Library } from "../templates/expand.ts";
import { needsPreparing, prepareHtml, templateNames } from "../templates/prepare.ts";
import { findLibrary } from "../templates/queries.ts";
import type { CompiledNode } from "./graph.ts";

const written = z.object({ format: z.enum(["html", "mjml"]), html: z.string() });

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
  const names = nodes.flatMap((node) => (node.type === "message" ? templateNames(htmlOf(node).html) : []));
  const library = await findLibrary(db, customerId, names);
  return { nodes: nodes.map((node) => withPartials(node, library)), library };
}

/** Messages with what is sent of them (`compiledHtml`), where that is not their `html` as it is. */
export async function compileMessages({ nodes, library }: Frozen): Promise<CompiledNode[]> {
  const messages = nodes.filter((node) => node.type === "message" && needsPreparing(htmlOf(node)));
  const prepared = await prepareHtml(messages.map(htmlOf), library);
  const compiled = new Map(messages.map((node, index) => [node.nodeId, prepared[index]]));
  return nodes.map((node) => {
    const html = compiled.get(node.nodeId);
    if (html === undefined) return node;
    if (!html.ok) throw new AppError("conflict", `The html of node "${node.nodeId}": ${html.reason}.`);
    return { ...node, settings: { ...node.settings, compiledHtml: html.html } };
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
  add(htmlOf(node).html);
  return Object.keys(partials).length === 0 ? node : { ...node, settings: { ...node.settings, partials } };
}

function htmlOf(node: CompiledNode): z.infer<typeof written> {
  return written.parse(node.settings);
}
