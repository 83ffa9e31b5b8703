import { z } from "zod";
import { AppError } from "../errors.ts";
import type { Db } from "../storage/pool.ts";
import type { Library } from "../templates/expand.ts";
import { needsPreparing, prepareHtml, templateNames } from "../templates/prepare.ts";
import { findLibrary } from "../templates/queries.ts";
import type { CompiledNode } from "./graph.ts";
import { type Body, bodyOf } from "./message-body.ts";

const written = z.discriminatedUnion("channel", [
  z.object({ channel: z.literal("email"), format: z.enum(["html", "mjml"]), html: z.string() }),
  z.object({ channel: z.literal("telegram"), text: z.string() }),
]);

/** The setting that holds what was made of a body. */
const COMPILED = { html: "compiledHtml", text: "compiledText" } as const;

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
  const names = nodes.flatMap((node) => (node.type === "message" ? templateNames(writtenIn(node).html) : []));
  const library = await findLibrary(db, customerId, names);
  return { nodes: nodes.map((node) => withPartials(node, library)), library };
}

/** Messages with what is sent of them (`compiledHtml`, `compiledText`), where that is not what is written as it is. */
export async function compileMessages({ nodes, library }: Frozen): Promise<CompiledNode[]> {
  const messages = nodes.filter((node) => node.type === "message" && needsPreparing(writtenIn(node)));
  const prepared = await prepareHtml(messages.map(writtenIn), library);
  const results = new Map(messages.map((node, index) => [node.nodeId, prepared[index]]));
  return nodes.map((node) => {
    const result = results.get(node.nodeId);
    if (result === undefined) return node;
    const { field } = writtenIn(node);
    if (!result.ok)
      throw new AppError("conflict", `The ${field} of node "${node.nodeId}": ${result.reason}.`);
    return { ...node, settings: { ...node.settings, [COMPILED[field]]: result.html } };
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
  add(writtenIn(node).html);
  return Object.keys(partials).length === 0 ? node : { ...node, settings: { ...node.settings, partials } };
}

function writtenIn(node: CompiledNode): Body {
  return bodyOf(written.parse(node.settings));
}
