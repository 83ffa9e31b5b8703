import { domainToASCII } from "node:url";
import { toShortId } from "../events/id.ts";
import { nodeClaim } from "../tracking/token.ts";

/** Which message this is; all but `nodeId` are UUIDs. */
export type MessageIds = {
  customerId: string;
  campaignId: string;
  nodeId: string;
  runId: string;
  messageId: string;
};

export type HeaderText = { ok: true; value: string } | { ok: false; field: string; reason: string };

/** The longest line of a message (RFC 5322 section 2.1.1). */
const MAX_HEADER_CHARS = 998;

// Gmail wants 5 to 15 characters that are the same in everything a sender sends.
const FEEDBACK_SENDER = "edgrmail";

/**
 * Text that may become a header's value. A line break or another control character is refused, not repaired: it
 * would begin a header of its own, and comes from a contact's attribute more often than from the template.
 */
export function safeHeaderText(field: string, text: string): HeaderText {
  // Half a character, such as `truncate` leaves of an emoji, has no bytes to send.
  const value = text.toWellFormed();
  if (/[\r\n]/.test(value)) return { ok: false, field, reason: "it contains a line break" };
  if (/\p{Cc}/u.test(value)) return { ok: false, field, reason: "it contains a control character" };
  if (value.length > MAX_HEADER_CHARS)
    return { ok: false, field, reason: `it is longer than ${MAX_HEADER_CHARS} characters` };
  return { ok: true, value };
}

/** A plain address, `local@domain`, without a name, a comment or quotes around it. */
export function safeAddress(field: string, address: string): HeaderText {
  const text = safeHeaderText(field, address);
  if (!text.ok) return text;
  const isPlain = /^[^\s@<>()[\]\\,;:"]+@[^\s@<>()[\]\\,;:"]+$/.test(text.value);
  if (!isPlain || messageDomain(text.value) === "")
    return { ok: false, field, reason: "it is not an email address" };
  return text;
}

/** Our own `Message-ID`, in its angle brackets, under the sender's domain as mail servers write it. */
export function messageIdHeader(messageId: string, fromEmail: string): string {
  return `<${toShortId(messageId)}@${messageDomain(fromEmail)}>`;
}

/**
 * The headers every email carries: one-click unsubscribe (RFC 2369, RFC 8058; protocols 4.1) and Gmail's
 * `Feedback-ID`, which names groups of mail and never a person. With an SES configuration set, also the headers
 * that make SES publish events and name the message in them.
 */
export function emailHeaders(
  ids: MessageIds,
  unsubscribeUrl: string,
  configurationSet: string | null,
): Record<string, string> {
  const campaign = toShortId(ids.campaignId);
  const customer = toShortId(ids.customerId);
  return {
    "List-Unsubscribe": `<${unsubscribeUrl}>`,
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    "Feedback-ID": `${campaign}:${nodeClaim(ids.nodeId)}:${customer}:${FEEDBACK_SENDER}`,
    ...sesHeaders(ids, configurationSet),
  };
}

/** What makes SES publish events and name the message in them; nothing without a configuration set. */
export function sesHeaders(
  ids: Pick<MessageIds, "customerId" | "messageId">,
  configurationSet: string | null,
): Record<string, string> {
  if (configurationSet === null) return {};
  return {
    "X-SES-CONFIGURATION-SET": configurationSet,
    "X-SES-MESSAGE-TAGS": `edgr-message=${toShortId(ids.messageId)}, edgr-customer=${toShortId(ids.customerId)}`,
  };
}

/** SES names configuration sets with letters, digits, `_` and `-`, at most 64. */
export function isConfigurationSet(name: string): boolean {
  return /^[A-Za-z0-9_-]{1,64}$/.test(name);
}

function messageDomain(address: string): string {
  return domainToASCII(address.slice(address.lastIndexOf("@") + 1));
}
