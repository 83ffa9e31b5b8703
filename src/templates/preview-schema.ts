import { z } from "@hono/zod-openapi";
import { SEVERITIES } from "./severity.ts";

/** Whose data a preview gets when nobody is named. */
export const SAMPLE_CONTACT = {
  email: "ann@example.com",
  attributes: { firstName: "Ann", lastName: "Example", company: "Example Ltd" },
  tags: [],
};

const finding = {
  rule: z.string().openapi({ description: "Which rule found it; stable.", example: "alt-missing" }),
  severity: z.enum(SEVERITIES).openapi({
    description: "`error`: something does not work. `warning`: it harms. `info`: it could be better.",
    example: "warning",
  }),
  message: z.string().openapi({
    example: 'The image has no alt: say what it shows, or alt="" if nothing.',
  }),
  line: z
    .int()
    .nullable()
    .openapi({
      type: ["integer", "null"],
      description: "Of the HTML, from 1; null when it is about no line of it.",
      example: 12,
    }),
};

export const lintFinding = z.object(finding).openapi("LintFinding");

export const nodeFinding = z
  .object({ nodeId: z.string().openapi({ example: "hello" }), ...finding })
  .openapi("NodeLintFinding", {
    description: "`line` is one of the node's `html`; null also where that is MJML or uses templates.",
  });

export const preview = z
  .object({
    subject: z.string().openapi({ example: "Hi Ann" }),
    html: z.string().openapi({
      description: "As the contact would get it, with links untracked and without the pixel.",
      example: "<p>Hi Ann</p>",
    }),
    text: z.string().openapi({ example: "Hi Ann" }),
    sizeBytes: z.int().openapi({ type: "integer", description: "Of the HTML, untracked.", example: 1432 }),
    warnings: z.array(lintFinding).openapi({ description: "Of this HTML, subject and text." }),
  })
  .openapi("MessagePreview");
