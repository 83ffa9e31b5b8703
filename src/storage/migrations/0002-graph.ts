import { type Kysely, sql } from "kysely";

/**
 * What the whole graph needs: rounds of cycles, timers of edges that wait for something not to happen, waits by the
 * clock, enrolling again, and reasons why an enrollment is over. Versions, enrollments and runs that are there go on
 * as they are.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await campaignSettings(db);
  await nodes(db);
  await edges(db);
  await graphs(db);
  await enrollments(db);
  await runs(db);
  await timers(db);
  await clocks(db);
}

async function campaignSettings(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table campaign
      add max_rounds int not null default 10 check (max_rounds between 1 and 100),
      add exit_on text[] not null default '{}' check (exit_on <@ array['replied', 'unsubscribed']),
      add reenroll_after interval,
      add time_zone text not null default 'UTC',
      add quiet_from time,
      add quiet_to time,
      add ignore_frequency_cap boolean not null default false,
      add topic_id uuid,
      add check ((quiet_from is null) = (quiet_to is null))`.execute(db);
}

async function nodes(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table campaign_node
      drop constraint campaign_node_type_check,
      drop constraint campaign_node_check,
      add constraint campaign_node_type_check check (type in
        ('message', 'wait', 'condition', 'split', 'update-contact', 'webhook', 'exit')),
      add constraint campaign_node_wait_check check (wait is null or type = 'wait')`.execute(db);
}

// Graphs from before get the fields that they would have with their defaults, in the editor's form and in the
// version's, so that activating one again still finds that nothing has changed.
async function graphs(db: Kysely<unknown>): Promise<void> {
  await sql`
    update campaign set
      nodes = coalesce((
        select jsonb_agg(case n.node->>'type' when 'message' then '{"format": "html"}' || n.node else n.node end
          order by n.number)
        from jsonb_array_elements(nodes) with ordinality as n(node, number)), '[]'),
      edges = coalesce((
        select jsonb_agg('{"within": null, "variant": null}' || e.edge order by e.number)
        from jsonb_array_elements(edges) with ordinality as e(edge, number)), '[]')`.execute(db);
  await sql`
    update campaign_node set settings = '{"format": "html"}' || settings where type = 'message'`.execute(db);
}

// What an edge waits for could be told from its events as long as no two kinds shared any.
async function edges(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table campaign_edge
      add fires_when text,
      add within interval,
      add variant text,
      add kind text check (kind in ('opened', 'clicked', 'replied')),
      add is_negative boolean not null default false,
      add within_cycle boolean not null default false,
      add closes_cycle boolean not null default false`.execute(db);
  await sql`
    update campaign_edge set
      fires_when = case when cardinality(event_types) > 1 then 'always' else
        case event_types[1] when 'message_sent' then 'sent' when 'message_failed' then 'failed'
          when 'email_opened' then 'opened' when 'email_clicked' then 'clicked' else event_types[1] end end,
      kind = case event_types[1] when 'email_opened' then 'opened' when 'email_clicked' then 'clicked' end`.execute(
    db,
  );
  await sql`
    update campaign_edge e set event_types = case n.type when 'wait' then array['run_completed']
      else array['message_sent', 'message_failed', 'message_uncertain', 'contact_suppressed'] end
    from campaign_node n
    where e.fires_when = 'always' and n.customer_id = e.customer_id and n.campaign_id = e.campaign_id
      and n.version = e.version and n.node_id = e.from_node`.execute(db);
  await sql`
    alter table campaign_edge
      alter fires_when set not null,
      add check (fires_when in ('always', 'sent', 'delivered', 'opened', 'clicked', 'bounced', 'complained', 'replied',
        'unsubscribed', 'failed', 'true', 'false', 'variant', 'notOpened', 'notClicked', 'notReplied')),
      add check (is_negative = (within is not null)),
      add check (not is_negative or kind is not null),
      add check ((fires_when = 'variant') = (variant is not null)),
      add check (not closes_cycle or within_cycle)`.execute(db);
  await sql`
    create index campaign_edge_negative on campaign_edge (customer_id, campaign_id, version, from_node)
    where is_negative`.execute(db);
}

async function enrollments(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table enrollment
      add attempt int not null default 1,
      add completed_reason text check (completed_reason in
        ('exit', 'round_limit', 'unsubscribed', 'replied', 'left', 'deleted')),
      add check (completed_reason is null or status = 'completed'),
      drop constraint enrollment_customer_id_campaign_id_contact_id_key,
      add unique (customer_id, campaign_id, contact_id, attempt)`.execute(db);
  // The contact first: an index of active enrollments that began with the customer would be taken, while statistics
  // are from before a campaign grew, to look up one enrollment by its id, and read all the others for it.
  await sql`
    create unique index enrollment_active on enrollment (contact_id, campaign_id, customer_id)
    where status = 'active'`.execute(db);
  await sql`
    update enrollment en set completed_reason = case when exists (
      select from campaign c where c.customer_id = en.customer_id and c.id = en.campaign_id) then 'exit' else 'deleted' end
    where status = 'completed'`.execute(db);
}

/**
 * `node_type` tells the workers of due runs apart; runs from before this migration have it where they are due.
 * `met` decides between an edge and its opposite: 1, 2, 4 a counting opening, click, reply; 8, 16, 32 a timer of that
 * kind was up before; 64 it was sent, or perhaps, so that its timers have been made.
 */
async function runs(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table node_run
      add round int not null default 1,
      add node_type text,
      add recipient_domain text,
      add met smallint not null default 0,
      drop constraint node_run_customer_id_enrollment_id_node_id_key,
      add unique (customer_id, enrollment_id, node_id, round)`.execute(db);
  await sql`update node_run set node_type = 'wait' where due_at is not null`.execute(db);
  await sql`
    update node_run set met =
      case when output ? 'opened' then 1 else 0 end + case when output ? 'clicked' then 2 else 0 end
      + case when output ?| array['sent', 'uncertain'] then 64 else 0 end
    where output ?| array['opened', 'clicked', 'sent', 'uncertain']`.execute(db);
  await sql`drop index node_run_due`.execute(db);
  await sql`
    create index node_run_due on node_run (customer_id, campaign_id, node_type, due_at)
    where due_at is not null`.execute(db);
  await sql`
    alter table edge_firing
      add round int not null default 1,
      drop constraint edge_firing_pkey,
      add primary key (customer_id, enrollment_id, edge_id, round)`.execute(db);
}

async function timers(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table edge_timer (
      customer_id uuid not null,
      run_id uuid not null,
      edge_id text not null,
      enrollment_id uuid not null,
      campaign_id uuid not null,
      contact_id uuid not null,
      kind text not null check (kind in ('opened', 'clicked', 'replied')),
      due_at timestamptz not null,
      primary key (customer_id, run_id, edge_id)
    )`.execute(db);
  await sql`create index edge_timer_due on edge_timer (customer_id, campaign_id, due_at)`.execute(db);
  await sql`create index edge_timer_enrollment on edge_timer (customer_id, enrollment_id)`.execute(db);
}

async function clocks(db: Kysely<unknown>): Promise<void> {
  // A day is 24 hours wherever the server's own clock stands; only months follow the calendar.
  await sql`
    create function add_interval(starts timestamptz, length interval) returns timestamptz
    language sql immutable parallel safe as $sql$
      select ((starts at time zone 'UTC') + length) at time zone 'UTC'
    $sql$`.execute(db);
  await knownZone(db);
  // A local time that the clock skips is as much later as the clock jumps, of one that comes twice it is the second.
  await sql`
    create function wait_ends(settings jsonb, wait interval, starts timestamptz, zone text) returns timestamptz
    language sql stable parallel safe as $sql$
      select case
        when wait is not null then add_interval(starts, wait)
        when settings->>'until' ~ '(Z|[+-][0-9]{2}:[0-9]{2})$'
          then (settings->>'until')::timestamptz
        when settings->>'until' is not null
          then (settings->>'until')::timestamp at time zone zone
        else (
          select min(moment)
          from generate_series(0, 8) as days,
            lateral (select (starts at time zone zone)::date + days as day) as d,
            lateral (select (day + (settings->'at'->>'time')::time) at time zone zone as moment) as m
          where moment > starts and (coalesce(jsonb_typeof(settings->'at'->'weekdays'), 'null') = 'null'
            or settings->'at'->'weekdays'
              ? (array['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])[extract(isodow from day)::int]))
      end
    $sql$`.execute(db);
}

/**
 * PostgreSQL also takes abbreviations (CET has no summer time then) and, of any name with digits in it, an offset
 * that nobody meant. So only the IANA database's own names pass; its old names without a slash that PostgreSQL takes
 * for abbreviations are spelt out.
 */
async function knownZone(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function known_zone(zone text, fallback text) returns text
    language plpgsql stable parallel safe as $body$
    declare
      asked text;
      found text;
    begin
      foreach asked in array array[zone, fallback] loop
        found := case upper(asked)
          when 'CET' then 'Europe/Brussels' when 'MET' then 'Europe/Brussels' when 'EET' then 'Europe/Athens'
          when 'WET' then 'Europe/Lisbon' when 'EST' then 'America/Panama' when 'MST' then 'America/Phoenix'
          when 'HST' then 'Pacific/Honolulu' when 'EST5EDT' then 'America/New_York'
          when 'CST6CDT' then 'America/Chicago' when 'MST7MDT' then 'America/Denver'
          when 'PST8PDT' then 'America/Los_Angeles' when 'UCT' then 'UTC' when 'ZULU' then 'UTC'
          else asked end;
        if found in ('UTC', 'GMT') or found ~ '^[A-Za-z_-]+(/[A-Za-z_-]+)+$'
          or (found ~ '^[A-Za-z-]+$' and not exists (select from pg_timezone_abbrevs where abbrev = upper(found)))
          or found ~* '^Etc/(UTC|GMT(0|[+-]([0-9]|1[0-2])|-1[34]))$' then
          begin
            perform now() at time zone found;
            return found;
          exception when invalid_parameter_value then
          end;
        end if;
      end loop;
      return 'UTC';
    end $body$`.execute(db);
}
