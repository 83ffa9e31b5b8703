import type { ComposedEmail } from "../messages/compose.ts";
import {
  isConfigurationSet,
  messageIdHeader,
  safeAddress,
  safeHeaderText,
  sesHeaders,
} from "../messages/headers.ts";
import type { TelegramContent } from "../telegram/content.ts";
import { escapeHtml } from "../tracking/rewrite.ts";

/** What somebody at a keyboard wrote in a conversation, as `findReply` of reply-queries.ts reads it. */
export type StoredReply = {
  channel: "email" | "telegram";
  /** Plain text, of several lines. */
  text: string;
  /** Null in Telegram. */
  subject: string | null;
  /** The `Message-ID` of the mail that it answers, in angle brackets; null when it answers none. */
  inReplyTo: string | null;
  /** The mails before it, the oldest first, that one among them. */
  references: string[];
  /** Telegram's number, in the same chat, of the message that it answers. */
  telegramReplyTo: number | null;
};

export type ReplyContext = {
  to: string;
  credential: { settings: { fromEmail: string; fromName: string | null } };
  customerId: string;
  messageId: string;
  /** Where the answer to it goes; null: to the sender. */
  replyAddress: string | null;
  configurationSet: string | null;
};

/** A header's value is folded at spaces, but a server may refuse what is longer than this in all (RFC 5322, 2.1.1). */
const MAX_REFERENCES_CHARS = 900;
const MESSAGE_ID = /^<[^<>\s@]+@[^<>\s@]+>$/;

/**
 * The email that a person's answer is: as he wrote it, in the thread that it answers, with no tracking and no footer.
 * @returns or why it can't be sent
 */
export function composeReplyEmail(
  reply: StoredReply,
  context: ReplyContext,
): { ok: true; email: ComposedEmail } | { ok: false; reason: string } {
  const { customerId, messageId, configurationSet, replyAddress } = context;
  const { fromEmail, fromName } = context.credential.settings;
  const subject = safeHeaderText("subject", reply.subject ?? "");
  const addresses = [
    safeAddress("to", context.to),
    safeAddress("fromEmail", fromEmail),
    ...(replyAddress === null ? [] : [safeAddress("replyTo", replyAddress)]),
  ];
  const refused = [subject, safeHeaderText("fromName", fromName ?? ""), ...addresses].find(({ ok }) => !ok);
  if (refused?.ok === false) return { ok: false, reason: `${refused.field}: ${refused.reason}` };
  if (configurationSet !== null && !isConfigurationSet(configurationSet))
    return { ok: false, reason: "configurationSet: it is not the name of a configuration set" };
  const email = {
    from: { name: fromName ?? "", address: fromEmail },
    to: context.to,
    replyTo: replyAddress,
    subject: reply.subject ?? "",
    html: htmlOf(reply.text),
    text: reply.text,
    headers: { ...threadHeaders(reply), ...sesHeaders({ customerId, messageId }, configurationSet) },
    messageId: messageIdHeader(messageId, fromEmail),
  };
  return { ok: true, email };
}

/** What a bot says for the person who wrote it: the very text, whatever in it looks like markup. */
export function composeReplyTelegram(reply: StoredReply): TelegramContent {
  return {
    html: escapeTelegram(reply.text),
    photo: null,
    keyboard: [],
    silent: false,
    protectContent: false,
    replyToMessageId: reply.telegramReplyTo,
  };
}

/** `Re: …`, once, however often it was answered in whichever language. */
export function replySubject(subject: string): string {
  const bare = subject.replace(/^(?:\s*(?:re|aw|sv|antw|rif|res|odp|vs)\s*(?:\[\d+\])?\s*:)+/i, "").trim();
  return `Re: ${bare}`.trimEnd();
}

/** Of the ids before it as many of the newest as fit; nothing that is none, for strangers wrote them. */
function threadHeaders({ inReplyTo, references }: StoredReply): Record<string, string> {
  const ids = references.filter((id) => MESSAGE_ID.test(id));
  while (ids.join(" ").length > MAX_REFERENCES_CHARS) ids.shift();
  const answered = inReplyTo !== null && MESSAGE_ID.test(inReplyTo) ? { "In-Reply-To": inReplyTo } : {};
  return { ...answered, ...(ids.length === 0 ? {} : { References: ids.join(" ") }) };
}

function htmlOf(text: string): string {
  const paragraphs = text.split(/\n{2,}/).map((paragraph) => escapeHtml(paragraph).replaceAll("\n", "<br>"));
  return `<html><body>${paragraphs.map((paragraph) => `<p>${paragraph}</p>`).join("")}</body></html>`;
}

/** Telegram reads exactly these as markup. */
function escapeTelegram(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
