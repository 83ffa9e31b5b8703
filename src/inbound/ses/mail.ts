/** A mail as it was read; all text is such as PostgreSQL takes. */
export type Mail = {
  /** Of the first in `From`, in lower case; empty when there is none. */
  fromAddress: string;
  fromName: string;
  subject: string;
  /** In its angle brackets. */
  messageIdHeader: string | null;
  /** The mails it answers, in angle brackets, the one it answers first, then the others from new to old. */
  references: string[];
  kind: MailKind;
  /** With what is quoted. */
  wholeText: string;
  /** As it came: nothing may show it as it is. */
  html: string | null;
  attachments: Attachment[];
};

/** Who wrote it: a person, a machine in a person's place, or a mail server about a mail. */
export type MailKind = "person" | "auto_reply" | "delivery_report";

export type Attachment = { name: string | null; contentType: string; bytes: number };

/** What a mail server's and a mail program's headers say, by lower-case names. */
export type RawHeaders = ReadonlyMap<string, string>;

const AUTOMATIC_HEADERS = ["x-autoreply", "x-autorespond", "x-auto-response-from", "x-mail-autoreply"];
const AUTOMATIC_PRECEDENCE = /^(bulk|list|junk|auto[_-]reply)$/i;
// Only where nothing in the headers says anything: subjects are written by people too, who would say more.
const OUT_OF_OFFICE =
  /^\s*(auto(matic|matische)?[ -]?(reply|response|antwort)|out of (the )?office|abwesenheitsnotiz|r[ée]ponse automatique|respuesta autom[áa]tica)\b/i;

/**
 * Tells people from machines (RFC 3834, protocols 2.6).
 * @param envelopeFrom empty for what must not be answered (RFC 5321 section 4.5.5)
 */
export function classifyMail(headers: RawHeaders, envelopeFrom: string): MailKind {
  const contentType = headers.get("content-type") ?? "";
  const isReport = /^multipart\/report\b/i.test(contentType.trim());
  if (isReport && /\breport-type\s*=\s*"?(delivery-status|disposition-notification)/i.test(contentType))
    return "delivery_report";
  const automatic = (headers.get("auto-submitted") ?? "no").trim();
  const isAutomatic =
    (automatic !== "" && !/^no\b/i.test(automatic)) ||
    AUTOMATIC_PRECEDENCE.test((headers.get("precedence") ?? "").trim()) ||
    AUTOMATIC_HEADERS.some((name) => headers.has(name)) ||
    OUT_OF_OFFICE.test(headers.get("subject") ?? "");
  // Out-of-office answers have an empty sender too, but say what they are.
  if (isAutomatic) return "auto_reply";
  return isReport || envelopeFrom === "" || envelopeFrom === "<>" ? "delivery_report" : "person";
}

const MAX_REFERENCES = 20;
const MAX_REFERENCE_CHARS = 500;

/** The ids in `In-Reply-To`, then those in `References` from its end, each once. */
export function referencesOf(inReplyTo: string, references: string): string[] {
  const idsIn = (text: string) => text.match(/<[^<>\s]+@[^<>\s]+>/g) ?? [];
  const ids = [...idsIn(inReplyTo), ...idsIn(references).reverse()];
  return [...new Set(ids)].filter((id) => id.length <= MAX_REFERENCE_CHARS).slice(0, MAX_REFERENCES);
}
