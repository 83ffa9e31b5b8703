import type { Db } from "../storage/pool.ts";
import { findReceivedHtml, findReceivedMails } from "./received-queries.ts";
import { MAX_HTML_BYTES, sanitizeHtml } from "./sanitize.ts";
import type { ReceivedMail } from "./schema.ts";

/** The whole mail that an inbound message is, its HTML such as may be shown. Null for a message that is none. */
export async function readReceivedMail(
  db: Db,
  customerId: string,
  messageId: string,
): Promise<ReceivedMail | null> {
  const mail = (await findReceivedMails(db, customerId, [messageId], "whole")).get(messageId);
  if (mail === undefined) return null;
  if (!mail.hasHtml) return mail;
  const html = await findReceivedHtml(db, customerId, messageId, MAX_HTML_BYTES);
  return { ...mail, html: html === null ? null : await sanitizeHtml(html, () => performance.now()) };
}
