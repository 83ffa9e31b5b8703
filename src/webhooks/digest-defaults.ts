/**
 * What a chat endpoint gathers unless whoever made it says otherwise: what comes by the thousand. Bounces, complaints,
 * people who leave or answer, and everything else is told at once.
 * `digestTypes`: patterns as endpoints have them, where `*` stands for anything.
 */
export const CHAT_DIGEST_DEFAULTS = {
  digestSeconds: 300,
  digestTypes: [
    "email_opened",
    "email_clicked",
    "message_queued",
    "message_sent",
    "message_delivered",
    "campaign_started",
    "campaign_completed",
    "run_*",
  ],
};
