import { z } from "@hono/zod-openapi";
import { id, time } from "../http/fields.ts";
import { TEMPLATE_FORMATS, TEMPLATE_KINDS } from "./expand.ts";

/** As much as a message's own source. */
const MAX_SOURCE_CHARS = 300_000;

const name = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, "must be 1 to 64 letters, digits, hyphens or underscores")
  .openapi({ description: 'What messages call it: `{% render "footer" %}`.', example: "footer" });

const kind = z.enum(TEMPLATE_KINDS).openapi({
  description:
    'A `partial` is put where a template says `{% render "name", key: value %}`, and sees its arguments beside what ' +
    'every template has. A `layout` is what a message begins with, `{% layout "name" %}`: the message\'s ' +
    "`{% block content %}…{% endblock %}` replaces the layout's block of that name.",
  example: "partial",
});

const format = z.enum(TEMPLATE_FORMATS).openapi({
  description: "HTML partials can be used in MJML messages; MJML ones in MJML only.",
  example: "html",
});

const source = z
  .string()
  .min(1, "must not be empty")
  .max(MAX_SOURCE_CHARS, `must have at most ${MAX_SOURCE_CHARS} characters`)
  .openapi({ description: "A Liquid template.", example: "<p>{{ company }}, 1 Main Street</p>" });

export const newTemplate = z
  .strictObject({ name, kind, format: format.default("html"), source })
  .openapi("NewTemplate");

export const templateChange = z
  .strictObject({ name, source })
  .partial()
  .openapi("TemplateChange", { description: "Kind and format stay: who uses the template relies on them." });

export const template = z
  .object({ id: id(), name, kind, format, source, createdAt: time(), updatedAt: time() })
  .openapi("Template");

export const templateKind = kind;
export const templateName = name;
