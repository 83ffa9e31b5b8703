import { sql } from "kysely";
import type { EventType } from "../events/event.ts";
import type { Db } from "../storage/pool.ts";

const CHANGING: readonly EventType[] = ["contact_blocked", "contact_unblocked", "message_received"];

/**
 * Suppresses chats whose person blocked the bot, and gives them free from that, and from nothing else, when the bot is
 * let in or started again. Whichever of the two happened last counts, in whatever order they are told; in the same
 * second, that it is free.
 * @param types those of the batch
 */
export async function suppressChats(db: Db, types: ReadonlySet<EventType>): Promise<void> {
  if (!CHANGING.some((type) => types.has(type))) return;
  await lift(db);
  if (types.has("contact_blocked")) await suppress(db);
}

/** `/start` is what somebody presses who comes back. */
async function lift(db: Db): Promise<void> {
  await sql`
    with news as materialized (
      select customer_id, data->>'chatId' as address, max(at) as at
      from batch
      where data->>'channel' = 'telegram' and data->>'chatId' is not null
        and (type = 'contact_unblocked' or (type = 'message_received' and data->>'command' = 'start'))
      group by 1, 2
    ), lifted as (
      insert into suppression_lift (customer_id, channel, address, reason, lifted_at)
      select customer_id, 'telegram', address, 'blocked', at from news order by customer_id, address
      on conflict (customer_id, channel, address, reason)
        do update set lifted_at = greatest(suppression_lift.lifted_at, excluded.lifted_at)
    )
    delete from suppression s using news n
    where s.customer_id = n.customer_id and s.channel = 'telegram' and s.address = n.address
      and s.reason = 'blocked' and s.created_at <= n.at`.execute(db);
}

async function suppress(db: Db): Promise<void> {
  await sql`
    insert into suppression as s (customer_id, channel, address, reason, contact_id, event_id, created_at)
    select distinct on (b.customer_id, b.data->>'chatId') b.customer_id, 'telegram', b.data->>'chatId', 'blocked',
      b.contact_id, b.event_id, b.at
    from batch b
    left join suppression_lift l on l.customer_id = b.customer_id and l.channel = 'telegram'
      and l.address = b.data->>'chatId' and l.reason = 'blocked' and l.lifted_at >= b.at
    where b.type = 'contact_blocked' and b.data->>'channel' = 'telegram' and b.data->>'chatId' is not null
      and l.customer_id is null
    order by b.customer_id, b.data->>'chatId', b.at desc, b.event_id
    on conflict (customer_id, channel, address, reason) do update
      set created_at = excluded.created_at, event_id = excluded.event_id
      where s.created_at < excluded.created_at`.execute(db);
}
