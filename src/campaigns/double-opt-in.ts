import type { Campaign } from "./schema.ts";
import { campaignInput } from "./schema.ts";

export type DoubleOptIn = {
  name: string;
  credentialId: string;
  /** Where the link in the email leads; a page of the customer's that says thanks. */
  confirmUrl: string;
  /** What a contact who has confirmed gets. */
  tag: string;
  /** How long it may take, an ISO 8601 duration. */
  within: string;
  subject: string;
};

/**
 * The campaign that asks a contact to confirm: who has the tag already is let through, the others get an email, and
 * the tag when they press its link in time. It may be entered again once it is over, so that somebody who let the
 * time pass can sign up anew. Machines that open links confirm nothing.
 * @throws ZodError when a field is not fit for a campaign; `validateCampaign` has the rest
 */
export function doubleOptInCampaign(asked: DoubleOptIn): Campaign {
  return campaignInput.parse({
    name: asked.name,
    countAutomaticHits: false,
    reenrollAfter: "PT0S",
    nodes: [
      { id: "known", type: "condition", if: { tag: asked.tag } },
      {
        id: "ask",
        type: "message",
        channel: "email",
        credentialId: asked.credentialId,
        subject: asked.subject,
        html: emailHtml(asked.confirmUrl),
      },
      {
        id: "mark",
        type: "update-contact",
        set: { confirmedAt: { node: "ask", output: "clickedAt" } },
        addTags: [asked.tag],
      },
      { id: "confirmed", type: "exit" },
      { id: "unconfirmed", type: "exit" },
    ],
    edges: [
      { id: "isKnown", from: "known", to: "confirmed", firesWhen: "true" },
      { id: "isNew", from: "known", to: "ask", firesWhen: "false" },
      { id: "confirms", from: "ask", to: "mark", firesWhen: "clicked", url: asked.confirmUrl },
      { id: "expires", from: "ask", to: "unconfirmed", firesWhen: "notClicked", within: asked.within },
      { id: "fails", from: "ask", to: "unconfirmed", firesWhen: "failed" },
      { id: "marked", from: "mark", to: "confirmed", firesWhen: "always" },
    ],
  });
}

function emailHtml(confirmUrl: string): string {
  return `<!doctype html>
<html lang="en">
<body>
<p>Hello{% if contact.attributes.firstName %} {{ contact.attributes.firstName }}{% endif %},</p>
<p>please confirm that you want our emails:</p>
<p><a href="${confirmUrl.replaceAll("&", "&amp;")}">Yes, I want them</a></p>
<p>If it was not you who signed up, do nothing: you will get no more emails.</p>
</body>
</html>
`;
}
