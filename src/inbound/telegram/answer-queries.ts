import { sql } from "kysely";
import type { Db } from "../../storage/pool.ts";

/** What a message, or a pressed button, says of the message of ours that it is about. */
export type Asked = {
  customerId: string;
  credentialId: string;
  chatId: number;
  /** Telegram's number of the message that it names. */
  replyToMessageId: number | null;
  /** Whether it answers what was sent last where it names nothing of ours. */
  orLast: boolean;
  at: Date;
};

/** `campaignId` and `runId` are null of what a person sent. */
export type Answered = {
  messageId: string;
  campaignId: string | null;
  runId: string | null;
  matchedBy: "reply" | "sender";
};

/** Who writes later than that writes of his own accord. */
const ANSWERS_FOR = "30 days";
/** Telegram cuts its times to seconds, and our clock is not its clock. */
const CLOCKS_DIFFER_BY = "5 seconds";

/**
 * The messages of ours that these answer: the one that is named, else, in a private chat, the campaign message that
 * the bot sent there last. Last before it was written, and not before it was told: an answer may be late.
 * @returns by the place in `asked`; one that is not there answers nothing
 */
export async function findAnswered(db: Db, asked: readonly Asked[]): Promise<Map<number, Answered>> {
  if (asked.length === 0) return new Map();
  const numbered = JSON.stringify(asked.map((one, number) => ({ number, ...one })));
  const inChat = sql`o.customer_id = a."customerId" and o.credential_id = a."credentialId" and o.chat_id = a."chatId"`;
  const { rows } = await sql<Answered & { number: number }>`
    select a.number, m.id as "messageId", m.campaign_id as "campaignId", m.run_id as "runId", f.matched_by as "matchedBy"
    from jsonb_to_recordset(${numbered}::jsonb) as a(number int, "customerId" uuid, "credentialId" uuid,
      "chatId" bigint, "replyToMessageId" bigint, "orLast" boolean, at timestamptz)
    cross join lateral (
      select o.message_id, 'reply' as matched_by, 1 as rank
      from outbound_telegram o
      where ${inChat} and o.telegram_message_id = a."replyToMessageId"
      union all
      (select o.message_id, 'sender', 2
      from outbound_telegram o
      join message sent on sent.customer_id = o.customer_id and sent.id = o.message_id
        and sent.campaign_id is not null
      where a."orLast" and ${inChat} and o.sent_at > a.at - ${ANSWERS_FOR}::interval
        and o.sent_at <= a.at + ${CLOCKS_DIFFER_BY}::interval
      order by o.telegram_message_id desc limit 1)
      order by rank limit 1
    ) as f
    join message m on m.customer_id = a."customerId" and m.id = f.message_id`.execute(db);
  return new Map(rows.map(({ number, ...answered }) => [number, answered]));
}
