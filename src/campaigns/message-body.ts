import type { TemplateFormat } from "../templates/expand.ts";
import type { MessageNode } from "./schema.ts";

/** The part of a message that layouts and partials go into, and which field of the node it is. */
export type Body = { field: "html" | "text"; format: TemplateFormat; html: string };

export function bodyOf(node: MessageNode): Body {
  return node.channel === "email"
    ? { field: "html", format: node.format, html: node.html }
    : { field: "text", format: "html", html: node.text };
}
