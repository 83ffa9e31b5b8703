import { z } from "@hono/zod-openapi";
import { receivedMail } from "../conversations/schema.ts";
import { receivedTelegram } from "../conversations/telegram-schema.ts";
import { id, time } from "../http/fields.ts";
import { POSTPONED_REASONS } from "./postponed.ts";
import { MESSAGE_STATUSES } from "./status.ts";

export const message = z
  .object({
    id: id(),
    direction: z.enum(["outbound", "inbound"]),
    channel: z.enum(["email", "telegram"]),
    campaignId: id().nullable(),
    nodeId: z.string().nullable().openapi({ example: "hello" }),
    runId: id().nullable(),
    enrollmentId: id().nullable(),
    contactId: id(),
    credentialId: id(),
    to: z
      .string()
      .openapi({ description: "Empty when the contact has no address.", example: "ann@example.com" }),
    subject: z.string().nullable().openapi({ description: "As it was sent.", example: "Hi Ann" }),
    status: z.enum(MESSAGE_STATUSES).openapi({
      description:
        "`uncertain`: EDGR was interrupted between handing it to the mail server and hearing the answer; it may have " +
        "been sent, and is not sent again by itself. `cancelled`: the enrollment or the campaign ended first. " +
        "`rejected`: the provider took it and then refused to send it. It only moves forward, whatever is told late: " +
        "from `sent` to `rejected`, `delivered`, `bounced`, `complained`. An inbound message is `received`.",
      example: "sent",
    }),
    providerMessageId: z.string().nullable().openapi({
      description: "The mail server's id for it.",
      example: "0100018f3c1a2b4d-6e5f7a8b-9c0d-4e1f-8a2b-3c4d5e6f7a8b-000000",
    }),
    error: z.string().nullable().openapi({ description: "What went wrong last.", example: null }),
    attempts: z.int().openapi({ type: "integer", description: "Times it was handed over.", example: 1 }),
    isDelayed: z.boolean().openapi({
      description: "The provider goes on trying: it was sent and has neither arrived nor bounced so far.",
      example: false,
    }),
    postponed: z
      .object({ reason: z.enum(POSTPONED_REASONS).openapi({ example: "quiet_hours" }), until: time() })
      .nullable()
      .openapi({
        description:
          "Why a queued message does not go out now, and until when. `quiet_hours`: of its campaign, in the contact's " +
          "own time zone. `frequency_cap`: the contact has had as many messages as the account allows. `deferred`: " +
          "the mail server asked to try again later. `send_window` and `warm_up`: of its credential, which sends " +
          "nothing at this time, or no more on this day.",
      }),
    queuedAt: time(),
    sentAt: time().nullable(),
    openedAt: time().nullable().openapi({
      description: "First, by a person, or by anybody where the campaign has `countAutomaticHits`.",
    }),
    clickedAt: time().nullable().openapi({ description: "In the same way." }),
    clickedUrl: z.string().nullable().openapi({ example: "https://example.com/buy" }),
    received: receivedMail.nullable().openapi({ description: "What an inbound email is; null of others." }),
    telegram: receivedTelegram.nullable().openapi({
      description: "What a message is that somebody wrote to a bot; null of others.",
    }),
  })
  .openapi("Message");
