import { sql } from "kysely";
import { holdAppendLock } from "../events/queries.ts";
import { LOCKS } from "../storage/locks.ts";
import type { Db } from "../storage/pool.ts";

export type CredentialRef = { customerId: string; credentialId: string };

/** `revision` changes with the credential's settings. */
export type CredentialWork = CredentialRef & { type: "smtp" | "telegram"; revision: string };

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
 * The credentials that have a message due in a running campaign, or a reply. It asks for the oldest, though any would
 * do: that takes the planner to the queue's index, where a mere `exists` lets it read the whole table.
 */
export async function listCredentialsWithWork(db: Db): Promise<CredentialWork[]> {
  const { rows } = await sql<CredentialWork>`
    select cr.customer_id as "customerId", cr.id as "credentialId", cr.type,
      cr.updated_at::text as revision
    from credential cr
    cross join lateral (
      (select from message m
      where m.customer_id = cr.customer_id and m.credential_id = cr.id and m.campaign_id is null
        and m.status = 'queued' and m.claimed_by is null and m.due_at <= now()
      order by m.due_at limit 1)
      union all
      (select from campaign c
      cross join lateral (
        select from message m
        where m.customer_id = c.customer_id and m.credential_id = cr.id and m.campaign_id = c.id
          and m.status = 'queued' and m.claimed_by is null and m.due_at <= now()
        order by m.due_at limit 1
      ) as oldest
      where c.customer_id = cr.customer_id and c.status = 'active'
      limit 1)
      limit 1
    ) as work
    where cr.status <> 'disabled' and (cr.rests_until is null or cr.rests_until <= now())`.execute(db);
  return rows;
}

/** A claim of a message, as `claimMessages` made it. */
export type ClaimRef = {
  customerId: string;
  id: string;
  credentialId: string;
  claimedAt: string;
  day: string;
};

export type Release = {
  dueAt: Date;
  /** What went wrong. */
  error: string;
  /** False when it is not the message's fault, so that an outage does not use its attempts up. */
  countAttempt: boolean;
  /** Whether the server was asked: only then the attempt counts on the credential's day. */
  wasHandedOver: boolean;
};

/** Puts a claimed message back into the queue; doing it again changes nothing, whoever claimed it meanwhile. */
export async function releaseMessage(db: Db, claim: ClaimRef, release: Release): Promise<void> {
  await sql`
    with released as (
      update message
      set claimed_by = null, claimed_at = null, handed_at = null, due_at = ${release.dueAt}, error = ${release.error},
        attempts = attempts - ${release.countAttempt ? 0 : 1},
        postponed_reason = ${release.countAttempt ? "deferred" : null}
      where customer_id = ${claim.customerId} and id = ${claim.id} and status = 'queued'
        and claimed_at = ${claim.claimedAt}::timestamptz
      returning 1
    )
    update credential_day set sent = sent - 1
    where ${!release.wasHandedOver} and ${ofDay(claim)} and exists (select from released)`.execute(db);
}

/** Takes a claimed message that the server was never asked about out of its credential's day, once. */
export async function giveAttemptBack(db: Db, claim: ClaimRef): Promise<void> {
  await sql`
    with kept as (
      update message set handed_at = null
      where customer_id = ${claim.customerId} and id = ${claim.id} and handed_at is not null
        and claimed_at = ${claim.claimedAt}::timestamptz
      returning 1
    )
    update credential_day set sent = sent - 1 where ${ofDay(claim)} and exists (select from kept)`.execute(
    db,
  );
}

function ofDay({ customerId, credentialId, day }: ClaimRef) {
  return sql`customer_id = ${customerId} and credential_id = ${credentialId} and day = ${day}`;
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
      where m.claimed_by is not null
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
      jsonb_build_object('reason', 'EDGR was interrupted while it handed this message over. '
        || 'It may have been sent, so it is not sent again.')
    from lost join message m on m.customer_id = lost.customer_id and m.id = lost.id`.execute(db);
  return Number(result.numAffectedRows ?? 0);
}

/** How many messages without a credential are given up in one go. */
const ORPHANS_AT_ONCE = 1_000;

/**
 * Finds due messages whose credential is gone, and says of each that it failed. A credential can't be deleted while
 * a campaign sends through it, but people in flight through an older version come to its messages later, and replies
 * may be queued for it.
 * @param db a transaction
 * @param worker the number of a living worker, in whose hands they are until the event is projected
 * @returns how many there were
 */
export async function failOrphanedMessages(db: Db, worker: number): Promise<number> {
  await holdAppendLock(db);
  const result = await sql`
    with missing as (
      select distinct n.customer_id, n.campaign_id, n.credential_id
      from campaign_node n
      where n.credential_id is not null and not exists (
        select from credential cr where cr.customer_id = n.customer_id and cr.id = n.credential_id)
    ), orphaned_replies as (
      select customer_id, id from message r
      where r.campaign_id is null and r.status = 'queued' and r.claimed_by is null and r.due_at <= now()
        and not exists (
          select from credential cr where cr.customer_id = r.customer_id and cr.id = r.credential_id)
      limit ${ORPHANS_AT_ONCE}
      for update skip locked
    ), orphaned as (
      select customer_id, id from orphaned_replies
      union all
      select m.customer_id, m.id
      from missing
      join campaign c on c.customer_id = missing.customer_id and c.id = missing.campaign_id and c.status = 'active'
      cross join lateral (
        select customer_id, id from message
        where customer_id = missing.customer_id and credential_id = missing.credential_id
          and campaign_id = missing.campaign_id and status = 'queued' and claimed_by is null and due_at <= now()
        order by due_at limit ${ORPHANS_AT_ONCE}
        for update skip locked
      ) as m
    ), taken as (
      update message m set claimed_by = ${worker}::int, claimed_at = now()
      from orphaned o where m.customer_id = o.customer_id and m.id = o.id
      returning m.customer_id, m.id, m.campaign_id, m.run_id, m.contact_id
    )
    insert into event_log (customer_id, id, type, at, campaign_id, run_id, message_id, contact_id, data)
    select customer_id, new_id(), 'message_failed', now(), campaign_id, run_id, id, contact_id,
      jsonb_build_object('reason', 'The credential that this message was to be sent through was deleted.')
    from taken`.execute(db);
  return Number(result.numAffectedRows ?? 0);
}

const TALLIES_AT_ONCE = 20_000;

/**
 * Adds up the tallies that campaigns' progress is read from, so that there are few, and forgets paces nobody asks
 * for any more. Readers see the old rows or their sum, never both.
 */
export async function sumTallies(db: Db): Promise<void> {
  await sql`
    with gone as (
      delete from sending_tally t using (
        select customer_id, campaign_id, id from sending_tally limit ${TALLIES_AT_ONCE} for update skip locked
      ) as old
      where t.customer_id = old.customer_id and t.campaign_id = old.campaign_id and t.id = old.id
      returning t.*
    )
    insert into sending_tally (customer_id, campaign_id, credential_id, status, postponed_reason, messages)
    select customer_id, campaign_id, credential_id, status, postponed_reason, sum(messages)
    from gone group by 1, 2, 3, 4, 5 having sum(messages) <> 0`.execute(db);
  await sql`delete from sending_pace where slot < now() - interval '1 hour'`.execute(db);
}
