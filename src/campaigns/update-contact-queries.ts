import { type RawBuilder, sql } from "kysely";
import { walk } from "../contacts/filter-queries.ts";
import type { Db } from "../storage/pool.ts";
import type { UpdateContactNode } from "./schema.ts";
import { isOfNode, type StepNode } from "./step-queries.ts";

export type ContactChange = Pick<UpdateContactNode, "set" | "unset" | "addTags" | "removeTags">;

/**
 * Locks the contacts that the taken runs are to change, in one order for all workers. Only then are places in the log
 * taken: where two changes meet, the log has them in the order in which they were made.
 */
export async function lockContactsToUpdate(db: Db): Promise<void> {
  await sql`
    select from contact c
    join (select distinct customer_id, contact_id from due_step where node_type = 'update-contact') as d
      on c.customer_id = d.customer_id and c.id = d.contact_id
    order by c.customer_id, c.id
    for update of c`.execute(db);
}

/** Makes a node's change to the contacts of its taken runs and says that they are done. */
export async function completeUpdate(db: Db, node: StepNode, change: ContactChange): Promise<void> {
  await sql`
    update contact c
    set attributes = (c.attributes - ${change.unset}::text[]) || ${attributesOf(change)},
      tags = ${tagsOf(change)},
      updated_at = now()
    from due_step d
    where ${isOfNode(node)} and c.customer_id = d.customer_id and c.id = d.contact_id`.execute(db);
  await sql`
    insert into event_log (customer_id, id, type, at, campaign_id, run_id, contact_id)
    select customer_id, new_id(), 'run_completed', now(), campaign_id, id, contact_id
    from due_step d where ${isOfNode(node)}`.execute(db);
}

function attributesOf({ set }: ContactChange): RawBuilder<unknown> {
  const constants = Object.entries(set).filter(([, value]) => typeof value !== "object");
  const references = Object.entries(set).flatMap(([name, value]) =>
    typeof value === "object" ? [outputAs(name, value)] : [],
  );
  return sql.join([sql`${JSON.stringify(Object.fromEntries(constants))}::jsonb`, ...references], sql` || `);
}

/** An object with what the node gave, of its latest round, or nothing. */
function outputAs(name: string, { node, output }: { node: string; output: string }): RawBuilder<unknown> {
  return sql`coalesce((
    select jsonb_build_object(${name}::text, read.value)
    from (select (
      select ${walk(sql`r.output`, output)} from node_run r
      where r.customer_id = d.customer_id and r.enrollment_id = d.enrollment_id and r.node_id = ${node}
      order by r.round desc limit 1) as value) as read
    where jsonb_typeof(read.value) <> 'null'), '{}')`;
}

function tagsOf({ addTags, removeTags }: ContactChange): RawBuilder<unknown> {
  if (addTags.length === 0 && removeTags.length === 0) return sql`c.tags`;
  return sql`coalesce((
    select array_agg(tag order by number)
    from (
      select tag, min(number) as number
      from unnest(c.tags || ${addTags}::text[]) with ordinality as t(tag, number) group by tag
    ) as tags
    where tag <> all (${removeTags}::text[])), '{}')`;
}
