/**
 * What a bounce or complaint means for the address (protocols 2.4): `suppress`: it must not be mailed any more;
 * `soft`: it counts towards a limit; `none`: it says nothing about the address.
 */
export type Effect =
  | { kind: "suppress"; reason: "bounce" | "complaint" | "unsubscribe" }
  | { kind: "soft" }
  | { kind: "none" };

const NONE: Effect = { kind: "none" };
const SUPPRESS: Effect = { kind: "suppress", reason: "bounce" };

/** About this one mail, or about how it was sent. */
const ABOUT_THE_MAIL = new Set([
  "MessageTooLarge",
  "ContentRejected",
  "AttachmentRejected",
  "CustomTimeoutExceeded",
]);

/** A domain that does not exist is no passing trouble, though SES calls it one. */
const DEAD_DOMAIN = /invalid domain|nxdomain|domain (name )?not found|no such domain/i;

export type BouncedRecipient = {
  action: string | null;
  status: string | null;
  diagnosticCode: string | null;
};

/** Decided for each recipient by himself: one mail's recipients bounce for reasons of their own. */
export function bounceEffect(bounceType: string, subType: string, recipient: BouncedRecipient): Effect {
  const { action, status, diagnosticCode } = recipient;
  if (bounceType === "Permanent") {
    if (subType === "UnsubscribedRecipient") return { kind: "suppress", reason: "unsubscribe" };
    // A report may name, beside who bounced, who has not yet (RFC 3464 section 2.3.3).
    return action === "delayed" || status?.startsWith("4.") === true ? NONE : SUPPRESS;
  }
  if (bounceType !== "Transient" || ABOUT_THE_MAIL.has(subType)) return NONE;
  const isDead = ["5.4.4", "5.1.2"].includes(status ?? "") && DEAD_DOMAIN.test(diagnosticCode ?? "");
  return isDead ? SUPPRESS : { kind: "soft" };
}

/** @param feedbackType of the report (RFC 5965, IANA MARF), null when there is none */
export function complaintEffect(feedbackType: string | null): Effect {
  return feedbackType === "not-spam" ? NONE : { kind: "suppress", reason: "complaint" };
}
