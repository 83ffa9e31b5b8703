import { NUDGE } from "./journal.ts";

const SHOP = "https://example.com/buy";

/** Who has not opened the welcome so long after it is written to in Telegram. */
export const NUDGE_AFTER_MS = 3_000;

/**
 * Four emails: a welcome; a reminder a second after it, whatever happens; a story for those who open the
 * welcome, and thanks for those who click in it. Who does not open it in time gets a message in Telegram. Who answers the
 * welcome or that message, clicks in the latter or leaves by it, or can't be reached, is tagged.
 */
export function demoCampaign(credentialId: string, botId: string): object {
  const message = (id: string, subject: string, words: string) => ({
    id,
    type: "message",
    channel: "email",
    credentialId,
    subject,
    html: `<html><body><h1>${words}</h1><p>Hello {{ contact.attributes.firstName | default: "friend" }},
      have a <a href="${SHOP}?from=${id}&amp;who={{ contact.attributes.number }}">look</a>.</p></body></html>`,
  });
  const edge = (from: string, to: string, firesWhen: string) => ({
    id: `${from}-${to}`,
    from,
    to,
    firesWhen,
  });
  return {
    name: "Demo",
    nodes: [
      message("welcome", "Welcome, {{ contact.attributes.firstName }}", "Good that you are here"),
      { id: "pause", type: "wait", duration: "PT1S" },
      message("reminder", "A reminder", "Still there"),
      message("story", "A story for you", "Once upon a time"),
      message("thanks", "Thanks for looking", "Thank you"),
      {
        id: NUDGE,
        type: "message",
        channel: "telegram",
        credentialId: botId,
        text: "<b>{{ contact.attributes.firstName }}</b>, did our welcome arrive?",
        buttons: [[{ text: "Have a look", url: `${SHOP}?from=nudge` }]],
      },
      { id: "looked", type: "update-contact", addTags: ["looked"] },
      { id: "talking", type: "update-contact", addTags: ["talking"] },
      { id: "gone", type: "update-contact", addTags: ["gone"] },
      { id: "answered", type: "update-contact", addTags: ["answered"] },
      { id: "unreachable", type: "update-contact", addTags: ["unreachable"] },
    ],
    edges: [
      edge("welcome", "pause", "always"),
      edge("pause", "reminder", "always"),
      edge("welcome", "story", "opened"),
      edge("welcome", "thanks", "clicked"),
      edge("welcome", "answered", "replied"),
      edge("welcome", "unreachable", "bounced"),
      { ...edge("welcome", NUDGE, "notOpened"), within: `PT${NUDGE_AFTER_MS / 1_000}S` },
      edge(NUDGE, "looked", "clicked"),
      edge(NUDGE, "talking", "replied"),
      edge(NUDGE, "gone", "unsubscribed"),
    ],
  };
}

/** Those that do not depend on what SES reports. */
export const DEMO_EDGES = ["welcome-pause", "pause-reminder", "welcome-story", "welcome-thanks"] as const;

export function demoAddress(number: number): string {
  return `person${number}@example.com`;
}

/** `count` contacts; the number in the address decides what each of them does. */
export function demoContacts(count: number): object[] {
  return Array.from({ length: count }, (_, number) => ({
    email: demoAddress(number),
    attributes: { firstName: `Person ${number}`, number },
    tags: ["demo"],
  }));
}
