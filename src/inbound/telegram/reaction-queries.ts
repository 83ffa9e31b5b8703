import { sql } from "kysely";
import type { Db } from "../../storage/pool.ts";
import { takeDue } from "../queries.ts";
import type { MessageOf } from "./queries.ts";

/** A message, ours or somebody's, that somebody reacts to. `campaignId` and `runId`: of the campaign that sent it. */
export type ReactedTo = {
  messageId: string;
  contactId: string;
  campaignId: string | null;
  runId: string | null;
};

/** Which messages these are, sent or received. @returns by the place in `asked` */
export async function findReactedTo(db: Db, asked: readonly MessageOf[]): Promise<Map<number, ReactedTo>> {
  if (asked.length === 0) return new Map();
  const numbered = JSON.stringify(asked.map((one, number) => ({ number, ...one })));
  const isAsked = (table: "o" | "i") => {
    const of = sql.ref(table);
    return sql`${of}.customer_id = a."customerId" and ${of}.credential_id = a."credentialId"
      and ${of}.chat_id = a."chatId" and ${of}.telegram_message_id = a."telegramMessageId"`;
  };
  const { rows } = await sql<ReactedTo & { number: number }>`
    select a.number, m.id as "messageId", m.contact_id as "contactId", m.campaign_id as "campaignId", m.run_id as "runId"
    from jsonb_to_recordset(${numbered}::jsonb) as a(number int, "customerId" uuid, "credentialId" uuid,
      "chatId" bigint, "telegramMessageId" bigint)
    cross join lateral (
      select o.message_id from outbound_telegram o where ${isAsked("o")}
      union all
      select i.message_id from inbound_telegram i where ${isAsked("i")}
      limit 1
    ) as f
    join message m on m.customer_id = a."customerId" and m.id = f.message_id`.execute(db);
  return new Map(rows.map(({ number, ...message }) => [number, message]));
}

/** What somebody's reactions to a message are from a moment on. `updateId` says which is newer within a second. */
export type Reaction = {
  customerId: string;
  messageId: string;
  fromId: number;
  reactions: string[];
  at: Date;
  updateId: number;
};

/** Keeps the newest reactions of everybody, in whatever order they are told. */
export async function saveReactions(db: Db, reactions: readonly Reaction[]): Promise<void> {
  if (reactions.length === 0) return;
  await sql`
    insert into telegram_reaction as t (customer_id, message_id, from_id, reactions, at, update_id)
    select distinct on ("customerId", "messageId", "fromId") "customerId", "messageId", "fromId",
      array(select jsonb_array_elements_text(reactions)), at, "updateId"
    from jsonb_to_recordset(${JSON.stringify(reactions)}::jsonb) as r("customerId" uuid, "messageId" uuid,
      "fromId" bigint, reactions jsonb, at timestamptz, "updateId" bigint)
    order by "customerId", "messageId", "fromId", at desc, "updateId" desc
    on conflict (customer_id, message_id, from_id) do update
      set reactions = excluded.reactions, at = excluded.at, update_id = excluded.update_id
      where (t.at, t.update_id) < (excluded.at, excluded.update_id)`.execute(db);
}

/** A kept update whose message may have become known. */
export type Waiting = {
  customerId: string;
  id: string;
  credentialId: string;
  botId: string;
  raw: string;
  receivedAt: Date;
};

/**
 * Updates whose turn it is to be looked at again, locked.
 * @param db a transaction
 */
export async function takeWaitingUpdates(db: Db, limit: number): Promise<Waiting[]> {
  const { rows } = await sql<Waiting>`
    ${takeDue("telegram", limit)}
    returning i.customer_id as "customerId", i.id, i.credential_id as "credentialId", i.raw,
      i.sent_at as "receivedAt", coalesce((
        select c.settings->>'botId' from credential c
        where c.customer_id = i.customer_id and c.id = i.credential_id), i.credential_id::text) as "botId"`.execute(
    db,
  );
  return rows;
}
