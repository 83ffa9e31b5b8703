import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import type { TelegramContent } from "../telegram/content.ts";
import type { ClaimedMessage } from "./claim-queries.ts";

/** Longer than any pause that Telegram asks for. */
const MAX_REST_MS = 24 * 3_600_000;

/**
 * Keeps what a bot has sent, under the number that answers to it will name. Doing it again changes nothing; a message
 * that was sent once more has the number of the last time. A number that the chat's Bot API gave before stays with
 * the message that has it.
 */
export async function keepSent(
  db: Db,
  { customerId, id, credentialId }: Pick<ClaimedMessage, "customerId" | "id" | "credentialId">,
  sent: { chatId: number; messageId: number; content: TelegramContent; at: Date },
): Promise<void> {
  const { html, photo, keyboard } = sent.content;
  // Nothing is inserted for a message that was deleted while it was being sent.
  await sql`
    insert into outbound_telegram as t
      (customer_id, message_id, credential_id, chat_id, telegram_message_id, html, photo, keyboard, sent_at)
    select m.customer_id, m.id, ${credentialId}::uuid, ${sent.chatId}::bigint, ${sent.messageId}::bigint, ${html}::text,
      ${photo}::text, ${JSON.stringify(keyboard)}::jsonb, ${sent.at}::timestamptz
    from message m
    where m.customer_id = ${customerId} and m.id = ${id} and not exists (
      select from outbound_telegram o
      where o.customer_id = ${customerId} and o.credential_id = ${credentialId} and o.chat_id = ${sent.chatId}
        and o.telegram_message_id = ${sent.messageId} and o.message_id <> ${id})
    on conflict (customer_id, message_id) do update
      set credential_id = excluded.credential_id, chat_id = excluded.chat_id,
        telegram_message_id = excluded.telegram_message_id, html = excluded.html, photo = excluded.photo,
        keyboard = excluded.keyboard, sent_at = excluded.sent_at
      where (t.chat_id, t.telegram_message_id) is distinct from (excluded.chat_id, excluded.telegram_message_id)`.execute(
    db,
  );
}

/** Nothing is sent through the bot for so long, by whichever process; a pause that is longer already stays. */
export async function restBot(
  db: Db,
  { customerId, credentialId }: Pick<ClaimedMessage, "customerId" | "credentialId">,
  ms: number,
): Promise<void> {
  const seconds = Math.min(ms, MAX_REST_MS) / 1_000;
  await sql`
    update credential
    set rests_until = greatest(rests_until, clock_timestamp() + make_interval(secs => ${seconds}))
    where customer_id = ${customerId} and id = ${credentialId}`.execute(db);
}

/**
 * A group has become another chat: its contact goes over to it, unless that has one already, and so does all that is
 * queued for it.
 */
export async function moveChat(
  db: Db,
  { customerId, contactId, toAddress }: Pick<ClaimedMessage, "customerId" | "contactId" | "toAddress">,
  chatId: number,
): Promise<void> {
  await sql`
    with moved as (
      update contact c set telegram_chat_id = ${chatId}, updated_at = now()
      where c.customer_id = ${customerId} and c.id = ${contactId} and c.telegram_chat_id = ${toAddress}::bigint
        and not exists (
          select from contact other where other.customer_id = ${customerId} and other.telegram_chat_id = ${chatId})
    )
    update message set to_address = ${String(chatId)}
    where customer_id = ${customerId} and contact_id = ${contactId} and direction = 'outbound'
      and channel = 'telegram' and status = 'queued' and to_address = ${toAddress}`.execute(db);
}
