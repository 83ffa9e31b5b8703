/** In the order they follow each other; a message only goes forward, but for a retry. */
export const MESSAGE_STATUSES = [
  "queued",
  "suppressed",
  "cancelled",
  "failed",
  "uncertain",
  "sent",
  "delivered",
  "bounced",
  "complained",
] as const;

export type MessageStatus = (typeof MESSAGE_STATUSES)[number];
