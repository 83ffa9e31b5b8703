import type { TemplateFormat } from "../templates/expand.ts";
import type { EmailMessageNode, TelegramMessageNode } from "./schema.ts";

/** The part of a message that layouts and partials go into, and which field of the node it is. */
export type Body = { field: "html" | "text"; format: TemplateFormat; html: string };

type Written =
  | Pick<EmailMessageNode, "channel" | "format" | "html">
  | Pick<TelegramMessageNode, "channel" | "text">;

export function bodyOf(node: Written): Body {
  return node.channel === "email"
    ? { field: "html", format: node.format, html: node.html }
    : { field: "text", format: "html", html: node.text };
}
