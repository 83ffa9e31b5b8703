import { z } from "@hono/zod-openapi";
import { id, time } from "../http/fields.ts";
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
        "been sent, and is not sent again by itself. `cancelled`: the enrollment or the campaign ended first.",
      example: "sent",
    }),
    providerMessageId: z.string().nullable().openapi({ description: "The mail server's id for it." }),
    error: z.string().nullable().openapi({ description: "What went wrong last.", example: null }),
    attempts: z.int().openapi({ type: "integer", description: "Times it was handed over.", example: 1 }),
    queuedAt: time(),
    sentAt: time().nullable(),
    openedAt: time().nullable().openapi({
      description: "First, by a person, or by anybody where the campaign has `countAutomaticHits`.",
    }),
    clickedAt: time().nullable().openapi({ description: "In the same way." }),
    clickedUrl: z.string().nullable().openapi({ example: "https://example.com/buy" }),
  })
  .openapi("Message");
