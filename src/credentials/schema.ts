import { z } from "@hono/zod-openapi";
import { email, id, line, time } from "../http/fields.ts";
import { parseTopic } from "../inbound/ses/topic.ts";
import { sendWindow, warmUp } from "./schedule-schema.ts";
import { botToken, newTelegramCredential, telegramCredential } from "./telegram-schema.ts";

const MAX_NAME_LENGTH = 100;
const MAX_SENDER_NAME_LENGTH = 200;
const MAX_PASSWORD_LENGTH = 1_000;

const awsKeys = {
  region: z
    .string()
    .regex(/^[a-z]{2,4}(-[a-z]+)+-\d$/, "must be an AWS region such as us-east-1")
    .openapi({ example: "us-east-1" }),
  accessKeyId: z
    .string()
    .regex(/^[A-Za-z0-9]{16,128}$/, "must be 16 to 128 letters and digits")
    .openapi({ example: "AKIAIOSFODNN7EXAMPLE" }),
};

const ses = z
  .strictObject({
    configurationSet: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/, "must be 1 to 64 letters, digits, - or _")
      .nullable()
      .default(null)
      .openapi({ description: "Events of messages are published through it.", example: "edgr" }),
    topicArns: z
      .array(line(300))
      .max(20)
      .default([])
      .openapi({ example: ["arn:aws:sns:us-east-1:123456789012:edgr"] }),
    accountId: z
      .string()
      .regex(/^\d{12}$/, "must be the 12 digits of an AWS account")
      .nullable()
      .default(null)
      .openapi({
        description: "Its SNS topics that want to connect are shown, also before one is allowed.",
        example: "123456789012",
      }),
    topicPattern: z
      .string()
      .regex(
        /^[A-Za-z0-9_*-]{1,256}$/,
        "must be a topic's name: 1 to 256 letters, digits, - or _, and * for any of them",
      )
      .nullable()
      .default(null)
      .openapi({
        description:
          "Topics of the account `accountId` with such a name are allowed by themselves when they first speak, unless " +
          "they fit another customer too. `*`: any characters.",
        example: "edgr-*",
      }),
    replyDomain: line(253)
      .nullable()
      .default(null)
      .openapi({
        description:
          "A domain whose mail SES receives for you. Answers to what is sent go to a signed address there, unless a " +
          "message has a `replyTo` of its own.",
        example: null,
      }),
    aws: z
      .strictObject(awsKeys)
      .nullable()
      .default(null)
      .openapi({ description: "To fetch received mail from S3 with, and to set SES up.", example: null }),
  })
  .openapi({ description: "Only for Amazon SES." });

/** As it is given: the secret is kept apart, as the password is; what is kept may be older than a check. */
const sesGiven = ses
  .extend({
    topicArns: z
      .array(
        line(300).refine(
          (arn) => parseTopic(arn) !== null,
          "must be the ARN of an SNS topic, such as arn:aws:sns:us-east-1:123456789012:edgr",
        ),
      )
      .max(20)
      .default([])
      .openapi({
        description: "SNS topics that may report on mail; each belongs to one customer only.",
        example: ["arn:aws:sns:us-east-1:123456789012:edgr"],
      }),
    aws: z
      .strictObject({
        ...awsKeys,
        secretAccessKey: z
          .string()
          .min(1, "must not be empty")
          .max(MAX_PASSWORD_LENGTH, `must have at most ${MAX_PASSWORD_LENGTH} characters`)
          .optional()
          .openapi({
            format: "password",
            writeOnly: true,
            description:
              "Kept encrypted and never returned. May be left out while `accessKeyId` stays as it is.",
            example: "the secret of the access key",
          }),
      })
      .nullable()
      .default(null),
  })
  .refine(({ topicPattern, accountId }) => topicPattern === null || accountId !== null, {
    path: ["topicPattern"],
    error: "needs accountId beside it: whose topics they are",
  });

export type SesGiven = z.infer<typeof sesGiven>;

const fields = {
  host: z
    .string()
    .min(1, "must not be empty")
    .max(253)
    .regex(/^[A-Za-z0-9.:_-]+$/, "must be a host name or an address")
    .openapi({ example: "email-smtp.us-east-1.amazonaws.com" }),
  port: z.int().min(1).max(65535).openapi({ type: "integer", minimum: 1, maximum: 65535, example: 587 }),
  secure: z.boolean().openapi({
    description: "true: TLS from the first byte (465). false: STARTTLS where the server offers it (587, 25).",
    example: false,
  }),
  requireTls: z.boolean().openapi({
    description: "Refuse a server that offers no STARTTLS.",
    example: true,
  }),
  username: line(500).nullable().openapi({ example: "AKIAIOSFODNN7EXAMPLE" }),
  fromEmail: email().openapi({ example: "news@example.com" }),
  fromName: line(MAX_SENDER_NAME_LENGTH).nullable().openapi({ example: "News" }),
  replyTo: email().nullable().openapi({ example: null }),
  rateLimitPerSecond: z.number().min(0.01).max(10_000).openapi({
    description: "Messages a second at most, over all campaigns that send through this credential.",
    example: 14,
  }),
  maxConnections: z.int().min(1).max(100).openapi({
    type: "integer",
    minimum: 1,
    maximum: 100,
    description: "Connections to the server at once, at most.",
    example: 5,
  }),
  sendWindow: sendWindow.nullable(),
  warmUp: warmUp.nullable(),
  ses: ses.nullable(),
};

/** What a credential of type `smtp` says of itself; its password is kept apart, encrypted. */
export const smtpSettings = z.strictObject({
  ...fields,
  secure: fields.secure.default(false),
  requireTls: fields.requireTls.default(false),
  username: fields.username.default(null),
  fromName: fields.fromName.default(null),
  replyTo: fields.replyTo.default(null),
  rateLimitPerSecond: fields.rateLimitPerSecond.default(14),
  maxConnections: fields.maxConnections.default(5),
  sendWindow: fields.sendWindow.default(null),
  warmUp: fields.warmUp.default(null),
  ses: fields.ses.default(null),
});

export type SmtpSettings = z.infer<typeof smtpSettings>;

export type SmtpCredential = {
  customerId: string;
  id: string;
  name: string;
  settings: SmtpSettings;
  password: string | null;
};

const name = line(MAX_NAME_LENGTH).openapi({ example: "SES" });

const password = z
  .string()
  .max(MAX_PASSWORD_LENGTH, `must have at most ${MAX_PASSWORD_LENGTH} characters`)
  .transform((text) => (text === "" ? null : text))
  .nullable()
  .openapi({
    type: ["string", "null"],
    maxLength: MAX_PASSWORD_LENGTH,
    format: "password",
    writeOnly: true,
    description: "Kept encrypted and never returned. An empty one is none.",
  });

const newSmtpCredential = z
  .strictObject({
    type: z.literal("smtp"),
    name,
    ...smtpSettings.shape,
    ses: sesGiven.nullable().default(null),
    password: password.default(null),
  })
  .openapi("NewCredential");

export const newCredential = z.discriminatedUnion("type", [newSmtpCredential, newTelegramCredential], {
  error: ({ code }) => (code === "invalid_union" ? 'must be "smtp" or "telegram"' : undefined),
});

export const credentialChange = z
  .strictObject({ name, ...fields, ses: sesGiven.nullable(), password, botToken })
  .partial()
  .openapi("CredentialChange", {
    description:
      "What is not given stays. `password`: null removes it. `ses`, `sendWindow` and `warmUp` are replaced as a " +
      "whole. A lane that is sending goes on with the new settings within seconds. Of a Telegram bot `name`, `botToken` " +
      "(another token of the same bot), `maxConnections` and `rateLimitPerSecond` can be changed.",
  });

const smtpCredential = z
  .object({
    id: id(),
    type: z.enum(["smtp"]),
    name,
    ...fields,
    hasPassword: z.boolean().openapi({ description: "Whether a password is kept; it is never returned." }),
    status: z.enum(["active", "failing", "disabled"]).openapi({
      description: "How sending goes: `failing` while the server can't be used.",
      example: "active",
    }),
    statusReason: z.string().nullable().openapi({ description: "What the server said.", example: null }),
    today: z.object({
      day: z.iso.date().openapi({ example: "2026-11-25" }),
      timeZone: z.string().openapi({ description: "Whose day it is.", example: "Europe/Paris" }),
      sent: z.int().openapi({ type: "integer", description: "Attempts made on this day.", example: 31 }),
      ceiling: z
        .int()
        .nullable()
        .openapi({ type: ["integer", "null"], description: "Of `warmUp`; null: none.", example: 50 }),
    }),
    hold: z
      .object({ reason: z.enum(["send_window", "warm_up"]), until: time() })
      .nullable()
      .openapi({ description: "Why it sends nothing just now, and until when.", example: null }),
    createdAt: time(),
    updatedAt: time(),
  })
  .openapi("Credential");

export const credential = z.union([smtpCredential, telegramCredential]);

export const verification = z
  .object({
    ok: z.boolean(),
    reason: z.string().nullable().openapi({ description: "Why not, as the server says.", example: null }),
  })
  .openapi("Verification");
