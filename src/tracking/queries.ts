import { sql } from "kysely";
import { type Agent, newEvent } from "../events/event.ts";
import { appendEvents } from "../events/queries.ts";
import type { Db } from "../storage/pool.ts";

/** A person's request about one message, or their mail provider's; who made it is kept with the event. */
export type SubscriptionHit = {
  /** The id of the event it becomes, a UUIDv7 of its time: by it a request is carried out once. */
  eventId: string;
  customerId: string;
  messageId: string;
  at: Date;
  agent: Agent;
  agentRule: string;
  userAgent: string | null;
  ip: string | null;
  /** `one_click` is the mail provider's RFC 8058 request, `button` the one on our page. */
  via: "link" | "button" | "one_click";
};

/** A message that is not in the database was a test message. */
export type UnsubscribeResult = "unsubscribed" | "confirmation_needed" | "unknown_message";
export type ResubscribeResult = "resubscribed" | "unknown_message";

/** The database is away: the request is safe on this machine's disk and is carried out when it is back. */
export type Kept = "kept";

type Recipient = {
  channel: "email" | "telegram";
  contactId: string;
  campaignId: string | null;
  runId: string | null;
};

/**
 * Suppresses the address, or the chat, that the message went to, and records it in the same transaction: when this returns
 * `unsubscribed` it is true. A repetition changes and records nothing, nor does a request that was carried out
 * before, whatever has happened since. A link alone does nothing for a customer who wants a confirmation.
 * @param isPromised whether the person has been told already that the link was enough
 */
export async function unsubscribe(
  db: Db,
  hit: SubscriptionHit,
  isPromised = false,
): Promise<UnsubscribeResult> {
  return db.transaction().execute(async (tx) => {
    const result = await sql<Recipient & { mustConfirm: boolean; added: boolean }>`
      with recipient as (
        select m.channel, m.contact_id, m.campaign_id, m.run_id, lower(m.to_address) as address,
          c.confirm_unsubscribe and ${hit.via}::text = 'link' and not ${isPromised}::boolean as must_confirm
        from message m
        join customer c on c.customer_id = m.customer_id
        where m.customer_id = ${hit.customerId} and m.id = ${hit.messageId}
          and m.direction = 'outbound'
      ), added as (
        insert into suppression (customer_id, channel, address, reason, contact_id, message_id, event_id, created_at)
        select ${hit.customerId}::uuid, channel, address, 'unsubscribe', contact_id, ${hit.messageId}::uuid,
          ${hit.eventId}::uuid, ${hit.at.toISOString()}::timestamptz
        from recipient
        where not must_confirm and not ${isRecorded(hit)}
        on conflict (customer_id, channel, address, reason) do nothing
        returning id
      )
      select channel, contact_id as "contactId", campaign_id as "campaignId", run_id as "runId",
        must_confirm as "mustConfirm", exists (select from added) as added
      from recipient`.execute(tx);
    const [recipient] = result.rows;
    if (recipient === undefined) return "unknown_message";
    if (recipient.mustConfirm) return "confirmation_needed";
    if (recipient.added) await appendChange(tx, "unsubscribed", hit, recipient);
    return "unsubscribed";
  });
}

/**
 * Lifts the unsubscribe of the address the message went to, and no other reason not to mail it (a bounce, a
 * complaint). Recorded in the same transaction, unless there was nothing to lift.
 */
export async function resubscribe(db: Db, hit: SubscriptionHit): Promise<ResubscribeResult> {
  return db.transaction().execute(async (tx) => {
    const result = await sql<Recipient & { removed: boolean }>`
      with recipient as (
        select channel, contact_id, campaign_id, run_id, lower(to_address) as address
        from message
        where customer_id = ${hit.customerId} and id = ${hit.messageId}
          and direction = 'outbound'
      ), removed as (
        delete from suppression
        where customer_id = ${hit.customerId} and reason = 'unsubscribe'
          and (channel, address) in (select channel, address from recipient) and not ${isRecorded(hit)}
        returning id, channel, address
      ), lifted as (
        insert into suppression_lift (customer_id, channel, address, reason, lifted_at)
        select ${hit.customerId}::uuid, channel, address, 'unsubscribe', ${hit.at.toISOString()}::timestamptz
        from removed
        on conflict (customer_id, channel, address, reason)
          do update set lifted_at = greatest(suppression_lift.lifted_at, excluded.lifted_at)
      )
      select channel, contact_id as "contactId", campaign_id as "campaignId", run_id as "runId",
        exists (select from removed) as removed
      from recipient`.execute(tx);
    const [recipient] = result.rows;
    if (recipient === undefined) return "unknown_message";
    if (recipient.removed) await appendChange(tx, "resubscribed", hit, recipient);
    return "resubscribed";
  });
}

/** The customers whose unsubscribe links ask first. */
export async function listConfirmingCustomers(db: Db): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select customer_id as id from customer where confirm_unsubscribe`.execute(db);
  return rows.map(({ id }) => id);
}

function isRecorded(hit: SubscriptionHit) {
  return sql`exists (select from event_log where customer_id = ${hit.customerId} and id = ${hit.eventId})`;
}

async function appendChange(
  tx: Db,
  type: "unsubscribed" | "resubscribed",
  hit: SubscriptionHit,
  recipient: Recipient,
): Promise<void> {
  const event = newEvent({
    id: hit.eventId,
    type,
    at: hit.at,
    customerId: hit.customerId,
    campaignId: recipient.campaignId,
    runId: recipient.runId,
    messageId: hit.messageId,
    contactId: recipient.contactId,
    agent: hit.agent,
    agentRule: hit.agentRule,
    userAgent: hit.userAgent,
    ip: hit.ip,
    data: recipient.channel === "email" ? { via: hit.via } : { channel: recipient.channel, via: hit.via },
  });
  await appendEvents(tx, [event]);
}
