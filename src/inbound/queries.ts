import { type RawBuilder, sql } from "kysely";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";

export const INBOUND_STATUSES = ["waiting", "matched", "unmatched", "odd", "ignored"] as const;

export type InboundStatus = (typeof INBOUND_STATUSES)[number];

export type InboundEvent = {
  id: string;
  source: "ses" | "telegram";
  status: InboundStatus;
  reason: string | null;
  name: string | null;
  topicArn: string | null;
  credentialId: string | null;
  envelopeId: string;
  sentAt: Date;
  receivedAt: Date;
  providerMessageId: string | null;
  recipients: string[];
  text: string | null;
};

/**
 * The beginning of a statement that takes what waits and whose turn it is, as `i`, locked; `returning` follows. The
 * pauses double, so that the mail of others that goes through the same topic is not looked for every second all day.
 */
export function takeDue(source: InboundEvent["source"], limit: number): RawBuilder<unknown> {
  return sql`
    with due as (
      select customer_id, id from inbound_event
      where look_at <= now() and source = ${source} order by look_at limit ${limit} for update skip locked
    )
    update inbound_event i
    set look_at = now() + least(now() - i.received_at, interval '1 hour')
    from due
    where i.customer_id = due.customer_id and i.id = due.id`;
}

/** Newest first, one more than the page holds. @param textChars how much of what was published comes along */
export async function selectInboundEvents(
  db: Db,
  customerId: string,
  { status, limit, cursor, textChars }: Page & { status: InboundStatus | null; textChars: number },
): Promise<InboundEvent[]> {
  const inStatus = status === null ? sql`` : sql`and status = ${status}`;
  const { rows } = await sql<InboundEvent>`
    select id, source, status, reason, name, topic_arn as "topicArn", credential_id as "credentialId", envelope_id as "envelopeId",
      sent_at as "sentAt", received_at as "receivedAt", ses_message_id as "providerMessageId",
      array(select fact->>'recipient' from jsonb_array_elements(facts) as f(fact)
        where fact->>'recipient' is not null) as recipients,
      left(raw, ${textChars}) as text
    from inbound_event
    where customer_id = ${customerId} ${inStatus} and (${cursor}::uuid is null or id < ${cursor}::uuid)
    order by id desc limit ${limit + 1}`.execute(db);
  return rows;
}
