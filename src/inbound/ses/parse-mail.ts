import EmailReplyParser from "email-reply-parser";
import { type AttachmentStream, type HeaderLines, MailParser, parseAddressHeader } from "mailparser";
import { storableText } from "../../events/storable.ts";
import { compileHtmlToText } from "../../messages/text.ts";
import { type Attachment, classifyMail, type Mail, type RawHeaders, referencesOf } from "./mail.ts";

/** As large as SES takes a mail (protocols 2.6). */
export const MAX_MAIL_BYTES = 40 * 1024 * 1024;
const MAX_HTML_CHARS = 5_000_000;
const MAX_HTML_CHARS_TO_CONVERT = 2_000_000;
const MAX_TEXT_CHARS = 500_000;
const MAX_LINE_CHARS = 998;
const MAX_NAME_CHARS = 200;
const MAX_ADDRESS_CHARS = 320;
const MAX_ATTACHMENTS = 100;

/**
 * Reads a mail. The parser itself gives up at 1,000 parts and at 1 MiB of headers of one part.
 * @param envelopeFrom empty for what must not be answered
 * @throws what the parser says of what is no mail
 */
export async function parseMail(bytes: Buffer, envelopeFrom: string): Promise<Mail> {
  const { lines, text, html, attachments } = await parse(bytes);
  const headers = rawHeaders(lines);
  const from = parseAddressHeader(headers.get("from") ?? "", { flatten: true, decodePunycode: false })
    .value[0];
  const subject = storableText(text.subject).replace(/\p{Cc}+/gu, " ");
  return {
    fromAddress: storableText(from?.address ?? "")
      .toLowerCase()
      .slice(0, MAX_ADDRESS_CHARS),
    fromName: cut(storableText(from?.name ?? ""), MAX_NAME_CHARS),
    subject: cut(subject, MAX_LINE_CHARS),
    messageIdHeader: referencesOf(headers.get("message-id") ?? "", "")[0] ?? null,
    references: referencesOf(headers.get("in-reply-to") ?? "", headers.get("references") ?? ""),
    kind: classifyMail(headers, envelopeFrom),
    wholeText: cut(
      storableText(text.body === "" ? toText(html) : text.body).replace(/\r\n?/g, "\n"),
      MAX_TEXT_CHARS,
    ),
    html: html === null || html.length > MAX_HTML_CHARS ? null : storableText(html),
    attachments,
  };
}

type Parsed = {
  lines: HeaderLines;
  text: { subject: string; body: string };
  html: string | null;
  attachments: Attachment[];
};

function parse(bytes: Buffer): Promise<Parsed> {
  const parser = new MailParser({
    skipHtmlToText: true,
    skipTextToHtml: true,
    skipTextLinks: true,
    skipImageLinks: true,
  });
  const attachments: Attachment[] = [];
  return new Promise((resolve, reject) => {
    parser.on("data", (part) => {
      if (part.type === "attachment") void passOver(part).then((read) => attachments.push(read), reject);
    });
    parser.on("error", reject);
    parser.on("end", () =>
      resolve({
        lines: parser.headerLines || [],
        text: { subject: parser.subject ?? "", body: parser.text || "" },
        html: parser.html === false ? null : parser.html,
        attachments: attachments.slice(0, MAX_ATTACHMENTS),
      }),
    );
    parser.end(bytes);
  });
}

/** Of an attachment only what it is called and how large it is: what is in it stays where the mail is. */
async function passOver(part: AttachmentStream): Promise<Attachment> {
  for await (const _chunk of part.content);
  const read = {
    name: part.filename === undefined ? null : cut(storableText(part.filename), MAX_NAME_CHARS),
    contentType: cut(storableText(part.contentType), MAX_NAME_CHARS),
    bytes: part.size ?? 0,
  };
  part.release?.();
  return read;
}

/** The first of each name, without its folding. */
function rawHeaders(lines: HeaderLines): RawHeaders {
  const headers = new Map<string, string>();
  for (const { key, line } of lines) {
    if (headers.has(key)) continue;
    const value = line.slice(line.indexOf(":") + 1).replace(/\r?\n[ \t]+/g, " ");
    headers.set(key, storableText(value).trim());
  }
  return headers;
}

function toText(html: string | null): string {
  return html === null ? "" : compileHtmlToText()(html.slice(0, MAX_HTML_CHARS_TO_CONVERT));
}

// Longer ones are no answers with a quotation below them, and would take the expressions too long.
const MAX_CHARS_TO_STRIP = 50_000;

/** What the person wrote: without what is quoted and without the signature, unless nothing would be left. */
export function stripQuotation(wholeText: string): string {
  const whole = wholeText.trim();
  if (whole.length > MAX_CHARS_TO_STRIP) return whole;
  const visible = new EmailReplyParser().parseReply(whole).trim();
  return visible === "" ? whole : visible;
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : text.slice(0, max).toWellFormed();
}
