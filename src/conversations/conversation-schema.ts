import { z } from "@hono/zod-openapi";
import { id, line, time } from "../http/fields.ts";
import { MESSAGE_STATUSES } from "../messages/status.ts";
import { media, reaction } from "./telegram-schema.ts";

export const CHANNELS = ["email", "telegram"] as const;
export const CONVERSATION_STATUSES = ["open", "closed"] as const;
/** As many as Telegram takes, in UTF-16 code units. */
export const MAX_TELEGRAM_CHARS = 4096;
const MAX_TEXT_CHARS = 100_000;
const MAX_SUBJECT_CHARS = 500;
const MAX_NAME_CHARS = 100;
const MAX_BULK = 500;

const channel = z.enum(CHANNELS).openapi({ example: "telegram" });
const status = z.enum(CONVERSATION_STATUSES).openapi({ example: "open" });
const messageStatus = z.enum(MESSAGE_STATUSES).openapi({ example: "received" });

export const assignee = line(MAX_NAME_CHARS).openapi({
  description:
    "Who takes care of it: any text that you use as a name. EDGR has no accounts of your people yet, so it is not " +
    "checked against anything.",
  example: "Maria",
});

const direction = z.enum(["inbound", "outbound"]).openapi({ example: "inbound" });

const lastMessage = z.object({
  id: id(),
  direction,
  channel,
  at: time(),
  status: messageStatus,
  subject: z.string().nullable().openapi({ example: null }),
  text: z.string().nullable().openapi({
    description: "Its first 200 characters; null of what has no text, such as a photo.",
    example: "Yes, please!",
  }),
});

export const conversation = z
  .object({
    id: id().openapi({ description: "The contact's." }),
    contact: z.object({
      id: id(),
      email: z.string().nullable().openapi({ example: "ann@example.com" }),
      telegramChatId: z
        .int()
        .nullable()
        .openapi({ type: "integer", format: "int64", example: 4_815_162_342 }),
      name: z.string().nullable().openapi({
        description: "Of its attributes `firstName` and `lastName`, or `name`, or `username`.",
        example: "Ann Voter",
      }),
    }),
    status,
    assignee: assignee.nullable(),
    unread: z.int().openapi({
      type: "integer",
      description: "How many messages of the contact nobody has read; 1000 stands for that and more.",
      example: 2,
    }),
    lastMessage: lastMessage.nullable().openapi({
      description:
        "What the contact wrote last or was answered. Campaigns don't count: one of them would bring everybody to the top.",
    }),
  })
  .openapi("Conversation");

export const conversationChange = z
  .strictObject({ status, assignee: assignee.nullable().openapi({ description: "Null: nobody." }) })
  .partial()
  .openapi("ConversationChange", { description: "What is not given stays." });

export const bulkChange = z
  .strictObject({
    ids: z.array(id()).min(1, "must not be empty").max(MAX_BULK, `must be at most ${MAX_BULK} conversations`),
    status: status.optional(),
    assignee: assignee.nullable().optional().openapi({ description: "Null: nobody." }),
    read: z.literal(true).optional().openapi({ description: "Marks all of them as read." }),
  })
  .openapi("ConversationsChange", { description: "What is not given stays." });

export const readMark = z
  .strictObject({
    messageId: id().nullable().default(null).openapi({
      description:
        "The newest message that was seen. What came after it stays unread. Null: all that is there has been seen.",
    }),
  })
  .openapi("ReadMark");

const button = z.object({
  text: z.string().openapi({ example: "Buy" }),
  url: z.string().nullable().openapi({
    description: "Null of one that unsubscribes.",
    example: "https://example.com/buy",
  }),
});

export const conversationMessage = z
  .object({
    id: id(),
    direction,
    channel,
    at: time().openapi({
      description: "When it was written or sent; of what is not sent yet, when it was queued.",
    }),
    status: messageStatus.openapi({
      description: "`POST /messages/{id}/retry` sends an answer again that is `failed` or `uncertain`.",
    }),
    error: z.string().nullable().openapi({ description: "Why it was not sent, or not yet.", example: null }),
    to: z.string().openapi({ example: "ann@example.com" }),
    credentialId: id(),
    author: z
      .string()
      .nullable()
      .openapi({ description: "Who answered, as you said; null of others.", example: "Maria" }),
    from: z
      .object({ address: z.string(), name: z.string() })
      .nullable()
      .openapi({
        description: "Of a received email, which may come from another address than the contact's.",
        example: { address: "ann@example.com", name: "Ann" },
      }),
    subject: z.string().nullable().openapi({ example: null }),
    text: z
      .string()
      .nullable()
      .openapi({
        description:
          "What it says: of a received email what the person wrote, without what is quoted, at most 10,000 characters. Null of " +
          "what campaigns send (`subject` or `html` is given) and of what has no text.",
        example: "Yes, please!",
      }),
    html: z.string().nullable().openapi({
      description: "What it says in Telegram, with its formatting: safe to show.",
      example: "Yes, <b>please</b>!",
    }),
    hasHtml: z.boolean().openapi({
      description: "Whether a received email has HTML: `GET /messages/{id}` gives it, cleaned.",
      example: false,
    }),
    isAutomatic: z.boolean().openapi({
      description: "A machine's answer to an email, such as an out-of-office note. It is never unread.",
      example: false,
    }),
    media: z.array(media),
    photo: z
      .string()
      .nullable()
      .openapi({ description: "The picture of a campaign's message.", example: null }),
    attachments: z
      .array(z.object({ name: z.string().nullable(), contentType: z.string(), bytes: z.int() }))
      .openapi({ description: "Of a received email. EDGR keeps their names, not them.", example: [] }),
    buttons: z
      .array(z.array(button))
      .openapi({ description: "Rows of buttons below a message of a bot.", example: [] }),
    reactions: z.array(reaction),
    replyToMessageId: id().nullable().openapi({ description: "The message that it answers." }),
    mediaGroupId: z
      .string()
      .nullable()
      .openapi({ description: "The same for all that were sent as one album.", example: null }),
    editedAt: time().nullable().openapi({ description: "When the person changed it last." }),
    campaignId: id().nullable().openapi({ description: "Of what a campaign sent, or what answers that." }),
    nodeId: z.string().nullable().openapi({ example: null }),
    runId: id().nullable(),
  })
  .openapi("ConversationMessage");

export const newReply = z
  .strictObject({
    text: z
      .string()
      .transform((given) => given.toWellFormed().replace(/\r\n?/g, "\n").trim())
      .refine((text) => text !== "", "must not be empty")
      .refine((text) => text.length <= MAX_TEXT_CHARS, `must have at most ${MAX_TEXT_CHARS} characters`)
      .refine((text) => !/[^\P{Cc}\n\t]/u.test(text), "must not contain control characters")
      .openapi({
        type: "string",
        minLength: 1,
        maxLength: MAX_TEXT_CHARS,
        description: `Plain text: nothing in it is markup. In Telegram at most ${MAX_TELEGRAM_CHARS} characters.`,
        example: "Thank you! We'll send it tomorrow.",
      }),
    channel: channel
      .nullable()
      .default(null)
      .openapi({ description: "Null: the one the contact wrote through last, or else has an address in." }),
    credentialId: id().nullable().default(null).openapi({
      description: "Null: the one the contact wrote to last in this channel, or the only one there is.",
    }),
    subject: line(MAX_SUBJECT_CHARS).nullable().default(null).openapi({
      description: "Of an email. Null: `Re:` and that of the email which it answers.",
      example: null,
    }),
    replyToMessageId: id().nullable().default(null).openapi({
      description:
        "The message that it answers, in the same channel. Null: of emails the contact's last one.",
      example: null,
    }),
    author: line(MAX_NAME_CHARS).nullable().default(null).openapi({
      description: "Who writes it: any text, for you to see. The contact does not.",
      example: "Maria",
    }),
  })
  .openapi("NewReply");

export type NewReply = z.infer<typeof newReply>;
