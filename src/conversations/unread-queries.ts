import { sql } from "kysely";
import { NIL_ID } from "../events/id.ts";

/** Who has more unread than this has a flood, and needs no number; counting stops there. */
export const MAX_UNREAD = 1000;

/** Whether an inbound message is what a person wrote, and not a machine in his place. @param message its row's name */
export function isByPerson(message: string) {
  const m = sql.ref(message);
  return sql`not exists (
    select from inbound_mail i
    where i.customer_id = ${m}.customer_id and i.message_id = ${m}.id and i.kind <> 'person')`;
}

/**
 * How many messages of people, not of machines that answer for them, are newer than the conversation's mark. A count of
 * what is there, and not of what has been told: doing it again, or in another order, gives the same.
 * @param conversation the name that the conversation's row has in the statement
 */
export function countUnread(conversation: string) {
  const c = sql.ref(conversation);
  return sql`(
    select count(*)::int
    from (
      select from unnest(array['email', 'telegram']) as asked(channel)
      cross join lateral (
        select from message m
        where m.customer_id = ${c}.customer_id and m.contact_id = ${c}.contact_id and m.channel = asked.channel
          and m.direction = 'inbound' and m.id > coalesce(${c}.read_up_to, ${NIL_ID}::uuid)
          and ${isByPerson("m")}
        limit ${MAX_UNREAD}
      ) as newer
      limit ${MAX_UNREAD}
    ) as unread)`;
}
