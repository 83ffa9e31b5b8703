import { sql } from "kysely";
import type { Json } from "../events/event.ts";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { appendEvents } from "../events/queries.ts";
import { LOCKS } from "../storage/locks.ts";
import type { Db } from "../storage/pool.ts";
import { type CredentialRef, isWaitingToBeSent } from "./queries.ts";

type Claimed = {
  customerId: string;
  id: string;
  credentialId: string;
  contactId: string;
  /** An email address, or the number of a chat; empty when the contact had none when the message was queued. */
  toAddress: string;
  contactExists: boolean;
  attempts: number;
  /** When it was claimed, to the microsecond: what tells this claim from a later one of the same message. */
  claimedAt: string;
  /** The credential's day on which this attempt counts. */
  day: string;
};

export type CampaignMessage = Claimed & {
  kind: "campaign";
  campaignId: string;
  campaignName: string;
  version: number;
  nodeId: string;
  runId: string;
  /** The contact's, whatever the channel; empty when there is none. */
  email: string;
  attributes: { [key: string]: Json };
  tags: string[];
  postalAddress: string | null;
};

/** What somebody at a keyboard answered a contact. */
export type ReplyMessage = Claimed & { kind: "reply"; campaignId: null; runId: null };

export type ClaimedMessage = CampaignMessage | ReplyMessage;

export type ClaimRequest = {
  /** The sending worker's number. */
  worker: number;
  /** How many messages are claimed at most. */
  limit: number;
  /** How many due messages are looked at, for those that can't go now: `limit` at least. */
  look: number;
  /** The credential's day, and how many attempts may be made on it; null: as many as there are. */
  day: string;
  ceiling: number | null;
};

export type Claim = {
  messages: ClaimedMessage[];
  /** How many left the queue or were put off instead. */
  left: number;
  /** Whether nothing more goes on this day. */
  isFull: boolean;
};

/**
 * Claims due messages for a worker, each for one worker only: people's replies before those of running campaigns,
 * and of either the oldest first. In the same transaction it is looked at once more who may be sent to, and when. Of
 * those that are not claimed
 * - who is suppressed, by address or domain, or has left the campaign's topic leaves the queue by a
 *   `contact_suppressed` event; who is unsubscribed is sent replies all the same;
 * - whose enrollment is over is withdrawn: the message was in a worker's hands when the exit withdrew the others;
 * - in whose zone it is a quiet hour is put off until its end;
 * - who has had as many messages as the customer's frequency cap allows is put off until the oldest of them leaves
 *   the window. Claims that count the same contact's wait for each other, whatever credential they are for.
 * Replies are never over, wait for no hour and no cap, and count towards none. To one contact they go one after the
 * other, in the order in which they were written; only one that a server put off lets those behind it pass.
 */
export async function claimMessages(
  database: Db,
  credential: CredentialRef,
  request: ClaimRequest,
): Promise<Claim> {
  return database.transaction().execute(async (db) => {
    const room = await roomOn(db, credential, request);
    if (room <= 0) return { messages: [], left: 0, isFull: true };
    const due = await holdDueMessages(db, credential, request.look);
    if (due.length === 0) return { messages: [], left: 0, isFull: false };
    const capped = due.filter(({ isCapped }) => isCapped);
    if (capped.length > 0) await holdContacts(db, capped);
    const judged = await takeHeldMessages(db, credential, due, { ...request, limit: room });
    await reportSuppressed(db, judged);
    const messages = judged
      .filter(({ verdict }) => verdict === "claimed")
      .map(({ verdict, suppressedFor, ...message }) => message);
    return { messages, left: judged.length - messages.length, isFull: false };
  });
}

type DueMessage = { id: string; contactId: string; isCapped: boolean };

type Judged = ClaimedMessage & {
  verdict: "over" | "suppressed" | "quiet_hours" | "frequency_cap" | "claimed";
  suppressedFor: string | null;
};

/** How much of `limit` the day leaves. A credential's claims wait for each other where a ceiling is. */
async function roomOn(
  db: Db,
  { customerId, credentialId }: CredentialRef,
  { limit, day, ceiling }: ClaimRequest,
): Promise<number> {
  if (ceiling === null) return limit;
  const { rows } = await sql<{ sent: number }>`
    insert into credential_day as d (customer_id, credential_id, day, sent)
    values (${customerId}, ${credentialId}, ${day}, 0)
    on conflict (customer_id, credential_id, day) do update set sent = d.sent
    returning sent`.execute(db);
  return Math.min(limit, ceiling - (rows[0]?.sent ?? 0));
}

async function holdDueMessages(db: Db, credential: CredentialRef, look: number): Promise<DueMessage[]> {
  const { rows } = await sql<DueMessage>`
    with sending as (
      select from credential
      where customer_id = ${credential.customerId} and id = ${credential.credentialId} and status <> 'disabled'
        and (rests_until is null or rests_until <= now())
    ), replies as (
      select r.customer_id, r.id, r.due_at, false as heeds_cap, 1 as turn
      from message r
      where r.customer_id = ${credential.customerId} and r.credential_id = ${credential.credentialId}
        and r.campaign_id is null and r.status = 'queued' and r.claimed_by is null and r.due_at <= now()
        and exists (select from sending)
        and not exists (
          select from message earlier
          where earlier.customer_id = r.customer_id and earlier.contact_id = r.contact_id and earlier.id < r.id
            and earlier.credential_id = r.credential_id and earlier.campaign_id is null
            and earlier.status = 'queued' and (earlier.claimed_by is not null or earlier.due_at <= now()))
      order by r.due_at limit ${look}
    ), of_campaigns as (
      select m.customer_id, m.id, m.due_at, not c.ignore_frequency_cap as heeds_cap, 2 as turn
      from campaign c
      cross join lateral (
        select customer_id, id, due_at
        from message
        where customer_id = ${credential.customerId} and credential_id = ${credential.credentialId}
          and campaign_id = c.id and status = 'queued' and claimed_by is null and due_at <= now()
        order by due_at limit ${look}
      ) m
      where c.customer_id = ${credential.customerId} and c.status = 'active' and exists (select from sending)
      order by m.due_at limit ${look}
    ), oldest as (
      select * from replies union all select * from of_campaigns order by turn, due_at limit ${look}
    )
    select m.id, m.contact_id as "contactId", oldest.heeds_cap and (
        select frequency_cap_messages is not null from customer where customer_id = ${credential.customerId}
      ) as "isCapped"
    from oldest
    join message m on m.customer_id = oldest.customer_id and m.id = oldest.id and ${isWaitingToBeSent("m")}
    order by oldest.turn, oldest.due_at
    for update of m skip locked`.execute(db);
  return rows;
}

// Locks of their own, not the contacts' rows: an import may hold many of those, for long and in another order. Taken
// in the order of their numbers, so that two claims never wait for each other in a circle.
async function holdContacts(db: Db, messages: readonly DueMessage[]): Promise<void> {
  await sql`
    select pg_advisory_xact_lock(${LOCKS.contact}, number)
    from (
      select distinct hashtext(id) as number
      from unnest(${messages.map(({ contactId }) => contactId)}::text[]) as id
      order by number offset 0
    ) as contacts`.execute(db);
}

/**
 * Judges messages that this transaction holds, and does with each as it was judged. It is a statement of its own, so
 * that it sees what the claims it waited for have done. `taken` stands apart because the planner, as long as it has
 * no statistics of a new campaign's messages, comes to them over the campaign: 860 ms a claim at 300,000, and 13 this way.
 * The update is told their ids once more because it reads all of the customer's messages else: 24 ms at 100,000, and 5.
 */
async function takeHeldMessages(
  db: Db,
  { customerId, credentialId }: CredentialRef,
  due: readonly DueMessage[],
  { worker, limit, day }: ClaimRequest,
): Promise<Judged[]> {
  const { rows } = await sql<Judged>`
    with taken as materialized (
      select m.customer_id, m.id, m.campaign_id, m.version, m.node_id, m.run_id, m.enrollment_id, m.contact_id,
        m.channel, m.to_address, m.due_at
      from unnest(${due.map(({ id }) => id)}::uuid[]) as h(id)
      join message m on m.customer_id = ${customerId} and m.id = h.id
    ), held as materialized (
      select m.id, m.campaign_id, c.name as campaign_name, m.version, m.node_id, m.run_id, m.contact_id, m.to_address,
        m.due_at, ct.id is not null as contact_exists, coalesce(ct.email, '') as email, ct.attributes, ct.tags, cu.postal_address,
        m.campaign_id is null as is_reply,
        m.campaign_id is not null and en.status is distinct from 'active' as is_over,
        ${suppressedFor("m", "c")} as suppressed_for,
        case when c.quiet_from is not null
          then quiet_ends(now(), known_zone(ct.time_zone, c.time_zone), c.quiet_from, c.quiet_to) end as quiet_until,
        case when not c.ignore_frequency_cap then cu.frequency_cap_messages end as cap,
        make_interval(secs => extract(epoch from cu.frequency_cap_per::interval)::float8) as cap_per
      from taken m
      left join campaign c on c.customer_id = m.customer_id and c.id = m.campaign_id
      join customer cu on cu.customer_id = m.customer_id
      left join contact ct on ct.customer_id = m.customer_id and ct.id = m.contact_id
      left join enrollment en on en.customer_id = m.customer_id and en.id = m.enrollment_id
    ), counted as (
      select h.*, coalesce(r.times, '{}') as times,
        row_number() over (
          partition by h.contact_id, h.is_reply or h.is_over or h.suppressed_for is not null or h.quiet_until is not null
          order by h.cap is not null, h.due_at, h.id) as place
      from held h
      left join lateral (
        select array_agg(r.handed_at order by r.handed_at desc) as times
        from message r
        where r.customer_id = ${customerId} and r.contact_id = h.contact_id and r.handed_at > now() - h.cap_per
          and r.campaign_id is not null and r.status not in ('failed', 'suppressed', 'cancelled')
      ) as r on h.cap is not null
    ), judged as (
      select *, case when is_over then 'over' when suppressed_for is not null then 'suppressed'
        when quiet_until is not null then 'quiet_hours'
        when cardinality(times) + place > cap then 'frequency_cap' else 'claimed' end as verdict
      from counted
    ), ruled as (
      select *, row_number() over (partition by verdict order by not is_reply, due_at, id) as turn,
        case verdict when 'quiet_hours' then quiet_until
          when 'frequency_cap' then coalesce(times[least(cap, cardinality(times))], now()) + cap_per end as put_off_until
      from judged
    ), done as (
      update message m
      set status = case r.verdict when 'over' then 'cancelled' else m.status end,
        claimed_by = case when r.verdict in ('claimed', 'suppressed') then ${worker}::int end,
        claimed_at = case when r.verdict in ('claimed', 'suppressed') then now() end,
        handed_at = case r.verdict when 'claimed' then now() end,
        attempts = m.attempts + (r.verdict = 'claimed')::int,
        due_at = coalesce(r.put_off_until, m.due_at),
        postponed_reason = case when r.put_off_until is not null then r.verdict end
      from ruled r
      where m.customer_id = ${customerId} and m.id = any (${due.map(({ id }) => id)}::uuid[]) and m.id = r.id
        and (r.verdict <> 'claimed' or r.turn <= ${limit})
      returning r.*, m.attempts, m.claimed_at
    ), withdrawn_runs as (
      update node_run r set status = 'cancelled', finished_at = now()
      from ruled where ruled.verdict = 'over' and r.customer_id = ${customerId} and r.id = ruled.run_id
        and r.status = 'running'
    ), sent_today as (
      insert into credential_day as d (customer_id, credential_id, day, sent)
      select ${customerId}::uuid, ${credentialId}::uuid, ${day}::date, count(*)
      from done where verdict = 'claimed' having count(*) > 0
      on conflict (customer_id, credential_id, day) do update set sent = d.sent + excluded.sent
    )
    select case when d.is_reply then 'reply' else 'campaign' end as kind, ${customerId} as "customerId", d.id,
      ${credentialId} as "credentialId", ${day} as day, d.campaign_id as "campaignId",
      d.campaign_name as "campaignName", d.version, d.node_id as "nodeId", d.run_id as "runId",
      d.contact_id as "contactId", d.to_address as "toAddress", d.email, d.contact_exists as "contactExists", d.attempts,
      d.claimed_at::text as "claimedAt", coalesce(d.attributes, '{}') as attributes,
      coalesce(d.tags, '{}') as tags, d.postal_address as "postalAddress", d.verdict,
      d.suppressed_for as "suppressedFor"
    from done d
    order by not d.is_reply, d.due_at`.execute(db);
  return rows;
}

/**
 * Why the message's address must not be mailed, or its contact not by this campaign; null when neither is so. Who has
 * unsubscribed wants no campaigns: what he asks is answered.
 */
function suppressedFor(message: string, campaign: string) {
  const [m, c] = [sql.ref(message), sql.ref(campaign)];
  return sql`coalesce(
    (select min(s.reason) from suppression s
      where s.customer_id = ${m}.customer_id and s.channel = ${m}.channel
        and (${m}.campaign_id is not null or s.reason <> 'unsubscribe')
        and s.address in (lower(${m}.to_address), substring(lower(${m}.to_address) from '@[^@]*$'))),
    (select 'topic' from contact_topic_left l
      where l.customer_id = ${m}.customer_id and l.contact_id = ${m}.contact_id and l.topic_id = ${c}.topic_id))`;
}

async function reportSuppressed(db: Db, judged: readonly Judged[]): Promise<void> {
  const suppressed = judged.filter(({ verdict }) => verdict === "suppressed");
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
}
