import { z } from "zod";
import { graphId, position } from "./node-fields.ts";
import { telegramMessageNode } from "./telegram-schema.ts";

const MAX_NAME_LENGTH = 200;
/** RFC 5322 section 2.1.1: no line of a header may be longer. */
const MAX_SUBJECT_LENGTH = 998;
const MAX_BODY_LENGTH = 1_000_000;
/** RFC 5321 section 4.5.3.1.3, without the angle brackets. */
const MAX_ADDRESS_LENGTH = 254;

const address = z.email("must be an email address").max(MAX_ADDRESS_LENGTH);

const sender = z
  .strictObject({
    email: address.meta({ example: "ann@example.com" }),
    name: z.string().max(MAX_NAME_LENGTH).nullable().default(null).meta({ example: "Ann of Example" }),
  })
  .meta({ description: "A sender instead of the credential's own." });

const emailMessageNode = z
  .strictObject({
    id: graphId.meta({ example: "hello" }),
    type: z.literal("message"),
    channel: z.literal("email"),
    credentialId: z.uuid("must be the id of a credential").meta({
      description: "The credential that sends it.",
      example: "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a24",
    }),
    from: sender.nullable().default(null),
    replyTo: address.nullable().default(null).meta({
      description: "Where replies go instead of the sender.",
      example: "help@example.com",
    }),
    subject: z.string().max(MAX_SUBJECT_LENGTH).meta({
      description: "A Liquid template of one line, not empty.",
      example: "Hi {{ contact.attributes.firstName }}",
    }),
    format: z
      .enum(["html", "mjml"], { error: 'must be "html" or "mjml"' })
      .default("html")
      .meta({ description: "What `html` holds.", example: "html" }),
    html: z.string().max(MAX_BODY_LENGTH).meta({
      description: "A Liquid template of the HTML part, or of the MJML it is made from; not empty.",
      example: '<p>Have a <a href="https://example.com/buy">look</a>.</p>',
    }),
    text: z.string().max(MAX_BODY_LENGTH).nullable().default(null).meta({
      description: "A Liquid template of the text part; null makes it from the HTML.",
      example: null,
    }),
    unsubscribeLink: z.boolean().default(true).meta({
      description: "Adds a footer with the unsubscribe link and the postal address.",
    }),
    trackOpens: z.boolean().default(true).meta({
      description: "Adds the pixel; `opened` and `notOpened` edges need it.",
    }),
    trackClicks: z.boolean().default(true).meta({
      description: "Rewrites links; `clicked` and `notClicked` edges need it.",
    }),
    position,
  })
  .meta({ id: "EmailMessageNode", description: "Sends one email to the contact." });

/** What a message is made of depends on the channel it goes through. */
export const messageNode = z
  .discriminatedUnion("channel", [emailMessageNode, telegramMessageNode], {
    error: 'must be "email" or "telegram"',
  })
  .meta({ id: "MessageNode" });
