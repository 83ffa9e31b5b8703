/**
 * In the order they follow each other; a message only goes forward, but for a retry. An inbound one is `received`, and
 * nothing else.
 */
export const MESSAGE_STATUSES = [
  "queued",
  "suppressed",
  "cancelled",
  "failed",
  "uncertain",
  "sent",
  "rejected",
  "delivered",
  "bounced",
  "complained",
  "received",
] as const;

export type MessageStatus = (typeof MESSAGE_STATUSES)[number];
