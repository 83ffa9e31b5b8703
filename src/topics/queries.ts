import { sql } from "kysely";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";

export type Topic = {
  id: string;
  name: string;
  description: string;
  /** How many contacts have left it. */
  left: number;
  createdAt: Date;
  updatedAt: Date;
};

export type TopicFields = Pick<Topic, "id" | "name" | "description">;

export type ContactTopic = { topicId: string; name: string; leftAt: Date | null };

const columns = sql`t.id, t.name, t.description, t.created_at as "createdAt", t.updated_at as "updatedAt", (
  select count(*) from contact_topic_left l where l.customer_id = t.customer_id and l.topic_id = t.id) as left`;

/** @returns false when the customer has a topic of this name, in whatever case */
export async function insertTopic(db: Db, customerId: string, topic: TopicFields): Promise<boolean> {
  const { rows } = await sql`
    insert into topic (customer_id, id, name, description)
    values (${customerId}, ${topic.id}, ${topic.name}, ${topic.description})
    on conflict (customer_id, lower(name)) do nothing
    returning id`.execute(db);
  return rows.length === 1;
}

export async function findTopic(db: Db, customerId: string, id: string): Promise<Topic | null> {
  const { rows } = await sql<Topic>`
    select ${columns} from topic t where t.customer_id = ${customerId} and t.id = ${id}`.execute(db);
  return rows[0] ?? null;
}

/** Whether it is there, its row locked: who gives it to a campaign is waited for, and waits. */
export async function lockTopic(db: Db, customerId: string, id: string): Promise<TopicFields | null> {
  const { rows } = await sql<TopicFields>`
    select id, name, description from topic where customer_id = ${customerId} and id = ${id} for update`.execute(
    db,
  );
  return rows[0] ?? null;
}

/** @returns false when another topic has the name */
export async function saveTopic(db: Db, customerId: string, topic: TopicFields): Promise<boolean> {
  const { rows } = await sql`
    update topic set name = ${topic.name}, description = ${topic.description}, updated_at = now()
    where customer_id = ${customerId} and id = ${topic.id} and not exists (
      select from topic where customer_id = ${customerId} and lower(name) = lower(${topic.name}) and id <> ${topic.id})
    returning id`.execute(db);
  return rows.length === 1;
}

/** With it goes who has left it. */
export async function deleteTopic(db: Db, customerId: string, id: string): Promise<void> {
  await sql`delete from topic where customer_id = ${customerId} and id = ${id}`.execute(db);
}

export async function countTopics(db: Db, customerId: string): Promise<number> {
  const { rows } = await sql<{ topics: number }>`
    select count(*) as topics from topic where customer_id = ${customerId}`.execute(db);
  return rows[0]?.topics ?? 0;
}

/** Newest first, one more than the page holds. */
export async function selectTopics(db: Db, customerId: string, page: Page): Promise<Topic[]> {
  const { rows } = await sql<Topic>`
    select ${columns} from topic t
    where t.customer_id = ${customerId} and (${page.cursor}::uuid is null or t.id < ${page.cursor}::uuid)
    order by t.id desc limit ${page.limit + 1}`.execute(db);
  return rows;
}

/** The campaigns, as they are edited, that are sent under a topic. */
export async function findCampaignsUnder(
  db: Db,
  customerId: string,
  topicId: string,
): Promise<{ id: string; name: string }[]> {
  const { rows } = await sql<{ id: string; name: string }>`
    select id, name from campaign where customer_id = ${customerId} and topic_id = ${topicId} order by id`.execute(
    db,
  );
  return rows;
}

/** Those of these ids that are topics; none of them goes before the transaction does. */
export async function holdTopics(db: Db, customerId: string, ids: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from topic where customer_id = ${customerId} and id = any (${ids}::uuid[]) for key share`.execute(
    db,
  );
  return rows.map((row) => row.id);
}

/** Every topic of the customer, with whether a contact has left it, by name. */
export async function selectContactTopics(
  db: Db,
  customerId: string,
  contactId: string,
): Promise<ContactTopic[]> {
  const { rows } = await sql<ContactTopic>`
    select t.id as "topicId", t.name, l.left_at as "leftAt" from topic t
    left join contact_topic_left l
      on l.customer_id = t.customer_id and l.contact_id = ${contactId} and l.topic_id = t.id
    where t.customer_id = ${customerId}
    order by lower(t.name)`.execute(db);
  return rows;
}
