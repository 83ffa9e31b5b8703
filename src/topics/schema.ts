import { z } from "@hono/zod-openapi";
import { id, line, lines, time } from "../http/fields.ts";

/** They all stand on one page, where somebody has to find theirs. */
export const MAX_TOPICS = 50;
const MAX_NAME_LENGTH = 100;
const MAX_DESCRIPTION_LENGTH = 500;

const name = line(MAX_NAME_LENGTH).openapi({
  description: "What contacts read on the page of their preferences.",
  example: "Product news",
});

const description = lines(MAX_DESCRIPTION_LENGTH)
  .or(z.literal(""))
  .openapi({ type: "string", maxLength: MAX_DESCRIPTION_LENGTH, example: "About once a month." });

export const newTopic = z.strictObject({ name, description: description.default("") }).openapi("NewTopic");

export const topicChange = z.strictObject({ name, description }).partial().openapi("TopicChange");

export const topic = z
  .object({
    id: id(),
    name,
    description: z.string().openapi({ example: "About once a month." }),
    left: z.int().openapi({ type: "integer", description: "How many contacts have left it.", example: 12 }),
    createdAt: time(),
    updatedAt: time(),
  })
  .openapi("Topic");

export const contactTopic = z
  .object({
    topicId: id(),
    name: z.string().openapi({ example: "Product news" }),
    leftAt: time()
      .nullable()
      .openapi({ description: "Since when the contact does not want it; null: it does." }),
  })
  .openapi("ContactTopic");

export const contactTopicsChange = z
  .strictObject({
    left: z
      .array(id())
      .max(MAX_TOPICS)
      .openapi({ description: "The topics that the contact does not want: these and no others." }),
  })
  .openapi("ContactTopicsChange");
