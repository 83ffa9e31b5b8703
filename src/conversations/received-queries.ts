import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import type { ReceivedMail } from "./schema.ts";

const LISTED_CHARS = 10_000;

/** The mails that these inbound messages are, by message; of their text as much as a list shows, or all; no HTML. */
export async function findReceivedMails(
  db: Db,
  customerId: string,
  messageIds: readonly string[],
  much: "listed" | "whole",
): Promise<Map<string, ReceivedMail>> {
  if (messageIds.length === 0) return new Map();
  const isWhole = much === "whole";
  const { rows } = await sql<{ messageId: string } & ReceivedMail>`
    select message_id as "messageId", kind, json_build_object('address', from_address, 'name', from_name) as "from",
      answers_message_id as "answersMessageId", matched_by as "matchedBy",
      case when ${isWhole}::boolean then text else left(text, ${LISTED_CHARS}) end as text,
      case when ${isWhole}::boolean then whole_text end as "wholeText",
      html is not null as "hasHtml", null as html, attachments
    from inbound_mail
    where customer_id = ${customerId} and message_id = any (${messageIds}::uuid[])`.execute(db);
  return new Map(rows.map(({ messageId, ...mail }) => [messageId, mail]));
}

/** A mail's HTML as it came, which nobody may show as it is; null for none, or more than `maxBytes`. */
export async function findReceivedHtml(
  db: Db,
  customerId: string,
  messageId: string,
  maxBytes: number,
): Promise<string | null> {
  const { rows } = await sql<{ html: string }>`
    select html from inbound_mail
    where customer_id = ${customerId} and message_id = ${messageId} and octet_length(html) <= ${maxBytes}`.execute(
    db,
  );
  return rows[0]?.html ?? null;
}
