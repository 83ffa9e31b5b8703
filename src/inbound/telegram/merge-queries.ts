import { sql } from "kysely";
import type { Db } from "../../storage/pool.ts";
import type { ChatOf } from "./queries.ts";

/** A chat and the contact that its person says he is. */
export type Link = ChatOf & { contactId: string };

/** A contact that a chat made, and the one that he turned out to be. */
export type Merge = ChatOf & { from: string; to: string };

/**
 * Takes chats away from the contacts that they made themselves, for those whom their people turn out to be, who have no
 * chat yet.
 * @param db the transaction that gives the chats to those in `to`
 */
export async function freeChats(db: Db, links: readonly Link[]): Promise<Merge[]> {
  if (links.length === 0) return [];
  const { rows } = await sql<Merge>`
    with pairs as materialized (
      select l."customerId" as customer_id, l."chatId" as chat_id, made.id as from_id, meant.id as to_id
      from jsonb_to_recordset(${JSON.stringify(links)}::jsonb) as l("customerId" uuid, "chatId" bigint, "contactId" uuid)
      join contact made on made.customer_id = l."customerId" and made.telegram_chat_id = l."chatId"
        and made.made_by_chat and made.email is null
      join contact meant on meant.customer_id = l."customerId" and meant.id = l."contactId"
        and meant.telegram_chat_id is null and meant.id <> made.id
      for update of made, meant
    )
    update contact c set telegram_chat_id = null, updated_at = now()
    from (
      select distinct on (customer_id, chat_id) *
      from (
        select distinct on (customer_id, to_id) * from pairs order by customer_id, to_id, chat_id
      ) as by_contact
      order by customer_id, chat_id, to_id
    ) as p
    where c.customer_id = p.customer_id and c.id = p.from_id
    returning p.customer_id as "customerId", p.chat_id as "chatId", p.from_id as "from", p.to_id as "to"`.execute(
    db,
  );
  return rows;
}

/** What was said in these chats goes over with them. What the contact did stays where it is. */
export async function moveMessages(db: Db, merges: readonly Merge[]): Promise<void> {
  if (merges.length === 0) return;
  await sql`
    update message m set contact_id = g."to"
    from jsonb_to_recordset(${JSON.stringify(merges)}::jsonb) as g("customerId" uuid, "from" uuid, "to" uuid)
    where m.customer_id = g."customerId" and m.contact_id = g."from" and m.channel = 'telegram'`.execute(db);
}
