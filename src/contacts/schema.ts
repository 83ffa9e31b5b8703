import { z } from "@hono/zod-openapi";
import { email, id, line, time } from "../http/fields.ts";
import { isTimeZone } from "../time-zone.ts";

export const MAX_BULK_CONTACTS = 10_000;
export const MAX_ATTRIBUTES_BYTES = 64 * 1024;
export const MAX_TAGS = 100;
const MAX_TAG_LENGTH = 64;

export const telegramChatId = z
  .int("must be a whole number")
  .refine((chat) => chat !== 0, "must not be 0")
  .openapi({ example: 4_815_162_342 });

export const timeZone = z
  .string()
  .max(64)
  .refine(isTimeZone, "must be a time zone of the IANA database, such as Europe/Paris")
  .openapi({ example: "Europe/Paris" });

const attributes = z
  .record(z.string(), z.json())
  .refine(
    (value) => Buffer.byteLength(JSON.stringify(value)) <= MAX_ATTRIBUTES_BYTES,
    `must have at most ${MAX_ATTRIBUTES_BYTES} bytes as JSON`,
  )
  .openapi({
    type: "object",
    additionalProperties: true,
    description: "Anything you want to use in templates. An attribute given as null is removed.",
    example: { firstName: "Ann" },
  });

export const tag = line(MAX_TAG_LENGTH).openapi({ example: "vip" });

const tags = z
  .array(tag)
  .transform((given) => [...new Set(given)])
  .refine((given) => given.length <= MAX_TAGS, `must be at most ${MAX_TAGS} tags`)
  .openapi({ type: "array", items: { type: "string", maxLength: MAX_TAG_LENGTH }, example: ["vip"] });

const fields = {
  email: email().nullable(),
  telegramChatId: telegramChatId.nullable(),
  timeZone: timeZone.nullable(),
};

export const newContact = z
  .strictObject({
    email: fields.email.default(null),
    telegramChatId: fields.telegramChatId.default(null),
    timeZone: fields.timeZone.default(null),
    attributes: attributes.default({}),
    tags: tags.default([]),
  })
  .refine((contact) => contact.email !== null || contact.telegramChatId !== null, {
    path: ["email"],
    message: "is required for a contact without telegramChatId",
  })
  .openapi("NewContact");

export const contactChange = z
  .strictObject({ ...fields, attributes, tags })
  .partial()
  .openapi("ContactChange", { description: "Attributes are merged into those there; tags replace them." });

/** One row of a bulk request; a row keeps what it does not mention. */
export const bulkContact = z
  .strictObject({
    email: email(),
    telegramChatId: fields.telegramChatId.default(null),
    timeZone: fields.timeZone.default(null),
    attributes: attributes.default({}),
    tags: tags.default([]),
  })
  .openapi("BulkContact");

// Rows are checked one by one by the handler, so that a bad row does not refuse the good ones.
export const bulkContacts = z
  .strictObject({
    contacts: z
      .array(z.unknown())
      .min(1, "must not be empty")
      .max(MAX_BULK_CONTACTS, `must be at most ${MAX_BULK_CONTACTS} contacts`)
      .openapi({
        type: "array",
        items: { $ref: "#/components/schemas/BulkContact" },
        maxItems: MAX_BULK_CONTACTS,
      }),
  })
  .openapi("BulkContacts");

export const bulkResult = z
  .object({
    created: z.int().openapi({ example: 998 }),
    updated: z.int().openapi({ example: 1 }),
    refused: z.array(
      z.object({
        index: z.int().openapi({ description: "The row's place in the request, from 0.", example: 17 }),
        field: z.string().openapi({ example: "email" }),
        reason: z.string().openapi({ example: "must be an email address such as ann@example.com" }),
      }),
    ),
  })
  .openapi("BulkResult");

export const contact = z
  .object({
    id: id(),
    email: z.string().nullable().openapi({ example: "ann@example.com" }),
    telegramChatId: z.int().nullable().openapi({ example: null }),
    timeZone: z.string().nullable().openapi({ example: "Europe/Paris" }),
    attributes: z.record(z.string(), z.json()).openapi({
      type: "object",
      additionalProperties: true,
      example: { firstName: "Ann" },
    }),
    tags: z.array(z.string()).openapi({ example: ["vip"] }),
    createdAt: time(),
    updatedAt: time(),
  })
  .openapi("Contact");

export const contactWithSuppressions = contact
  .extend({
    suppressed: z.array(z.string()).openapi({
      description:
        "Why nothing is sent to this contact, if so: unsubscribe, bounce, complaint, blocked, manual.",
      example: [],
    }),
  })
  .openapi("ContactWithSuppressions");
