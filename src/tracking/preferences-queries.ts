import { sql } from "kysely";
import { type Event, newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { appendEvents } from "../events/queries.ts";
import type { Db } from "../storage/pool.ts";
import type { SubscriptionHit } from "./queries.ts";

export type Preferences = {
  /** Every topic of the customer, by name. */
  topics: { id: string; name: string; description: string; isLeft: boolean }[];
  /** From everything; topics make no difference then. */
  isUnsubscribed: boolean;
};

/** A message that is not in the database was a test message. */
export type FoundPreferences = { found: true; preferences: Preferences } | NotFound;
type NotFound = { found: false; because: "unknown_message" | "contact_deleted" };

/** Who chose, by which message, and when. */
export type PreferenceHit = Omit<SubscriptionHit, "eventId" | "via">;

/** The topics somebody saw, and those of them that they want. */
export type Choice = { shown: readonly string[]; wanted: readonly string[] };

type Change = { left: string[]; rejoined: string[] };

/** What the contact that a message went to has chosen. */
export async function readPreferences(
  db: Db,
  message: { customerId: string; messageId: string },
): Promise<FoundPreferences> {
  const { rows } = await sql<Preferences & { contactExists: boolean }>`
    select ct.id is not null as "contactExists",
      exists (
        select from suppression s
        where s.customer_id = m.customer_id and s.channel = m.channel and s.address = lower(m.to_address)
          and s.reason = 'unsubscribe') as "isUnsubscribed",
      coalesce((
        select jsonb_agg(jsonb_build_object('id', t.id, 'name', t.name, 'description', t.description,
          'isLeft', l.topic_id is not null) order by lower(t.name))
        from topic t
        left join contact_topic_left l
          on l.customer_id = t.customer_id and l.contact_id = m.contact_id and l.topic_id = t.id
        where t.customer_id = m.customer_id), '[]') as topics
    from message m
    left join contact ct on ct.customer_id = m.customer_id and ct.id = m.contact_id
    where m.customer_id = ${message.customerId} and m.id = ${message.messageId}
      and m.direction = 'outbound'`.execute(db);
  const [row] = rows;
  if (row === undefined) return { found: false, because: "unknown_message" };
  if (!row.contactExists) return { found: false, because: "contact_deleted" };
  const { topics, isUnsubscribed } = row;
  return { found: true, preferences: { topics, isUnsubscribed } };
}

/** Writes a choice together with its events: what changes nothing is not recorded. */
export async function savePreferences(db: Db, hit: PreferenceHit, choice: Choice): Promise<FoundPreferences> {
  return db.transaction().execute(async (tx) => {
    const { rows } = await sql<{ contactId: string; campaignId: string | null; runId: string | null }>`
      select m.contact_id as "contactId", m.campaign_id as "campaignId", m.run_id as "runId"
      from message m
      join contact ct on ct.customer_id = m.customer_id and ct.id = m.contact_id
      where m.customer_id = ${hit.customerId} and m.id = ${hit.messageId}
        and m.direction = 'outbound'
      for key share of ct`.execute(tx);
    const [reader] = rows;
    if (reader !== undefined) {
      const { customerId, at, agent, agentRule, userAgent, ip, messageId } = hit;
      const left = choice.shown.filter((id) => !choice.wanted.includes(id));
      const rejoined = choice.shown.filter((id) => choice.wanted.includes(id));
      const changed = await changeTopics(tx, { customerId, contactId: reader.contactId, at, left, rejoined });
      const about = { ...reader, customerId, at, agent, agentRule, userAgent, ip, messageId };
      await appendEvents(tx, topicEvents(changed, about));
    }
    return await readPreferences(tx, hit);
  });
}

/**
 * Lets a contact leave topics and come back to others; what is so already stays as it was.
 * @param db a transaction, in which the contact can't go
 * @returns what has changed
 */
export async function changeTopics(
  db: Db,
  change: { customerId: string; contactId: string; at: Date } & Change,
): Promise<Change> {
  const { rows } = await sql<{ topicId: string; isLeft: boolean }>`
    with leaving as (
      select id from topic
      where customer_id = ${change.customerId} and id = any (${change.left}::uuid[])
      order by id for key share
    ), left_now as (
      insert into contact_topic_left (customer_id, contact_id, topic_id, left_at)
      select ${change.customerId}::uuid, ${change.contactId}::uuid, id, ${change.at.toISOString()}::timestamptz
      from leaving order by id
      on conflict do nothing
      returning topic_id
    ), rejoined as (
      delete from contact_topic_left
      where customer_id = ${change.customerId} and contact_id = ${change.contactId}
        and topic_id = any (${change.rejoined}::uuid[])
      returning topic_id
    )
    select topic_id as "topicId", true as "isLeft" from left_now
    union all select topic_id, false from rejoined
    order by 1`.execute(db);
  const ids = (isLeft: boolean) => rows.filter((row) => row.isLeft === isLeft).map((row) => row.topicId);
  return { left: ids(true), rejoined: ids(false) };
}

/** One event for each topic that was left or come back to. */
export function topicEvents(
  { left, rejoined }: Change,
  about: Pick<Event, "customerId" | "at"> & Partial<Event>,
): Event[] {
  const event = (type: "topic_left" | "topic_rejoined") => (topicId: string) =>
    newEvent({ ...about, id: newId(about.at.getTime()), type, data: { topicId } });
  return [...left.map(event("topic_left")), ...rejoined.map(event("topic_rejoined"))];
}
