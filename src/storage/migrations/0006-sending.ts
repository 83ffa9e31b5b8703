import { type Kysely, sql } from "kysely";

/**
 * What limits sending besides the rate: a frequency cap per customer, quiet hours, and a credential's day. And what
 * the progress of a campaign is read from.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await frequencyCap(db);
  await postponing(db);
  await credentialDays(db);
  await progress(db);
  await tallyByTrigger(db);
  await tallyWhatIsThere(db);
}

async function frequencyCap(db: Kysely<unknown>): Promise<void> {
  // An ISO 8601 duration, as it was given.
  await sql`
    alter table customer
      add frequency_cap_messages int check (frequency_cap_messages > 0),
      add frequency_cap_per text,
      add check ((frequency_cap_messages is null) = (frequency_cap_per is null))`.execute(db);
  // When it was last claimed to be handed over; null again when it was not. What a frequency cap counts.
  await sql`
    alter table message
      add handed_at timestamptz,
      add postponed_reason text check (postponed_reason in ('quiet_hours', 'frequency_cap', 'deferred'))`.execute(
    db,
  );
  await sql`update message set handed_at = sent_at where sent_at > now() - interval '31 days'`.execute(db);
  await sql`
    create index message_handed on message (customer_id, contact_id, handed_at)
    where handed_at is not null`.execute(db);
}

async function postponing(db: Kysely<unknown>): Promise<void> {
  // Null outside. An end that the clock skips is as much later as the clock jumps, of one that comes twice it is the
  // second: it is always later than the moment. From and to being the same is no time at all.
  await sql`
    create function quiet_ends(moment timestamptz, zone text, quiet_from time, quiet_to time) returns timestamptz
    language sql stable parallel safe as $sql$
      select case
        when quiet_from < quiet_to and local::time >= quiet_from and local::time < quiet_to
          then (local::date + quiet_to) at time zone zone
        when quiet_from > quiet_to and local::time >= quiet_from
          then (local::date + 1 + quiet_to) at time zone zone
        when quiet_from > quiet_to and local::time < quiet_to
          then (local::date + quiet_to) at time zone zone
      end
      from (select moment at time zone zone as local) as clock
    $sql$`.execute(db);
}

async function credentialDays(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table credential_day (
      customer_id uuid not null,
      credential_id uuid not null,
      day date not null,
      sent int not null,
      primary key (customer_id, credential_id, day)
    ) with (fillfactor = 50)`.execute(db);
}

/**
 * `sending_tally` holds how many messages a campaign has in each status, as changes to be added up: rows are only
 * inserted, so that the projector and the senders never wait for each other's; the sender adds old ones up now and
 * then. `sending_pace` holds how many were sent in each ten seconds.
 */
async function progress(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table sending_tally (
      customer_id uuid not null,
      campaign_id uuid not null,
      id uuid not null default new_id(),
      credential_id uuid not null,
      status text not null,
      postponed_reason text,
      messages int not null,
      primary key (customer_id, campaign_id, id)
    )`.execute(db);
  await sql`
    create table sending_pace (
      customer_id uuid not null,
      campaign_id uuid not null,
      credential_id uuid not null,
      slot timestamptz not null,
      sent int not null,
      primary key (customer_id, campaign_id, credential_id, slot)
    ) with (fillfactor = 50)`.execute(db);
  await sql`create index sending_pace_slot on sending_pace (slot)`.execute(db);
}

/**
 * A trigger, because messages change their status in many places (the projector, the claim, an exit, the deletion
 * of a campaign), and numbers that are kept beside each of them are wrong by the first one that forgets. It sees a
 * statement's rows at once, not one by one.
 */
async function tallyByTrigger(db: Kysely<unknown>): Promise<void> {
  const waitsFor = sql.raw("case when status = 'queued' and claimed_by is null then postponed_reason end");
  const counted = sql.raw("campaign_id is not null and direction = 'outbound'");
  await sql`
    create function tally_messages() returns trigger language plpgsql as $body$
    begin
      if tg_op = 'INSERT' then
        insert into sending_tally (customer_id, campaign_id, credential_id, status, postponed_reason, messages)
        select customer_id, campaign_id, credential_id, status, ${waitsFor}, count(*)
        from new_message where ${counted} group by 1, 2, 3, 4, 5;
      elsif tg_op = 'DELETE' then
        insert into sending_tally (customer_id, campaign_id, credential_id, status, postponed_reason, messages)
        select customer_id, campaign_id, credential_id, status, ${waitsFor}, -count(*)
        from old_message where ${counted} group by 1, 2, 3, 4, 5;
      else
        insert into sending_tally (customer_id, campaign_id, credential_id, status, postponed_reason, messages)
        select customer_id, campaign_id, credential_id, status, reason, sum(change)
        from (
          select customer_id, campaign_id, credential_id, status, ${waitsFor} as reason, 1 as change
          from new_message where ${counted}
          union all
          select customer_id, campaign_id, credential_id, status, ${waitsFor}, -1
          from old_message where ${counted}
        ) as changes
        group by 1, 2, 3, 4, 5 having sum(change) <> 0;
        insert into sending_pace as p (customer_id, campaign_id, credential_id, slot, sent)
        select customer_id, campaign_id, credential_id, slot, sum(change)
        from (
          select customer_id, campaign_id, credential_id, date_bin('10 seconds', sent_at, timestamptz 'epoch') as slot, 1 as change
          from new_message where ${counted} and sent_at is not null
          union all
          select customer_id, campaign_id, credential_id, date_bin('10 seconds', sent_at, timestamptz 'epoch'), -1
          from old_message where ${counted} and sent_at is not null
        ) as sendings
        where slot > now() - interval '1 hour'
        group by 1, 2, 3, 4 having sum(change) <> 0
        on conflict (customer_id, campaign_id, credential_id, slot) do update set sent = p.sent + excluded.sent;
      end if;
      return null;
    end $body$`.execute(db);
  await sql`
    create trigger message_inserted after insert on message referencing new table as new_message
    for each statement execute function tally_messages()`.execute(db);
  await sql`
    create trigger message_updated after update on message
    referencing old table as old_message new table as new_message
    for each statement execute function tally_messages()`.execute(db);
  await sql`
    create trigger message_deleted after delete on message referencing old table as old_message
    for each statement execute function tally_messages()`.execute(db);
}

async function tallyWhatIsThere(db: Kysely<unknown>): Promise<void> {
  await sql`
    insert into sending_tally (customer_id, campaign_id, credential_id, status, messages)
    select customer_id, campaign_id, credential_id, status, count(*)
    from message where campaign_id is not null and direction = 'outbound' group by 1, 2, 3, 4`.execute(db);
}
