import { sql } from "kysely";
import { countUnread } from "../conversations/unread-queries.ts";
import type { EventType } from "../events/event.ts";
import { NIL_ID } from "../events/id.ts";
import type { Db } from "../storage/pool.ts";

/** What a person's answer came to that did not arrive: somebody should see it, and write again. */
const LOST: readonly EventType[] = [
  "message_failed",
  "message_uncertain",
  "message_rejected",
  "message_bounced",
  "contact_suppressed",
];
const SAID: readonly EventType[] = ["message_received", "message_queued", "message_sent", ...LOST];

/**
 * Brings conversations up to date with what contacts wrote and people answered: which message is the last, how many are
 * unread; open again when the contact writes, or when an answer is lost. What campaigns send changes nothing, nor what
 * machines answer. All of it is worked out from the messages as they are now, so that any order of the same events
 * ends the same.
 * @param types those of the batch
 */
export async function keepConversations(db: Db, types: ReadonlySet<EventType>): Promise<void> {
  if (!SAID.some((type) => types.has(type))) return;
  if (!(await holdContacts(db))) return;
  await openConversations(db);
  await sql`
    with ${said()}, by_contact as (
      select customer_id, contact_id,
        (array_agg(id order by at desc, id desc))[1] as last_id,
        (array_agg(id order by id desc) filter (where type = 'message_received'))[1] as received_id,
        bool_or(type = any (${LOST}::text[])) as is_lost
      from said group by 1, 2
    ), held as (
      select c.customer_id, c.contact_id
      from conversation c join by_contact b on b.customer_id = c.customer_id and b.contact_id = c.contact_id
      order by c.customer_id, c.contact_id for update of c
    )
    update conversation c
    set status = case when b.is_lost or b.received_id > coalesce(c.read_up_to, ${NIL_ID}::uuid)
        then 'open' else c.status end,
      unread = ${countUnread("c")},
      (last_message_id, last_message_at, last_direction, last_channel) = (
        select l.id, l.at, l.direction, l.channel
        from (
          select c.last_message_id, c.last_message_at, c.last_direction, c.last_channel
          where c.last_message_id is not null and c.last_message_id <> b.last_id
          union all
          select m.id, coalesce(m.sent_at, m.queued_at), m.direction, m.channel
          from message m where m.customer_id = c.customer_id and m.id = b.last_id
        ) as l(id, at, direction, channel)
        order by l.at desc, l.id desc limit 1)
    from by_contact b join held h on h.customer_id = b.customer_id and h.contact_id = b.contact_id
    where c.customer_id = b.customer_id and c.contact_id = b.contact_id`.execute(db);
}

/** In a statement of its own, so that the next one sees whose messages they are after who was merged with whom. */
async function holdContacts(db: Db): Promise<boolean> {
  const { rows } = await sql`
    with ${said()}
    select from contact c
    where (c.customer_id, c.id) in (select customer_id, contact_id from said)
    order by c.customer_id, c.id for key share`.execute(db);
  return rows.length > 0;
}

async function openConversations(db: Db): Promise<void> {
  await sql`
    with ${said()}
    insert into conversation (customer_id, contact_id)
    select distinct s.customer_id, s.contact_id
    from said s join contact c on c.customer_id = s.customer_id and c.id = s.contact_id
    order by 1, 2
    on conflict do nothing`.execute(db);
}

/** The batch's messages that belong to conversations; the contact is the message's, which may have been merged since. */
function said() {
  return sql`said as materialized (
    select m.customer_id, m.contact_id, m.id, coalesce(m.sent_at, m.queued_at) as at, b.type
    from batch b
    join message m on m.customer_id = b.customer_id and m.id = b.message_id
    where b.type = 'message_received'
      or (b.type = any (${SAID}::text[]) and b.run_id is null and m.campaign_id is null and m.direction = 'outbound')
  )`;
}
