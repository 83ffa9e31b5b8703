import { z } from "@hono/zod-openapi";
import { id } from "../http/fields.ts";

export const receivedMail = z
  .object({
    kind: z.enum(["person", "auto_reply", "delivery_report"]).openapi({
      description: "Who wrote it. Only what a person writes is an answer that campaigns act on.",
      example: "person",
    }),
    from: z.object({
      address: z.string().openapi({ example: "ann@example.com" }),
      name: z.string().openapi({ example: "Ann" }),
    }),
    answersMessageId: id().nullable().openapi({ description: "The message that it answers." }),
    matchedBy: z.enum(["reply_address", "references", "sender"]).openapi({
      description: "How that was found: by the address it went to, by its headers, or by who sent it.",
      example: "reply_address",
    }),
    text: z.string().openapi({
      description: "What the person wrote, without what is quoted. In lists at most 10,000 characters of it.",
      example: "Yes, please!",
    }),
    wholeText: z.string().nullable().openapi({
      description: "With what is quoted, at most 500,000 characters; null in lists.",
      example: "Yes, please!\n\nOn Mon, News <news@example.com> wrote:\n> Shall we?",
    }),
    hasHtml: z.boolean().openapi({
      description:
        "Whether HTML came with it. It is kept as it came and not given out so; `text` is made of it where it came alone.",
    }),
    html: z
      .string()
      .nullable()
      .openapi({
        description:
          "As it may be shown: without scripts, styles and forms; links open elsewhere; images that would have to be " +
          "loaded have their address in `data-src` only, for loading them tells the sender that he is read. Null in " +
          "lists, and for HTML of more than 2 MB or that takes too long to clean.",
        example: "<p>Yes, please!</p>",
      }),
    attachments: z.array(
      z.object({
        name: z.string().nullable().openapi({ example: "photo.jpg" }),
        contentType: z.string().openapi({ example: "image/jpeg" }),
        bytes: z.int().openapi({ type: "integer", example: 120_345 }),
      }),
    ),
  })
  .openapi("ReceivedMail");

export type ReceivedMail = z.infer<typeof receivedMail>;
