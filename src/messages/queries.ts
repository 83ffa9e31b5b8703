import { sql } from "kysely";
import type { Json } from "../events/event.ts";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { appendEvents, holdAppendLock } from "../events/queries.ts";
import { LOCKS } from "../storage/locks.ts";
import type { Db } from "../storage/pool.ts";

export type ClaimedMessage = {
  customerId: string;
  id: string;
  campaignId: string;
  campaignName: string;
  version: number;
  nodeId: string;
  runId: string;
  contactId: string;
  /** Empty when the contact had none when the message was queued. */
  toAddress: string;
  contactExists: boolean;
  attempts: number;
  attributes: { [key: string]: Json };
  tags: string[];
  postalAddress: string | null;
};

export type CredentialRef = { customerId: string; credentialId: string };

/**
 * Whether a message is in the queue and in nobody's hands, for looking up messages by their key. It is put so that
 * the planner can't see the condition of the queue's index in it: where its statistics are from before a campaign
 * was sent, it believes the queue to be empty, and would go through all of it for every message looked up.
 */
export function isWaitingToBeSent(message: string) {
  const m = sql.ref(message);
  return sql`case when ${m}.claimed_by is null then ${m}.status end = 'queued'`;
}

/**
 * The credentials that have a message due in a running campaign. It asks for the oldest, though any would do: that
 * takes the planner to the queue's index, where a mere `exists` lets it read the whole table.
 */
export async function listCredentialsWithWork(db: Db): Promise<CredentialRef[]> {
  const { rows } = await sql<CredentialRef>`
    select cr.customer_id as "customerId", cr.id as "credentialId"
    from credential cr
    cross join lateral (
      select from campaign c
      cross join lateral (
        select from message m
        where m.customer_id = c.customer_id and m.credential_id = cr.id and m.campaign_id = c.id
          and m.status = 'queued' and m.claimed_by is null and m.due_at <= now()
        order by m.due_at limit 1
      ) as oldest
      where c.customer_id = cr.customer_id and c.status = 'active'
      limit 1
    ) as work
    where cr.type = 'smtp' and cr.status <> 'disabled'`.execute(db);
  return rows;
}

/**
 * Claims due messages of running campaigns for a worker, oldest first, each for one worker only. In the same
 * transaction the suppression list is looked at once more: whoever is on it leaves the queue by a
 * `contact_suppressed` event and is not among the claimed. Nor is a message whose enrollment is over: it was in a
 * worker's hands when the exit withdrew the others, came back, and is withdrawn now.
 * @returns the claimed messages, and how many left the queue without being claimed
 */
export async function claimMessages(
  database: Db,
  credential: CredentialRef,
  worker: number,
  limit: number,
): Promise<{ messages: ClaimedMessage[]; left: number }> {
  return database.transaction().execute(async (db) => {
    const due = await takeDueMessages(db, credential, worker, limit);
    const suppressed = due.filter((message) => message.suppressedFor !== null && !message.isOver);
    await appendEvents(
      db,
      suppressed.map((message) =>
        newEvent({
          id: newId(),
          type: "contact_suppressed",
          at: new Date(),
          customerId: message.customerId,
          campaignId: message.campaignId,
          runId: message.runId,
          messageId: message.id,
          contactId: message.contactId,
          data: { reason: message.suppressedFor },
        }),
      ),
    );
    const messages = due.filter((message) => message.suppressedFor === null && !message.isOver);
    return { messages, left: due.length - messages.length };
  });
}

type DueMessage = ClaimedMessage & { suppressedFor: string | null; isOver: boolean };

async function takeDueMessages(
  db: Db,
  credential: CredentialRef,
  worker: number,
  limit: number,
): Promise<DueMessage[]> {
  const { rows } = await sql<DueMessage>`
    with oldest as (
      select m.customer_id, m.id
      from campaign c
      cross join lateral (
        select customer_id, id, due_at
        from message
        where customer_id = ${credential.customerId} and credential_id = ${credential.credentialId}
          and campaign_id = c.id and status = 'queued' and claimed_by is null and due_at <= now()
        order by due_at limit ${limit}
      ) m
      where c.customer_id = ${credential.customerId} and c.status = 'active'
        and exists (
          select from credential cr where cr.customer_id = ${credential.customerId}
            and cr.id = ${credential.credentialId} and cr.status <> 'disabled')
      order by m.due_at limit ${limit}
    ), due as (
      select m.customer_id, m.id,
        (select en.status = 'completed' from enrollment en
          where en.customer_id = m.customer_id and en.id = m.enrollment_id) as is_over
      from oldest
      join message m on m.customer_id = oldest.customer_id and m.id = oldest.id and ${isWaitingToBeSent("m")}
      for update of m skip locked
    ), withdrawn as (
      update message m set status = 'cancelled'
      from due where is_over and m.customer_id = due.customer_id and m.id = due.id
      returning m.*
    ), withdrawn_runs as (
      update node_run r set status = 'cancelled', finished_at = now()
      from withdrawn where r.customer_id = withdrawn.customer_id and r.id = withdrawn.run_id
        and r.status = 'running'
    ), claimed as (
      update message m set claimed_by = ${worker}, claimed_at = now(), attempts = m.attempts + 1
      from due where not is_over and m.customer_id = due.customer_id and m.id = due.id
      returning m.*
    ), taken as (
      select *, false as is_over from claimed union all select *, true from withdrawn
    )
    select t.customer_id as "customerId", t.id, t.campaign_id as "campaignId", c.name as "campaignName",
      t.version, t.node_id as "nodeId", t.run_id as "runId", t.contact_id as "contactId",
      t.to_address as "toAddress", ct.id is not null as "contactExists", t.attempts, t.is_over as "isOver",
      coalesce(ct.attributes, '{}') as attributes, coalesce(ct.tags, '{}') as tags,
      cu.postal_address as "postalAddress",
      (select min(s.reason) from suppression s
        where s.customer_id = t.customer_id and s.channel = 'email' and s.address = lower(t.to_address)
      ) as "suppressedFor"
    from taken t
    join campaign c on c.customer_id = t.customer_id and c.id = t.campaign_id
    join customer cu on cu.customer_id = t.customer_id
    left join contact ct on ct.customer_id = t.customer_id and ct.id = t.contact_id
    order by t.due_at`.execute(db);
  return rows;
}

/**
 * Puts a claimed message back into the queue.
 * @param countAttempt false when the message was never handed over, so that an outage does not use its attempts up
 */
export async function releaseMessage(
  db: Db,
  message: { customerId: string; id: string },
  dueAt: Date,
  reason: string,
  countAttempt: boolean,
): Promise<void> {
  await sql`
    update message
    set claimed_by = null, claimed_at = null, due_at = ${dueAt}, error = ${reason},
      attempts = attempts - ${countAttempt ? 0 : 1}
    where customer_id = ${message.customerId} and id = ${message.id} and status = 'queued'`.execute(db);
}

/** What a message node says, as its version was activated; null when there is none. */
export async function findNodeSettings(
  db: Db,
  node: { customerId: string; campaignId: string; version: number; nodeId: string },
): Promise<unknown> {
  const { rows } = await sql<{ settings: unknown }>`
    select settings from campaign_node
    where customer_id = ${node.customerId} and campaign_id = ${node.campaignId}
      and version = ${node.version} and node_id = ${node.nodeId}`.execute(db);
  return rows[0]?.settings ?? null;
}

/**
 * Finds messages whose worker died with them in hand and says of each that nobody knows whether it was sent. A
 * worker lives as long as its advisory lock is held. A message about which the log has something that is not
 * projected yet is left for the next time: the worker may have said how it went with its last breath.
 * @param db a transaction
 * @returns how many there were
 */
export async function reportUncertainMessages(db: Db): Promise<number> {
  // One at a time: who waited here sees what the other reported. No worker has this number.
  await sql`select pg_advisory_xact_lock(${LOCKS.sender}, -1)`.execute(db);
  await holdAppendLock(db);
  const result = await sql`
    with lost as (
      select m.customer_id, m.id
      from message m
      where m.status = 'queued' and m.claimed_by is not null
        and not exists (
          select from pg_locks l
          where l.locktype = 'advisory' and l.granted and l.classid = ${LOCKS.sender} and l.objid = m.claimed_by
            and l.database = (select oid from pg_database where datname = current_database()))
        and not exists (
          select from event_log e
          where e.position > (select position from projector_cursor where name = 'projector')
            and e.message_id = m.id)
      for update of m skip locked
    )
    insert into event_log (customer_id, id, type, at, campaign_id, run_id, message_id, contact_id, data)
    select m.customer_id, new_id(), 'message_uncertain', now(), m.campaign_id, m.run_id, m.id, m.contact_id,
      jsonb_build_object('reason', 'EDGR was interrupted while it handed this message to the mail server. '
        || 'It may have been sent, so it is not sent again.')
    from lost join message m on m.customer_id = lost.customer_id and m.id = lost.id`.execute(db);
  return Number(result.numAffectedRows ?? 0);
}
