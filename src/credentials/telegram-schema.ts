import { z } from "@hono/zod-openapi";
import { id, line, time } from "../http/fields.ts";
import { isBotToken } from "../telegram/api.ts";

const MAX_NAME_LENGTH = 100;
/** Telegram's own. */
const DEFAULT_MAX_CONNECTIONS = 40;

const name = line(MAX_NAME_LENGTH).openapi({ example: "Support bot" });

/** Kept encrypted and never returned. */
export const botToken = z
  .string()
  .max(200, "must have at most 200 characters")
  .refine(isBotToken, "must be what @BotFather gave, such as 123456789: and 35 characters")
  .openapi({
    format: "password",
    writeOnly: true,
    description: "What @BotFather gave. Kept encrypted and never returned.",
    example: "the token of the bot",
  });

const maxConnections = z.int().min(1).max(100).openapi({
  type: "integer",
  minimum: 1,
  maximum: 100,
  description: "Updates that Telegram delivers at once, at most.",
  example: DEFAULT_MAX_CONNECTIONS,
});

/** Of Telegram's own for messages to many; more is for those who pay for it. */
const DEFAULT_RATE = 30;

const rateLimitPerSecond = z.int().min(1).max(1_000).openapi({
  type: "integer",
  minimum: 1,
  maximum: 1_000,
  description: "Messages a second, at most; in one chat it is one a second, in a group 20 a minute.",
  example: DEFAULT_RATE,
});

const fields = {
  botId: z.int().openapi({ type: "integer", format: "int64", example: 123456789 }),
  botUsername: z.string().openapi({ description: "Without the @.", example: "example_bot" }),
  botName: z.string().openapi({ example: "Example" }),
  webhookUrl: z.string().openapi({
    description: "Where Telegram was told to deliver; `GET /credentials/{id}/telegram/webhook` asks it.",
    example: "https://edgr.example.com/api/telegram/webhook/01989c2a-7d3c-7cc3-98c4-dc0c0c07398f",
  }),
  maxConnections,
};

/** What a credential of type `telegram` says of itself; its token and its webhook's secret are kept apart, encrypted. */
export const telegramSettings = z.strictObject({
  ...fields,
  rateLimitPerSecond: rateLimitPerSecond.default(DEFAULT_RATE),
});

export type TelegramSettings = z.infer<typeof telegramSettings>;

export const newTelegramCredential = z
  .strictObject({
    type: z.literal("telegram"),
    name,
    botToken,
    maxConnections: maxConnections.default(DEFAULT_MAX_CONNECTIONS),
    rateLimitPerSecond: rateLimitPerSecond.default(DEFAULT_RATE),
  })
  .openapi("NewTelegramCredential");

/** What of a credential of type `telegram` can be changed. */
export const TELEGRAM_CHANGES: readonly string[] = [
  "name",
  "botToken",
  "maxConnections",
  "rateLimitPerSecond",
];

export const telegramCredential = z
  .object({
    id: id(),
    type: z.enum(["telegram"]),
    name,
    ...fields,
    rateLimitPerSecond,
    status: z.enum(["active", "failing", "disabled"]).openapi({ example: "active" }),
    statusReason: z.string().nullable().openapi({ example: null }),
    createdAt: time(),
    updatedAt: time(),
  })
  .openapi("TelegramCredential");

export const webhookState = z
  .object({
    credentialId: id(),
    url: z.string().nullable().openapi({
      description: "Where Telegram delivers the bot's updates; null: nowhere.",
      example: "https://edgr.example.com/api/telegram/webhook/01989c2a-7d3c-7cc3-98c4-dc0c0c07398f",
    }),
    isInstalled: z.boolean().openapi({ description: "They come here.", example: true }),
    warning: z.string().nullable().openapi({ description: "Why they do not come here.", example: null }),
    pendingUpdates: z.int().openapi({ type: "integer", description: "Not yet delivered.", example: 0 }),
    lastErrorAt: time().nullable().openapi({ example: null }),
    lastError: z
      .string()
      .nullable()
      .openapi({ description: "Of the last delivery that failed, as Telegram says.", example: null }),
    maxConnections: z
      .int()
      .nullable()
      .openapi({ type: ["integer", "null"], example: 40 }),
    allowedUpdates: z.array(z.string()).openapi({ example: ["message", "message_reaction"] }),
  })
  .openapi("TelegramWebhook");
